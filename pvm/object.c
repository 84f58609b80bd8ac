/*
 * object.c - the objects that the machine itself knows: strings, numbers' objects, arrays, directories.
 * All that allocate return NULL, or false, when there is no memory, and have changed nothing then.
 */
#include "pvm/machine.h"
#include "kernel/lib/string.h"

/* ---- strings ---- */

struct string *string_room(size_t len)
{
        struct string *s;

        if (len > INT32_MAX - 64)
                return NULL;
        s = heap_alloc(CLASS_string, sizeof(*s) + len + 1, 0);
        if (s)
                s->len = (uint32_t)len;
        return s;
}

struct string *string_new(const char *text, size_t len)
{
        struct string *s = string_room(len);

        if (s)
                memcpy(s->text, text, len);
        return s;
}

struct string *string_of_number(char type, slot v)
{
        char buf[40];

        return string_new(buf, format_number(type, v, buf));
}

uint32_t bytes_hash(const void *p, size_t len)
{
        const uint8_t *b = p;
        uint32_t h = 2166136261u;

        while (len--)
                h = (h ^ *b++) * 16777619u;
        return h ^ h >> 15;
}

/* ---- identity ---- */

uint32_t obj_identity(struct obj *o)
{
        return o->info & OBJ_RELAID ? obj_trailer(o)->identity : (uint32_t)((uint64_t)o * 0x9e3779b97f4a7c15ul >> 33);
}

/* ---- arrays ---- */

unsigned array_element_bytes(enum array_kind kind)
{
        return kind == ARRAY_I || kind == ARRAY_F ? 4 : 8;
}

struct store *store_new(uint32_t class, uint32_t len, uint32_t cap, unsigned element_bytes)
{
        struct store *s = heap_alloc(class, sizeof(*s) + (size_t)cap * element_bytes, 0);

        if (s) {
                s->len = len;
                s->cap = cap;
        }
        return s;
}

struct array *array_new(struct klass *k, int32_t len)
{
        unsigned each = array_element_bytes(k->array);
        struct store *s =
                store_new(k->array == ARRAY_R ? CLASS_store_refs : CLASS_store_raw, (uint32_t)len, (uint32_t)len, each);
        struct array *a = s ? heap_alloc(k->index, sizeof(*a), ARRAY_BITS(k->array)) : NULL;

        if (a)
                a->store = s;
        return a;
}

/* With the machine's lock: native functions see neither an array's store nor its length change. */
static struct store *grow(struct array *a, uint32_t index)
{
        struct store *old = a->store, *new;
        unsigned each = array_element_bytes(array_kind(&a->o));
        uint64_t cap = old->cap + old->cap / 2ul + 4;

        if (index < old->len)
                return old;
        if (index < old->cap) {
                memset(old->b + (size_t)old->len * each, 0, (size_t)(index + 1 - old->len) * each);
                __atomic_store_n(&old->len, index + 1, __ATOMIC_RELEASE);
                return old;
        }
        if (cap <= index)
                cap = index + 1ul;
        if (cap > INT32_MAX)
                cap = INT32_MAX;
        new = store_new(old->o.class, index + 1, (uint32_t)cap, each);
        if (!new)
                return NULL;
        memcpy(new->b, old->b, (size_t)old->len * each);
        __atomic_store_n(&a->store, new, __ATOMIC_RELEASE);
        heap_wrote(a);
        return new;
}

struct store *array_grow(struct array *a, uint32_t index)
{
        struct store *s;

        machine_lock();
        s = grow(a, index);
        machine_unlock();
        return s;
}

/* ---- numbers ---- */

struct obj *box(char type, slot v)
{
        struct box32 *b32;
        struct box64 *b64;

        switch (type) {
        case 'R':
                return v.r;
        case 'I':
        case 'F':
                b32 = heap_alloc(type == 'I' ? CLASS_int : CLASS_float, sizeof(*b32), 0);
                if (b32)
                        b32->i = v.i;
                return (struct obj *)b32;
        default:
                b64 = heap_alloc(type == 'L' ? CLASS_long : CLASS_double, sizeof(*b64), 0);
                if (b64)
                        b64->l = v.l;
                return (struct obj *)b64;
        }
}

bool is_number(const struct obj *o)
{
        return o->class == CLASS_int || o->class == CLASS_long || o->class == CLASS_float || o->class == CLASS_double;
}

char number_type(const struct obj *o)
{
        return o->class == CLASS_int ? 'I' : o->class == CLASS_long ? 'L' : o->class == CLASS_float ? 'F' : 'D';
}

bool unbox(struct obj *o, char type, slot *v)
{
        const struct box32 *b32 = (const void *)o;
        const struct box64 *b64 = (const void *)o;

        switch (o->class) {
        case CLASS_int:
                if (type == 'I')
                        v->bits = (uint32_t)b32->i;
                else if (type == 'L')
                        v->l = b32->i;
                else if (type == 'F')
                        *v = (slot){.f = (float)b32->i};
                else if (type == 'D')
                        v->d = b32->i;
                else
                        return false;
                return true;
        case CLASS_long:
                if (type == 'L')
                        v->l = b64->l;
                else if (type == 'F')
                        *v = (slot){.f = (float)b64->l};
                else if (type == 'D')
                        v->d = (double)b64->l;
                else
                        return false;
                return true;
        case CLASS_float:
                if (type == 'F')
                        *v = (slot){.f = b32->f};
                else if (type == 'D')
                        v->d = (double)b32->f;
                else
                        return false;
                return true;
        case CLASS_double:
                if (type != 'D')
                        return false;
                v->d = b64->d;
                return true;
        default:
                return false;
        }
}

int value_compare(const struct obj *a, const struct obj *b, bool *unordered)
{
        slot x, y;

        *unordered = false;
        if (a->class == CLASS_string && b->class == CLASS_string) {
                const struct string *s = (const void *)a, *t = (const void *)b;
                int d = memcmp(s->text, t->text, s->len < t->len ? s->len : t->len);

                return d ? (d > 0) - (d < 0) : (s->len > t->len) - (s->len < t->len);
        }
        if (!is_number(a) || !is_number(b))
                return -2;
        if (unbox((struct obj *)a, 'L', &x) && unbox((struct obj *)b, 'L', &y))
                return (x.l > y.l) - (x.l < y.l);
        unbox((struct obj *)a, 'D', &x);
        unbox((struct obj *)b, 'D', &y);
        *unordered = x.d != x.d || y.d != y.d;
        return (x.d > y.d) - (x.d < y.d);
}

bool value_equal(const struct obj *a, const struct obj *b, bool *known)
{
        bool unordered, plain_a, plain_b;

        *known = true;
        if (a == b)
                return true;
        if (!a || !b)
                return false;
        plain_a = is_number(a) || a->class == CLASS_string;
        plain_b = is_number(b) || b->class == CLASS_string;
        if (plain_a && plain_b)
                return value_compare(a, b, &unordered) == 0 && !unordered;
        *known = plain_a;
        return false;
}

double fmod_exact(double a, double b)
{
        /* fprem is exact, and takes 63 bits of the quotient at most at a time. */
        long double x = a;

        __asm__("1: fprem\n\tfnstsw %%ax\n\ttestb $4, %%ah\n\tjnz 1b" : "+t"(x) : "u"((long double)b) : "ax", "cc");
        return (double)x;
}

/* ---- decimal and binary, exactly: natural numbers of up to 5,120 bits ---- */

#define BIG_WORDS 160
struct big {
        unsigned n;
        uint32_t w[BIG_WORDS];
};

static void big_set(struct big *b, uint64_t v)
{
        b->w[0] = (uint32_t)v;
        b->w[1] = (uint32_t)(v >> 32);
        b->n = b->w[1] ? 2 : b->w[0] ? 1 : 0;
}

static void big_mul(struct big *b, uint32_t by)
{
        uint64_t carry = 0;

        for (unsigned i = 0; i < b->n; i++) {
                carry += (uint64_t)b->w[i] * by;
                b->w[i] = (uint32_t)carry;
                carry >>= 32;
        }
        if (carry)
                b->w[b->n++] = (uint32_t)carry;
}

static void big_pow10(struct big *b, unsigned e)
{
        for (; e >= 9; e -= 9)
                big_mul(b, 1000000000);
        for (; e; e--)
                big_mul(b, 10);
}

static void big_shl(struct big *b, unsigned bits)
{
        unsigned words = bits / 32;

        bits %= 32;
        if (!b->n)
                return;
        if (words) {
                memmove(b->w + words, b->w, b->n * sizeof(*b->w));
                memset(b->w, 0, words * sizeof(*b->w));
                b->n += words;
        }
        if (bits)
                big_mul(b, 1u << bits);
}

static int big_cmp(const struct big *a, const struct big *b)
{
        if (a->n != b->n)
                return a->n < b->n ? -1 : 1;
        for (unsigned i = a->n; i--;)
                if (a->w[i] != b->w[i])
                        return a->w[i] < b->w[i] ? -1 : 1;
        return 0;
}

static void big_add(struct big *a, const struct big *b)
{
        uint64_t carry = 0;

        for (unsigned i = 0; i < a->n || i < b->n || carry; i++) {
                carry += (i < a->n ? a->w[i] : 0ul) + (i < b->n ? b->w[i] : 0ul);
                a->w[i] = (uint32_t)carry;
                carry >>= 32;
                if (i >= a->n)
                        a->n = i + 1;
        }
}

/* a >= b */
static void big_sub(struct big *a, const struct big *b)
{
        int64_t borrow = 0;

        for (unsigned i = 0; i < a->n; i++) {
                borrow += (int64_t)a->w[i] - (i < b->n ? b->w[i] : 0);
                a->w[i] = (uint32_t)borrow;
                borrow >>= 32;
        }
        while (a->n && !a->w[a->n - 1])
                a->n--;
}

static unsigned big_bits(const struct big *b)
{
        return b->n ? b->n * 32 - (unsigned)__builtin_clz(b->w[b->n - 1]) : 0;
}

static unsigned big_digit(struct big *r, const struct big *s)
{
        unsigned d = 0;

        while (big_cmp(r, s) >= 0)
                big_sub(r, s), d++;
        return d;
}

/*
 * The shortest digits that read back as m * 2^e (Steele and White 1990; Burger and Dybvig 1996). narrow: m is the least of its binade, so that the number
 * below is half as far away. Returns how many; the number is 0.d1d2... * 10^*point.
 */
static unsigned shortest(uint64_t m, int e, bool narrow, char *digits, int *point)
{
        struct big r, s, up, down, high;
        bool even = !(m & 1);
        unsigned n = 0;
        /* An estimate of the decimal exponent, never too great: log10(2) is 0.30103. */
        int bits = (e + 63 - __builtin_clzl(m)) * 3010, k = bits / 10000 - (bits < 0);

        big_set(&r, m);
        big_set(&s, 1);
        big_set(&up, 1);
        big_shl(&r, (unsigned)(e > 0 ? e : 0) + 1 + narrow);
        big_shl(&s, (unsigned)(e < 0 ? -e : 0) + 1 + narrow);
        big_shl(&up, (unsigned)(e > 0 ? e : 0) + narrow);
        big_set(&down, 1);
        big_shl(&down, (unsigned)(e > 0 ? e : 0));
        if (k > 0)
                big_pow10(&s, (unsigned)k);
        if (k < 0) {
                big_pow10(&r, (unsigned)-k);
                big_pow10(&up, (unsigned)-k);
                big_pow10(&down, (unsigned)-k);
        }
        for (;;) {
                high = r;
                big_add(&high, &up);
                if (even ? big_cmp(&high, &s) < 0 : big_cmp(&high, &s) <= 0)
                        break;
                big_mul(&s, 10);
                k++;
        }
        *point = k;
        for (;;) {
                bool low, over;
                unsigned d;

                big_mul(&r, 10);
                big_mul(&up, 10);
                big_mul(&down, 10);
                d = big_digit(&r, &s);
                high = r;
                big_add(&high, &up);
                low = even ? big_cmp(&r, &down) <= 0 : big_cmp(&r, &down) < 0;
                over = even ? big_cmp(&high, &s) >= 0 : big_cmp(&high, &s) > 0;
                if (!low && !over) {
                        digits[n++] = (char)('0' + d);
                        continue;
                }
                if (low && over) {
                        big_mul(&r, 2);
                        over = big_cmp(&r, &s) >= 0;
                }
                digits[n++] = (char)('0' + d + over);
                return n;
        }
}

static size_t put_int(char *buf, uint64_t v)
{
        char t[24];
        size_t n = 0, len;

        do
                t[n++] = (char)('0' + v % 10);
        while (v /= 10);
        for (len = n; n; n--)
                *buf++ = t[n - 1];
        return len;
}

static size_t put_text(char *buf, const char *text)
{
        size_t n = 0;

        for (; text[n]; n++)
                buf[n] = text[n];
        return n;
}

static size_t format_float(uint64_t bits, unsigned mantissa, int bias, char *buf)
{
        uint64_t m = bits & ((1ul << mantissa) - 1), top = mantissa == 52 ? 0x7ff : 0xff;
        uint64_t e = bits >> mantissa & top;
        char digits[20], *p = buf;
        int point;
        unsigned n;

        if (e == top && m)
                return put_text(buf, "nan");
        if (bits >> (mantissa == 52 ? 63 : 31))
                *p++ = '-';
        if (e == top)
                return (size_t)(p - buf) + put_text(p, "inf");
        if (!e && !m)
                return (size_t)(p - buf) + put_text(p, "0.0");
        n = shortest(e ? m | 1ul << mantissa : m, (int)(e ? e : 1) - bias - (int)mantissa, !m && e > 1, digits, &point);
        if (point > 16 || point < -3) {
                *p++ = digits[0];
                if (n > 1) {
                        *p++ = '.';
                        memcpy(p, digits + 1, n - 1);
                        p += n - 1;
                }
                *p++ = 'e';
                *p++ = point > 0 ? '+' : '-';
                if (point > -9 && point < 11 && (point > 0 ? point - 1 : 1 - point) < 10)
                        *p++ = '0';
                p += put_int(p, (uint64_t)(point > 0 ? point - 1 : 1 - point));
                return (size_t)(p - buf);
        }
        if (point <= 0) {
                p += put_text(p, "0.");
                for (; point < 0; point++)
                        *p++ = '0';
                memcpy(p, digits, n);
                return (size_t)(p - buf) + n;
        }
        for (unsigned i = 0; i < n || (int)i < point; i++) {
                if ((int)i == point)
                        *p++ = '.';
                *p++ = i < n ? digits[i] : '0';
        }
        if ((int)n <= point)
                p += put_text(p, ".0");
        return (size_t)(p - buf);
}

size_t format_number(char type, slot v, char *buf)
{
        int64_t l = type == 'I' ? v.i : v.l;
        size_t sign = l < 0;

        if (type == 'F')
                return format_float((uint32_t)v.i, 23, 127, buf);
        if (type == 'D')
                return format_float(v.bits, 52, 1023, buf);
        if (sign)
                *buf = '-';
        return sign + put_int(buf + sign, sign ? 0 - (uint64_t)l : (uint64_t)l);
}

/* num / den, rounded to nearest even, as a double. */
static double big_ratio(struct big *num, struct big *den, bool sticky)
{
        /* Quotients of 64 or 65 bits: 53 and more for the rounding. */
        int shift = 64 - ((int)big_bits(num) - (int)big_bits(den));
        uint64_t q = 0;
        int e, keep;

        if (shift > 0)
                big_shl(num, (unsigned)shift);
        else
                big_shl(den, (unsigned)-shift);
        if (big_cmp(num, den) < 0)
                return 0;
        /* Bit by bit from the top: den << 64 is at most num's length. */
        for (int i = 64; i >= 0; i--) {
                struct big d = *den;

                big_shl(&d, (unsigned)i);
                if (big_cmp(num, &d) < 0)
                        continue;
                if (i == 64) { /* 65 bits: one less will do */
                        big_sub(num, &d);
                        q = 1;
                        for (i = 63; i >= 1; i--) {
                                d = *den;
                                big_shl(&d, (unsigned)i);
                                q <<= 1;
                                if (big_cmp(num, &d) >= 0) {
                                        big_sub(num, &d);
                                        q |= 1;
                                }
                        }
                        shift--;
                        break;
                }
                big_sub(num, &d);
                q |= 1ul << i;
        }
        sticky |= num->n != 0;
        /* value = q * 2^-shift; q has 63 or 64 bits */
        e = 63 - __builtin_clzl(q) - shift;
        if (e > 1023)
                return __builtin_inf();
        keep = e >= -1022 ? 53 : 53 - (-1022 - e);
        if (keep < 0)
                return 0;
        int drop = 64 - __builtin_clzl(q) - keep;
        uint64_t m = drop >= 64 ? 0 : q >> drop, rest = drop >= 64 ? q : q & ((1ul << drop) - 1),
                 half = 1ul << (drop - 1);

        if (rest > half || (rest == half && (sticky || m & 1)))
                m++;
        /* The bits of the result: a mantissa that overflows raises the exponent, which is right. */
        uint64_t bits = e >= -1022 ? ((uint64_t)(e + 1022) << 52) + m : m;
        slot v = {.bits = bits};

        return v.d;
}

bool parse_long(const char *p, size_t len, int64_t *v)
{
        bool minus = len && *p == '-';
        uint64_t n = 0, most = INT64_MAX + (uint64_t)minus;

        if (len == minus)
                return false;
        for (size_t i = minus; i < len; i++) {
                uint64_t d = (uint64_t)(p[i] - '0');

                if (d > 9 || n > (most - d) / 10)
                        return false;
                n = n * 10 + d;
        }
        *v = (int64_t)(minus ? 0 - n : n);
        return true;
}

bool parse_double(const char *p, size_t len, double *v)
{
        const char *end = p + len;
        struct big num = {0}, den;
        int e = 0, point = 0, digits = 0;
        bool negative = false, any = false, sticky = false, after = false;

        if (p < end && (*p == '-' || *p == '+'))
                negative = *p++ == '-';
        for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !after)); p++) {
                if (*p == '.') {
                        after = true;
                        continue;
                }
                any = true;
                /* No double, nor the middle between two, has more than 768 digits. */
                if (digits == 780) {
                        sticky |= *p != '0';
                        point -= !after;
                } else {
                        big_mul(&num, 10);
                        if (*p != '0') {
                                big_set(&den, (uint64_t)(*p - '0'));
                                big_add(&num, &den);
                        }
                        digits += num.n != 0;
                        point += after;
                }
                if (point > 100000 || point < -100000)
                        return false;
        }
        if (!any)
                return false;
        if (p < end && (*p == 'e' || *p == 'E')) {
                bool minus = false;

                p++;
                if (p < end && (*p == '-' || *p == '+'))
                        minus = *p++ == '-';
                if (p == end)
                        return false;
                for (; p < end && *p >= '0' && *p <= '9'; p++)
                        if (e < 100000)
                                e = e * 10 + (*p - '0');
                e = minus ? -e : e;
        }
        if (p != end)
                return false;
        e -= point;
        *v = 0;
        if (num.n && digits + e > 310) {
                *v = __builtin_inf();
        } else if (num.n && digits + e >= -345) {
                big_set(&den, 1);
                big_pow10(e < 0 ? &den : &num, (unsigned)(e < 0 ? -e : e));
                *v = big_ratio(&num, &den, sticky);
        }
        if (negative)
                *v = -*v;
        return true;
}

/* ---- directories: two arrays, sorted by key ---- */

bool directory_find(const struct directory *d, struct string *key, uint32_t *at)
{
        uint32_t low = 0, high = d->keys ? d->keys->len : 0;
        bool unordered;

        while (low < high) {
                uint32_t mid = low + (high - low) / 2;
                int c = value_compare(&key->o, d->keys->r[mid], &unordered);

                if (!c) {
                        *at = mid;
                        return true;
                }
                if (c < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        *at = low;
        return false;
}

static struct store *with_hole(const struct store *old, uint32_t cap, uint32_t at)
{
        struct store *new = store_new(CLASS_store_refs, (old ? old->len : 0) + 1, cap, 8);

        if (new &&old) {
                memcpy(new->r, old->r, at * 8ul);
                memcpy(new->r + at + 1, old->r + at, (old->len - at) * 8ul);
        }
        return new;
}

bool directory_put(struct directory *d, struct string *key, struct obj *value)
{
        uint32_t at, len = d->keys ? d->keys->len : 0, cap = d->keys ? d->keys->cap : 0;

        if (directory_find(d, key, &at)) {
                d->values->r[at] = value;
                heap_wrote(&d->values->r[at]);
                return true;
        }
        if (len == cap) {
                struct store *keys = with_hole(d->keys, cap + cap / 2 + 4, at),
                             *values = with_hole(d->values, cap + cap / 2 + 4, at);

                if (!keys || !values)
                        return false;
                d->keys = keys;
                d->values = values;
                heap_wrote(d);
        } else {
                memmove(d->keys->r + at + 1, d->keys->r + at, (len - at) * 8ul);
                memmove(d->values->r + at + 1, d->values->r + at, (len - at) * 8ul);
                d->keys->len++;
                d->values->len++;
        }
        d->keys->r[at] = &key->o;
        d->values->r[at] = value;
        heap_wrote_elements(d->keys, at, len + 1 - at);
        heap_wrote_elements(d->values, at, len + 1 - at);
        return true;
}
