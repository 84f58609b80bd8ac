/* text.c - strings: immutable UTF-8. Positions and lengths are bytes; what would cut a code point in two throws. */
#include "pvm/internal/internal.h"
#include "kernel/lib/string.h"

static struct string *self(struct call *c)
{
        return (struct string *)OBJECT(c);
}

int n_string_equals(struct call *c)
{
        bool known;

        return give_int(c, value_equal(OBJECT(c), c->args[1].r, &known));
}

int n_string_toString(struct call *c)
{
        return give(c, self(c));
}

int n_string_hashCode(struct call *c)
{
        return give_int(c, (int32_t)(bytes_hash(self(c)->text, self(c)->len) & INT32_MAX));
}

/* Does a code point begin here, or the string end? */
static bool boundary(const struct string *s, int64_t at)
{
        return at == s->len || (s->text[at] & 0xc0) != 0x80;
}

int n_string_substring(struct call *c)
{
        const struct string *s = self(c);
        int64_t from = c->args[1].i, len = c->args[2].i;

        if (from < 0 || len < 0 || from + len > s->len)
                return throw_error(c, CLASS_error_bounds, "%ld bytes from %ld on, of %u", (long)len, (long)from,
                                   s->len);
        if (!boundary(s, from) || !boundary(s, from + len))
                return throw_error(c, CLASS_error_bounds, "%ld bytes from %ld on cut a character in two", (long)len,
                                   (long)from);
        return give(c, string_new(s->text + from, (size_t)len));
}

int n_string_charAt(struct call *c)
{
        const struct string *s = self(c);

        if ((uint32_t)c->args[1].i >= s->len)
                return throw_error(c, CLASS_error_bounds, "byte %d of %u", c->args[1].i, s->len);
        return give_int(c, (uint8_t)s->text[c->args[1].i]);
}

int n_string_concat(struct call *c)
{
        const struct string *a = self(c), *b = STRING(c, 1);
        struct string *n;
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        n = string_room((size_t)a->len + b->len);
        if (n) {
                memcpy(n->text, a->text, a->len);
                memcpy(n->text + a->len, b->text, b->len);
        }
        return give(c, n);
}

int n_string_length(struct call *c)
{
        return give_int(c, (int32_t)self(c)->len);
}

/* Where `what` is in s, from `from` on; -1: nowhere. */
static int64_t search(const struct string *s, const struct string *what, uint32_t from)
{
        const char *p = s->text + from, *end = s->text + s->len;

        if (!what->len)
                return from;
        for (; (size_t)(end - p) >= what->len; p++) {
                p = memchr(p, what->text[0], (size_t)(end - p) - what->len + 1);
                if (!p)
                        return -1;
                if (!memcmp(p, what->text, what->len))
                        return p - s->text;
        }
        return -1;
}

int n_string_strstr(struct call *c)
{
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        return give_int(c, (int32_t)search(self(c), STRING(c, 1), 0));
}

int n_string_indexOf(struct call *c)
{
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        if (c->args[2].i < 0 || (uint32_t)c->args[2].i > self(c)->len)
                return throw_error(c, CLASS_error_bounds, "byte %d of %u", c->args[2].i, self(c)->len);
        return give_int(c, (int32_t)search(self(c), STRING(c, 1), (uint32_t)c->args[2].i));
}

int n_string_compareTo(struct call *c)
{
        bool unordered;
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        return give_int(c, value_compare(OBJECT(c), c->args[1].r, &unordered));
}

int n_string_startsWith(struct call *c)
{
        const struct string *s = self(c), *with = STRING(c, 1);
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        return give_int(c, with->len <= s->len && !memcmp(s->text, with->text, with->len));
}

int n_string_endsWith(struct call *c)
{
        const struct string *s = self(c), *with = STRING(c, 1);
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        return give_int(c, with->len <= s->len && !memcmp(s->text + s->len - with->len, with->text, with->len));
}

static bool blank(char ch)
{
        return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

static struct pvm_text trimmed(const struct string *s)
{
        const char *p = s->text, *end = p + s->len;

        while (p < end && blank(*p))
                p++;
        while (p < end && blank(end[-1]))
                end--;
        return (struct pvm_text){p, (uint32_t)(end - p)};
}

/* An integer as the language writes it: sign, decimal or 0x. False: something else, or too great. */
static bool integer(struct pvm_text t, int64_t *v)
{
        const char *p = t.p, *end = p + t.len;
        bool minus = false;
        unsigned base = 10;
        uint64_t n = 0, most;

        if (p < end && (*p == '-' || *p == '+'))
                minus = *p++ == '-';
        if (end - p > 2 && p[0] == '0' && (p[1] | 32) == 'x') {
                base = 16;
                p += 2;
        }
        if (p == end)
                return false;
        most = minus ? 1ul << 63 : (1ul << 63) - 1;
        for (; p < end; p++) {
                unsigned d = *p >= '0' && *p <= '9'                 ? (unsigned)(*p - '0')
                             : (*p | 32) >= 'a' && (*p | 32) <= 'f' ? (unsigned)((*p | 32) - 'a' + 10)
                                                                    : 99;

                if (d >= base || n > (most - d) / base)
                        return false;
                n = n * base + d;
        }
        *v = (int64_t)(minus ? 0 - n : n);
        return true;
}

static int not_a_number(struct call *c, const char *what)
{
        return throw_error(c, CLASS_error_argument, "\"%.60s\" is not %s", self(c)->text, what);
}

int n_string_toInt(struct call *c)
{
        int64_t v;

        if (!integer(trimmed(self(c)), &v) || v > UINT32_MAX || v < INT32_MIN ||
            (v > INT32_MAX && self(c)->text[1] != 'x'))
                return not_a_number(c, "an int");
        return give_int(c, (int32_t)v);
}

int n_string_toLong(struct call *c)
{
        return integer(trimmed(self(c)), &c->result.l) ? DONE : not_a_number(c, "a long");
}

int n_string_toDouble(struct call *c)
{
        struct pvm_text t = trimmed(self(c));
        double v;

        if (!parse_double(t.p, t.len, &v))
                return not_a_number(c, "a number");
        c->result.d = v;
        return DONE;
}

int n_string_toFloat(struct call *c)
{
        struct pvm_text t = trimmed(self(c));
        double v;

        if (!parse_double(t.p, t.len, &v))
                return not_a_number(c, "a number");
        c->result.bits = (slot){.f = (float)v}.bits & 0xffffffffu;
        return DONE;
}

static int changed(struct call *c, char from, char to, char by)
{
        const struct string *s = self(c);
        struct string *n = string_new(s->text, s->len);

        for (uint32_t i = 0; n && i < n->len; i++)
                if (n->text[i] >= from && n->text[i] <= to)
                        n->text[i] = (char)(n->text[i] + by);
        return give(c, n);
}

int n_string_toUpper(struct call *c)
{
        return changed(c, 'a', 'z', 'A' - 'a');
}

int n_string_toLower(struct call *c)
{
        return changed(c, 'A', 'Z', 'a' - 'A');
}

int n_string_trim(struct call *c)
{
        struct pvm_text t = trimmed(self(c));

        return give(c, t.len == self(c)->len ? self(c) : string_new(t.p, t.len));
}

int n_string_codePoints(struct call *c)
{
        const struct string *s = self(c);
        int32_t n = 0;

        for (uint32_t i = 0; i < s->len; i++)
                n += (s->text[i] & 0xc0) != 0x80;
        return give_int(c, n);
}

int n_string_codePointAt(struct call *c)
{
        const struct string *s = self(c);
        const uint8_t *p = (const uint8_t *)s->text + c->args[1].i;

        if ((uint32_t)c->args[1].i >= s->len || !boundary(s, c->args[1].i))
                return throw_error(c, CLASS_error_bounds, "no character begins at byte %d of %u", c->args[1].i, s->len);
        if (*p < 0x80)
                return give_int(c, *p);
        if (*p < 0xe0)
                return give_int(c, (*p & 31) << 6 | (p[1] & 63));
        if (*p < 0xf0)
                return give_int(c, (*p & 15) << 12 | (p[1] & 63) << 6 | (p[2] & 63));
        return give_int(c, (*p & 7) << 18 | (p[1] & 63) << 12 | (p[2] & 63) << 6 | (p[3] & 63));
}

unsigned utf8_encode(uint32_t v, char *to)
{
        unsigned n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;

        for (unsigned i = n; i-- > 1; v >>= 6)
                to[i] = (char)(0x80 | (v & 63));
        to[0] = (char)(n == 1 ? v : (0xf00u >> n & 0xff) | v);
        return n;
}

int n_string_fromCodePoint(struct call *c)
{
        uint32_t v = (uint32_t)c->args[0].i;
        char t[4];

        if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
                return throw_error(c, CLASS_error_argument, "%d is not a code point", c->args[0].i);
        return give(c, string_new(t, utf8_encode(v, t)));
}

int n_string_toBinary(struct call *c)
{
        struct binary *b = heap_alloc(CLASS_binary, sizeof(*b), 0);
        struct store *s = store_new(CLASS_store_raw, self(c)->len, self(c)->len, 1);

        if (!b || !s)
                return OUT_OF_MEMORY(c);
        memcpy(s->b, self(c)->text, s->len);
        b->store = s;
        return give(c, b);
}

int n_string_split(struct call *c)
{
        const struct string *s = self(c), *by = STRING(c, 1);
        struct klass *k = class_find("[.internal.string;", 18);
        struct array *a;
        uint32_t n = 1, from = 0;
        int64_t at;
        int r;

        if (!want(c, 1, CLASS_string, &r))
                return r;
        if (!by->len)
                return throw_error(c, CLASS_error_argument, "split by nothing");
        for (at = search(s, by, 0); at >= 0; at = search(s, by, (uint32_t)at + by->len))
                n++;
        a = k ? array_new(k, (int32_t)n) : NULL;
        if (!a)
                return OUT_OF_MEMORY(c);
        for (uint32_t i = 0; i < n; i++) {
                at = i + 1 < n ? search(s, by, from) : s->len;
                a->store->r[i] = (struct obj *)string_new(s->text + from, (size_t)at - from);
                if (!a->store->r[i])
                        return OUT_OF_MEMORY(c);
                from = (uint32_t)at + by->len;
        }
        return give(c, a);
}

int n_string_replace(struct call *c)
{
        const struct string *s = self(c), *what = STRING(c, 1), *with = STRING(c, 2);
        struct string *result;
        uint32_t n = 0, from = 0;
        char *to;
        int r;

        if (!want(c, 1, CLASS_string, &r) || !want(c, 2, CLASS_string, &r))
                return r;
        if (!what->len)
                return throw_error(c, CLASS_error_argument, "nothing is to be replaced");
        for (int64_t at = search(s, what, 0); at >= 0; at = search(s, what, (uint32_t)at + what->len))
                n++;
        result = string_room(s->len - (size_t)n * what->len + (size_t)n * with->len);
        if (!result)
                return OUT_OF_MEMORY(c);
        to = result->text;
        for (int64_t at = search(s, what, 0); at >= 0; at = search(s, what, from)) {
                memcpy(to, s->text + from, (size_t)at - from);
                to += (size_t)at - from;
                memcpy(to, with->text, with->len);
                to += with->len;
                from = (uint32_t)at + what->len;
        }
        memcpy(to, s->text + from, s->len - from);
        return give(c, result);
}
