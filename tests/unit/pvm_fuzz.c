/*
 * pvm_fuzz.c - class files that somebody has tampered with: the loader and the verifier look at each in memory of its exact size, under the sanitizers; what they
 * accept is run for a while, in a hostile machine, and the heap must be whole afterwards. Half of them come as a new version of the class that they were made of, while that
 * runs, and go again.
 *
 * Mutations know the format: numbers in headers, tables and pool, instructions and their operands, register types, texts; one to four at a time. PVM_FUZZ_FILES and
 * PVM_FUZZ_SEED say how many and which. A failure names the seed of its file.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pvm/dis.h"
#include "pvm/host/host.h"
#include "pvm/machine.h"
#include "tests/pvm/asm.h"

static const char *const programs[] = {
        "class .main\nsource m.ph\nfield a i\nfield b u\nfield static c l\nfield private d d\nmethod .new()v RI\n LDI "
        "r1 5\n SETF r1 r0 .main a i\n RETN\n"
        "method static .static()v L\n LDL r0 7\n SETS r0 .main c l\n RETN\n"
        "method run(u)v ordinal 8 RRRIILFDRR\n line 1\na:\n LDI r3 20\n NEWARR r2 r3 i\n LDI r4 0\nl:\n AST_I r4 r2 "
        "r4\n ALD_I r3 r2 r4\n ADDI_I r4 r4 1\n JLTI_I r4 30 l\n"
        " LDK r8 string \"text\"\n CONCAT r8 r8 r4 r5 r6 r7\n CALLV r9 .internal.bootstrap consolePrint(u)v r1 r8\n "
        "NEW r9 .main\n CALLC r8 .main .new()v r9\n GETF r3 r9 .main a i\n SETF r8 r9 .main b u\n"
        " GETS r5 .main c l\n BOX r8 r5\n CALLV r3 .main f(iu)i r9 r3 r8\n CALLN r8 f r9 r8 r8\n TOSTR r8 r9\n CALLO "
        "r8 5 r9\n DIV_I r3 r3 r4\n I2D r7 r3\n D2I r3 r7\nb:\n RETN\nc:\n line 5\n CALLV r8 .internal.object "
        "toString().internal.string; r2\n RETHROW r2\n catch a b c all r2\n"
        "method f(iu)i RIRIR\n TSWITCH r1 4 o x y\nx:\n LDK r3 int 100000\n RET r3\ny:\n LSWITCH r1 o 5 x 9 o\no:\n "
        "CAST r4 r2 .internal.long;\n UNBOX r3 r0\n RET r3\n",

        "class .main extends .internal.error implements .face\nfield m .internal.mutex;\nmethod go(l)l ordinal 30 "
        "RLLI\n SHLI_L r2 r1 3\n USHR_L r2 r2 r3\n RET r2\n"
        "method run(u)v ordinal 8 RRRRIFDRL\n NEW r2 .internal.mutex\n CALLV r3 .internal.mutex lock()v r2\n SETF r2 "
        "r0 .main m .internal.mutex;\n LDK r7 class .main\n NEWD r3 r7\n CASTD r3 r3 r7\n INSTOFD r4 r3 r7\n"
        " LDK r6 double 2.5\n MUL_D r6 r6 r6\n D2F r5 r6\n NEG_F r5 r5\n LDL r8 3\n CALLV r8 .face go(l)l r0 r8\n LDI "
        "r4 3\n NEWARR r7 r4 [.main;\n AST_R r7 r7 r4\n ALD_R r3 r7 r4\n LEN r4 r7\n LDK r7 bytes \"abcd\"\n LDI r4 "
        "2\n LDB r4 r7 r4\n"
        " VEQ r4 r7 r3\n SSAME r4 r7 r7\n LDK r2 string \"go\"\n CALLV r3 .internal.object clone()u r0\n VLT r4 r2 "
        "r2\n THROW r0\n",

        "class .main\nmethod static g(u)u RI\n JNULL r0 n\n LDI r1 1\n JEQ_I r1 r1 e\nn:\n LDI r1 0\ne:\n RET "
        "r0\nmethod run(u)v ordinal 8 RRRIR\n NEW r2 .internal.directory\n LDK r4 string \"k\"\n CALLV r4 "
        ".internal.directory put(.internal.string;u)v r2 r4 r2\n"
        " CALLN r4 iterate r2\n CALLN r4 next r4\n CALLS r4 .main g(u)u r4\n NEW r4 .internal.weakref\n CALLC r2 "
        ".internal.weakref .new(u)v r4 r0\n CALLV r2 .internal.weakref get()u r4\n NEW r4 .internal.thread\n"
        " CALLC r2 .internal.thread .new(u)v r4 r1\n CALLV r2 .internal.thread start()v r4\n LDI r3 1\n CALLV r2 "
        ".internal.bootstrap sleep(i)v r1 r3\n CALLV r2 .internal.bootstrap createBinary(i).internal.binary; r1 r3\n "
        "LDI r3 0\n STB r3 r2 r3\n"
        " CALLV r2 .internal.thread join()v r4\n CALLD r2 r2 r4\n RETN\n",

        "class .main\nfield a i\nfield b u\nfield private c l\nfield static s u\nmethod migrate()v RLI\n LDL r1 5\n "
        "SETF r1 r0 .main c l\n GETF r2 r0 .main a i\n ADDI_I r2 r2 1\n SETF r2 r0 .main a i\n RETN\n"
        "method private use(i)i RIIL\n GETF r2 r0 .main a i\n ADD_I r1 r1 r2\n SETF r1 r0 .main a i\n GETF r3 r0 .main "
        "c "
        "l\n SETF r0 r0 .main b u\n RET r1\n"
        "method static hold(.main;i)i RII\n GETF r2 r0 .main a i\n RET r2\n"
        "method run(u)v ordinal 8 RRRRIIR\n LDI r4 0\nl:\n NEW r2 .main\n SETF r2 r0 .main b u\n CLOSURE r3 .main "
        "hold(.main;i)i r2\n SETS r3 .main s u\n CALLC r5 .main use(i)i r0 r4\n CALLC r5 .main use(i)i r2 r5\n BOX r6 "
        "r5\n CALLV r6 .internal.closure call(u)u r3 r6\n ADDI_I r4 r4 1\n JLTI_I r4 20 l\n RETN\n",

        "class .main\nfield static kept u\nmethod static add(il)l ILL\n I2L r2 r0\n ADD_L r1 r1 r2\n RET r1\n"
        "method private static all(.internal.string;fd.main;u)u RFDRRR\n CONCAT r5 r0 r1 r2 r4\n RET r5\n"
        "method static none()v R\n GETS r0 .main kept u\n RETN\n"
        "method private static boot(.internal.closure;u)v RRRI\n LDI r3 3\n BOX r2 r3\n CALLV r2 .internal.closure "
        "call(u)u "
        "r0 r2\n SETS r2 .main kept u\n RETN\n"
        "method run(u)v ordinal 8 RRRRRIFDL\n line 1\na:\n LDI r5 5\n LDL r8 6\n CLOSURE r2 .main add(il)l r5\n BOX r3 "
        "r8\n"
        " CALLV r4 .internal.closure call(u)u r2 r3\n CALLN r4 call r2 r4\n CLOSURE r3 .main "
        "boot(.internal.closure;u)v r2\n"
        " NEW r4 .internal.thread\n CALLC r3 .internal.thread .new(u)v r4 r3\n CALLV r3 .internal.thread start()v r4\n"
        " LDK r3 string \"s\"\n LDF r6 2\n LDD r7 3\n CLOSURE r2 .main all(.internal.string;fd.main;u)u r3 r6 r7 r0\n"
        " CALLV r3 .internal.closure call(u)u r2 r3\n CLOSURE r2 .main all(.internal.string;fd.main;u)u r3 r6\n"
        " BOX r4 r7\n CALLV r3 .internal.closure call(uuu)u r2 r4 r0 r3\n CLOSURE r3 .main none()v\n SETS r3 .main "
        "kept u\n"
        " CALLV r3 .internal.object clone()u r3\n CALLV r3 .internal.closure call()u r3\n"
        " CALLC r3 .internal.closure .new(u.internal.string;)v r2 r0 r3\nb:\n"
        " CALLV r3 .internal.closure call(uuuu)u r2 r2 r2 r2 r2\n RETN\nc:\n RETN\n catch a b c .internal.error.cast "
        "r3\n",

        /* No object of it can be made: this is for who reads it. */
        "class .main abstract\nfield a [i\nfield b [[l\nfield c [f\nfield private e [d\nmethod abstract f(iii)[i\n"
        "method abstract public g([[[[[[[[l.main;)v\n"
        "method static h([i[l[f[d)[d RRRRR\n LDK r4 string "
        "\"\xe0\xa0\x80\xe1\x80\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf1\x80\x80\x80\xf4\x8f\xbf\xbf\xc3\xa4\"\n RET r3\n"
        "method run(u)v ordinal 8 RRRI\n CALLV r2 .main f(iii)[i r0 r3 r3 r3\n RETN\n",
};
#define NPROGRAMS (sizeof(programs) / sizeof(programs[0]))

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        return (uint32_t)((rng >> 20) % below);
}

static uint32_t number(uint32_t old, size_t size)
{
        static const uint32_t special[] = {0,      1,       2,          3,          4,          7,
                                           8,      0x7f,    0x80,       0xff,       0x100,      0x7fff,
                                           0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};

        switch (rnd(5)) {
        case 0:
                return special[rnd(sizeof(special) / sizeof(special[0]))];
        case 1:
                return old + 1;
        case 2:
                return old - 1;
        case 3:
                return rnd((uint32_t)size + 8);
        default:
                return old ^ 1u << rnd(32);
        }
}

static void change16(uint8_t *p, size_t size)
{
        uint16_t v;

        memcpy(&v, p, 2);
        v = (uint16_t)number(v, size);
        memcpy(p, &v, 2);
}

static void change32(uint8_t *p, size_t size)
{
        uint32_t v;

        memcpy(&v, p, 4);
        v = number(v, size);
        memcpy(p, &v, 4);
}

/* One change somewhere in a table of n rows. */
static void in_table(uint8_t *file, size_t size, uint32_t at, uint32_t n, size_t each)
{
        size_t where;

        if (!n)
                return;
        where = at + rnd(n) * each + rnd((uint32_t)each / 2) * 2;
        if (where + 4 > size)
                return;
        if (rnd(2))
                change16(file + where, size);
        else
                change32(file + (where & ~3ul), size);
}

/* The file is well formed before the first change only: offsets are looked at again. */
static void mutate(uint8_t *file, size_t size, const struct pvm_file_header *h, const struct pvm_file_method *methods)
{
        const struct pvm_file_method *m = &methods[rnd(h->nmethods)];
        const struct pvm_file_pool *text = (const void *)(file + h->pool + rnd(h->npool) * sizeof(*text));
        size_t at;

        while (!m->ncode)
                m++; /* the last one has code */
        switch (rnd(11)) {
        case 0:
                in_table(file, size, 0, 1, sizeof(*h));
                break;
        case 1:
                in_table(file, size, h->pool, h->npool, sizeof(struct pvm_file_pool));
                break;
        case 2:
                in_table(file, size, h->methods, h->nmethods, sizeof(*m));
                in_table(file, size, h->fields, rnd(4) ? 0 : h->nfields, sizeof(struct pvm_file_field));
                break;
        case 3:
        case 4: /* an opcode, or an operand */
                at = m->code + rnd(m->ncode) * 4 + (rnd(3) ? rnd(4) : 0);
                file[at] = (uint8_t)(rnd(2) ? rnd(PVM_OP_COUNT) : rnd(12));
                break;
        case 5: /* one instruction's first word in place of another's */
                memcpy(file + m->code + rnd(m->ncode) * 4, file + m->code + rnd(m->ncode) * 4, 4);
                break;
        case 6:
                change32(file + m->code + rnd(m->ncode) * 4, m->ncode);
                break;
        case 7:
                if (m->nregs)
                        file[m->types + rnd(m->nregs)] = (uint8_t) "ILFDR"[rnd(5)];
                break;
        case 8:
                in_table(file, size, m->handlers, m->nhandlers, sizeof(struct pvm_file_handler));
                in_table(file, size, m->lines, rnd(4) ? 0 : m->nlines, sizeof(struct pvm_file_line));
                break;
        case 9: /* of a name or a descriptor */
                if (text->tag == PVM_POOL_UTF8 && text->c && text->b < size && text->c <= size - text->b)
                        file[text->b + rnd(text->c)] = (uint8_t) "..[[iu;()/ \xe0\x80\xf4"[rnd(14)];
                break;
        default:
                file[sizeof(*h) + rnd((uint32_t)(size - sizeof(*h)))] ^= (uint8_t)(1u << rnd(8));
        }
}

static unsigned safepoints;
/* The file and what it was made of take turns: at safepoints, from this one on. 0: never. */
static unsigned first_upgrade;
static const uint8_t *current, *other;
static size_t current_size, other_size;
static char name[PVM_MAX_NAME + 1];
static uint64_t upgraded;
static struct pvm_host counting;
static const struct pvm_host *real;

static void safepoint(void)
{
        pvm_interrupt(); /* programs without an end are to come here again */
        safepoints++;
        if (first_upgrade && safepoints >= first_upgrade && (safepoints - first_upgrade) % 7 == 0) {
                const uint8_t *file = current;
                size_t size = current_size;
                char why[500];

                current = other;
                current_size = other_size;
                other = file;
                other_size = size;
                upgraded += pvm_load(name, why, sizeof(why));
                if (!pvm_heap_check(why, sizeof(why))) {
                        fprintf(stderr, "behind an upgrade: heap: %s\n", why);
                        abort();
                }
        }
        if (safepoints == 150)
                pvm_stop();
}

static void ignore_idle(uint64_t until, bool input)
{
        (void)until;
        (void)input;
        safepoint();
}

static void quiet(const char *text, size_t len)
{
        (void)text, (void)len;
}

static void no_line(void *arg, const char *line)
{
        *(size_t *)arg += strlen(line);
}

/* Names can be anything by now: the class is given under whatever name it is asked for. */
static int find_class(const char *name, size_t len, void **file, size_t *size)
{
        struct pvm_file f;
        char why[300];
        struct pvm_text t;

        if (!pvm_file_open(&f, current, current_size, why, sizeof(why)))
                return -5;
        t = pvm_file_class_name(&f, f.h->this_class);
        if (t.len == len && !memcmp(t.p, name, len)) {
                *file = real->mem_alloc(current_size);
                memcpy(*file, current, current_size);
                *size = current_size;
                return 0;
        }
        if (len == 5 && !memcmp(name, ".face", 5)) {
                *file = pvm_assemble("class .face interface\nmethod abstract go(l)l\n", size);
                return 0;
        }
        return -2;
}

static bool run(uint64_t seed)
{
        static const struct pvm_limits limits = {.heap_bytes = 8ul << 20, .stack_bytes = 1ul << 18};
        struct pvm_file f;
        char why[500];
        struct pvm_text t;
        bool ok;

        pvm_file_open(&f, current, current_size, why, sizeof(why));
        t = pvm_file_class_name(&f, f.h->this_class);
        memcpy(name, t.p, t.len);
        name[t.len] = 0;
        if (hosted_pvm_open(NULL, 0) || pvm_create(&limits, why, sizeof(why)))
                exit(2);
        safepoints = 0;
        pvm_hostile = seed & 1;
        if (pvm_start(name, NULL, 0, why, sizeof(why)))
                pvm_run();
        pvm_hostile = false;
        ok = pvm_heap_check(why, sizeof(why));
        if (!ok)
                fprintf(stderr, "seed %lu: heap: %s\n", (unsigned long)seed, why);
        pvm_forget();
        hosted_pvm_close();
        return ok;
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
        const char *v = getenv(name);

        return v ? strtoull(v, NULL, 0) : otherwise;
}

int main(void)
{
        uint64_t files = environment("PVM_FUZZ_FILES", 100000), first = environment("PVM_FUZZ_SEED", 1), accepted = 0;
        size_t size[NPROGRAMS], total = 0;
        uint8_t *original[NPROGRAMS];
        char why[300];

        hosted_pvm_console = quiet;
        real = pvm_host;
        counting = *pvm_host;
        counting.safepoint = safepoint;
        counting.idle = ignore_idle;
        counting.find_class = find_class;
        pvm_host = &counting;
        for (unsigned i = 0; i < NPROGRAMS; i++) {
                struct pvm_file f;

                original[i] = pvm_assemble(programs[i], &size[i]);
                if (!pvm_file_open(&f, original[i], size[i], why, sizeof(why)) ||
                    !pvm_file_verify(&f, why, sizeof(why))) {
                        fprintf(stderr, "program %u: %s\n", i, why);
                        return 1;
                }
                current = original[i];
                current_size = size[i];
                if (!run(i))
                        return 1;
        }
        for (uint64_t seed = first; seed < first + files; seed++) {
                struct pvm_file f;
                unsigned which;
                uint8_t *file;
                size_t n;

                rng = seed * 0x9e3779b97f4a7c15ul | 1;
                rnd(2);
                which = rnd(NPROGRAMS);
                n = rnd(50) ? size[which] : rnd((uint32_t)size[which]);
                file = malloc(n + !n);
                memcpy(file, original[which], n);
                const struct pvm_file_header *h = (const void *)original[which];
                const struct pvm_file_method *m = (const void *)(original[which] + h->methods);

                if (n == size[which])
                        for (unsigned k = 1 + rnd(4); k--;)
                                mutate(file, n, h, m);
                if (pvm_file_open(&f, file, n, why, sizeof(why))) {
                        pvm_disassemble(&f, no_line, &total);
                        if (pvm_file_verify(&f, why, sizeof(why))) {
                                accepted++;
                                first_upgrade = seed / 2 % 2 ? 1 + (unsigned)(seed / 4 % 4) : 0;
                                current = first_upgrade ? original[which] : file;
                                current_size = first_upgrade ? size[which] : n;
                                other = file;
                                other_size = n;
                                if (!run(seed))
                                        return 1;
                        }
                }
                free(file);
        }
        printf("%lu files from seed %lu on, %lu accepted and run, %lu upgrades\n", (unsigned long)files,
               (unsigned long)first, (unsigned long)accepted, (unsigned long)upgraded);
        for (unsigned i = 0; i < NPROGRAMS; i++)
                free(original[i]);
        /* What nearly all reject, or nearly all accept, tests nothing. */
        return accepted * 100 < files || accepted * 10 > files * 9;
}
