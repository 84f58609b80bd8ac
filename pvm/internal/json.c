/*
 * json.c - string.parseJson: JSON (RFC 8259) as objects of the machine. An object is a directory (of two members of one name the last counts), an array an untyped array; a number
 * without point and exponent is an int, or a long if it needs to be, any other a double; true is 1, false 0, as in the language.
 *
 * One native function, so one step: nothing is seen of it until it is done. What it needs meanwhile are objects too, dead afterwards; when there is no memory it is run again from the
 * start. Its depth is limited because it is the C stack's; its time is linear but for the sorting of members that are not sorted.
 */
#include "pvm/internal/internal.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define JSON_DEPTH 256 /* json.ph prints as deep */

struct json {
        struct call *call;
        const char *text;
        uint32_t at, len;
        struct store *
                pending; /* values, and names before theirs, of arrays and objects that are not complete; top is how many */
        uint32_t top;
        int status; /* of the function, once something has failed */
};

static bool no_memory(struct json *j)
{
        j->status = OUT_OF_MEMORY(j->call);
        return false;
}

/* Where we are is not what should be there. */
static bool bad(struct json *j, const char *expected)
{
        uint32_t line = 1, column = 1;
        unsigned n = 1;
        uint8_t ch;
        char found[16];

        for (uint32_t i = 0; i < j->at; i++) {
                if (j->text[i] == '\n') {
                        line++;
                        column = 1;
                } else {
                        column += (j->text[i] & 0xc0) != 0x80;
                }
        }
        if (j->at == j->len) {
                fmt_append(found, sizeof(found), 0, "the end");
        } else {
                ch = (uint8_t)j->text[j->at];
                n = ch < 0xc0 ? 1 : ch < 0xe0 ? 2 : ch < 0xf0 ? 3 : 4;
                if (ch < ' ' || ch == 0x7f)
                        fmt_append(found, sizeof(found), 0, "'\\x%02x'", ch);
                else
                        fmt_append(found, sizeof(found), 0, "'%.*s'", (int)n, j->text + j->at);
        }
        j->status = throw_error(j->call, CLASS_error_argument, "JSON, line %u, column %u: %s expected, found %s", line,
                                column, expected, found);
        return false;
}

static bool next_is(const struct json *j, char ch)
{
        return j->at < j->len && j->text[j->at] == ch;
}

static bool accept(struct json *j, char ch)
{
        bool is = next_is(j, ch);

        j->at += is;
        return is;
}

static bool next_is_digit(const struct json *j)
{
        return j->at < j->len && j->text[j->at] >= '0' && j->text[j->at] <= '9';
}

static void skip_blanks(struct json *j)
{
        while (next_is(j, ' ') || next_is(j, '\n') || next_is(j, '\r') || next_is(j, '\t'))
                j->at++;
}

static bool push(struct json *j, struct obj *o)
{
        if (j->top == j->pending->cap) {
                struct store *s = store_new(CLASS_store_refs, 2 * j->top, 2 * j->top, 8);

                if (!s)
                        return no_memory(j);
                memcpy(s->r, j->pending->r, j->top * 8ul);
                j->pending = s;
        }
        j->pending->r[j->top++] = o;
        return true;
}

/* ---- strings ---- */

static bool hex4(struct json *j, uint32_t *v)
{
        *v = 0;
        for (unsigned i = 0; i < 4; i++, j->at++) {
                char ch = j->at < j->len ? j->text[j->at] : 0, low = ch | 32;

                if (ch >= '0' && ch <= '9')
                        *v = *v << 4 | (uint32_t)(ch - '0');
                else if (low >= 'a' && low <= 'f')
                        *v = *v << 4 | (uint32_t)(low - 'a' + 10);
                else
                        return bad(j, "4 hexadecimal digits behind \\u");
        }
        return true;
}

/* Behind "\u": a code point; above U+FFFF two escapes are one. */
static bool unicode_escape(struct json *j, uint32_t *v)
{
        uint32_t start = j->at - 2, low;

        if (!hex4(j, v))
                return false;
        if (*v < 0xd800 || *v > 0xdfff)
                return true;
        if (*v < 0xdc00 && accept(j, '\\')) {
                if (!accept(j, 'u'))
                        return bad(j, "'u', the other half of a surrogate pair,");
                if (!hex4(j, &low))
                        return false;
                if (low >= 0xdc00 && low <= 0xdfff) {
                        *v = 0x10000 + ((*v - 0xd800) << 10) + (low - 0xdc00);
                        return true;
                }
        }
        j->at = start;
        return bad(j, "a pair of surrogates");
}

static bool escape(struct json *j, uint32_t *v)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

        if (accept(j, 'u'))
                return unicode_escape(j, v);
        for (unsigned i = 0; from[i]; i++)
                if (accept(j, from[i])) {
                        *v = (uint8_t)to[i];
                        return true;
                }
        return bad(j, "one of \"\\/bfnrtu behind a backslash");
}

/* What stands between the quotes, without escapes: how long it is and, if to is not NULL, the bytes. Up to the closing quote. */
static bool decode(struct json *j, char *to, size_t *len)
{
        char scratch[4];
        uint32_t v;

        for (*len = 0; !next_is(j, '"');) {
                if (j->at == j->len)
                        return bad(j, "'\"'");
                if ((uint8_t)j->text[j->at] < ' ')
                        return bad(j, "an escape for a control character");
                if (!accept(j, '\\')) {
                        if (to)
                                to[*len] = j->text[j->at];
                        ++*len;
                        j->at++;
                        continue;
                }
                if (!escape(j, &v))
                        return false;
                *len += utf8_encode(v, to ? to + *len : scratch);
        }
        return true;
}

static bool parse_string(struct json *j, struct obj **result)
{
        uint32_t start = ++j->at;
        struct string *s;
        size_t len;

        if (!decode(j, NULL, &len))
                return false;
        if (len == j->at - start) {
                s = string_new(j->text + start, len);
        } else {
                s = string_room(len);
                j->at = start;
                if (s)
                        decode(j, s->text, &len);
        }
        j->at++;
        *result = &s->o;
        return s || no_memory(j);
}

/* ---- numbers ---- */

static bool digits(struct json *j)
{
        if (!next_is_digit(j))
                return bad(j, "a digit");
        while (next_is_digit(j))
                j->at++;
        return true;
}

static bool parse_number(struct json *j, struct obj **result)
{
        uint32_t start = j->at;
        bool whole = true;
        slot v = {0};
        char type;

        accept(j, '-');
        if (!accept(j, '0') && !digits(j))
                return false;
        if (accept(j, '.')) {
                whole = false;
                if (!digits(j))
                        return false;
        }
        if (accept(j, 'e') || accept(j, 'E')) {
                whole = false;
                if (!accept(j, '-'))
                        accept(j, '+');
                if (!digits(j))
                        return false;
        }
        if (whole && parse_long(j->text + start, j->at - start, &v.l)) {
                type = v.l == (int32_t)v.l ? 'I' : 'L';
        } else {
                type = 'D';
                if (!parse_double(j->text + start, j->at - start, &v.d) || v.d - v.d != 0) {
                        j->at = start;
                        return bad(j, "a number that a double can hold");
                }
        }
        if (type == 'I')
                v.bits = (uint32_t)v.l;
        *result = box(type, v);
        return *result || no_memory(j);
}

/* ---- arrays, objects ---- */

static bool parse_value(struct json *j, unsigned depth, struct obj **result);

static bool parse_array(struct json *j, unsigned depth, struct obj **result)
{
        uint32_t base = j->top;
        struct array *a;
        struct obj *o;

        j->at++;
        skip_blanks(j);
        if (!accept(j, ']')) {
                do {
                        if (!parse_value(j, depth + 1, &o) || !push(j, o))
                                return false;
                } while (accept(j, ','));
                if (!accept(j, ']'))
                        return bad(j, "',' or ']'");
        }
        a = array_new(classes[CLASS_array_u], (int32_t)(j->top - base));
        if (!a)
                return no_memory(j);
        memcpy(a->store->r, j->pending->r + base, (j->top - base) * 8ul);
        j->top = base;
        *result = &a->o;
        return true;
}

static int compare_names(struct obj *const *a, struct obj *const *b)
{
        bool unordered;

        return value_compare(*a, *b, &unordered);
}

/* Sorts n pairs of name and value by name, those of one name as they came: merges runs that become longer. Where they are then: pairs or scratch. */
static struct obj **sort_pairs(struct obj **pairs, struct obj **scratch, uint32_t n)
{
        struct obj **from = pairs, **to = scratch;

        for (uint64_t run = 1; run < n; run *= 2) {
                struct obj **other = from;

                for (uint64_t low = 0; low < n; low += 2 * run) {
                        uint64_t a = low, mid = low + run < n ? low + run : n, b = mid,
                                 end = mid + run < n ? mid + run : n;

                        for (uint64_t i = low; i < end; i++) {
                                bool first = b == end || (a < mid && compare_names(from + 2 * a, from + 2 * b) <= 0);

                                memcpy(to + 2 * i, from + 2 * (first ? a++ : b++), 2 * sizeof(*to));
                        }
                }
                from = to;
                to = other;
        }
        return from;
}

/* The members that are pending from base on, as a directory. */
static bool make_directory(struct json *j, uint32_t base, struct obj **result)
{
        uint32_t n = (j->top - base) / 2, kept = 0;
        struct obj **pairs = j->pending->r + base;
        struct directory *d = heap_alloc(CLASS_directory, sizeof(*d), 0);
        struct store *scratch;
        bool sorted = true;

        if (!d)
                return no_memory(j);
        *result = &d->o;
        if (!n)
                return true;
        for (uint32_t i = 1; sorted && i < n; i++)
                sorted = compare_names(pairs + 2ul * i - 2, pairs + 2ul * i) < 0;
        d->keys = store_new(CLASS_store_refs, n, n, 8);
        d->values = store_new(CLASS_store_refs, n, n, 8);
        scratch = sorted ? j->pending : store_new(CLASS_store_refs, 2 * n, 2 * n, 8);
        if (!d->keys || !d->values || !scratch)
                return no_memory(j);
        if (!sorted)
                pairs = sort_pairs(pairs, scratch->r, n);
        for (uint32_t i = 0; i < n; i++) {
                kept -= kept && !compare_names(&d->keys->r[kept - 1], pairs + 2ul * i);
                d->keys->r[kept] = pairs[2ul * i];
                d->values->r[kept++] = pairs[2ul * i + 1];
        }
        for (uint32_t i = kept; i < n; i++)
                d->keys->r[i] = d->values->r[i] = NULL;
        d->keys->len = d->values->len = kept;
        j->top = base;
        return true;
}

static bool parse_object(struct json *j, unsigned depth, struct obj **result)
{
        uint32_t base = j->top;
        struct obj *o;

        j->at++;
        skip_blanks(j);
        if (!accept(j, '}')) {
                do {
                        skip_blanks(j);
                        if (!next_is(j, '"'))
                                return bad(j, "a name in quotes");
                        if (!parse_string(j, &o) || !push(j, o))
                                return false;
                        skip_blanks(j);
                        if (!accept(j, ':'))
                                return bad(j, "':'");
                        if (!parse_value(j, depth + 1, &o) || !push(j, o))
                                return false;
                } while (accept(j, ','));
                if (!accept(j, '}'))
                        return bad(j, "',' or '}'");
        }
        return make_directory(j, base, result);
}

static bool parse_word(struct json *j, struct obj **result)
{
        static const struct {
                const char *word;
                char type;
                int32_t value;
        } words[] = {{"null", 'R', 0}, {"true", 'I', 1}, {"false", 'I', 0}};

        for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                size_t n = strlen(words[i].word);

                if (j->len - j->at < n || memcmp(j->text + j->at, words[i].word, n) != 0)
                        continue;
                j->at += (uint32_t)n;
                *result = box(words[i].type, (slot){.bits = (uint32_t)words[i].value});
                return *result || words[i].type == 'R' || no_memory(j);
        }
        return bad(j, "a value");
}

/* One value, and the blanks around it. */
static bool parse_value(struct json *j, unsigned depth, struct obj **result)
{
        bool done;

        skip_blanks(j);
        if ((next_is(j, '[') || next_is(j, '{')) && depth == JSON_DEPTH)
                return bad(j, "nothing nested deeper than 256");
        if (next_is(j, '['))
                done = parse_array(j, depth, result);
        else if (next_is(j, '{'))
                done = parse_object(j, depth, result);
        else if (next_is(j, '"'))
                done = parse_string(j, result);
        else if (next_is(j, '-') || next_is_digit(j))
                done = parse_number(j, result);
        else
                done = parse_word(j, result);
        skip_blanks(j);
        return done;
}

int n_string_parseJson(struct call *c)
{
        const struct string *s = (struct string *)OBJECT(c);
        struct json j = {.call = c, .text = s->text, .len = s->len, .pending = store_new(CLASS_store_refs, 64, 64, 8)};
        struct obj *result;

        if (!j.pending)
                return OUT_OF_MEMORY(c);
        if (!parse_value(&j, 0, &result))
                return j.status;
        if (j.at < j.len) {
                bad(&j, "the end");
                return j.status;
        }
        c->result.r = result;
        return DONE;
}
