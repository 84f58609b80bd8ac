/*
 * pvm_machine.c - the object machine with programs of the test assembler (tests/pvm/programs): what they print, how they end, and that the heap is whole
 * afterwards. Each program runs as it is and in a hostile machine, with a collection at every safepoint; interpreted, compiled before it has run once, compiled when hot, and with
 * all compiled code dropped at a third of all turns. PVM_PROGRAMS: which, as a pattern for their paths; an argument names one of the tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "pvm/host/host.h"
#include "pvm/machine.h"
#include "tests/pvm/asm.h"
#include "tests/pvm/program.h"

static char folder[64];
static char output[1 << 16];
static size_t noutput;

static void collect_output(const char *text, size_t len)
{
        if (noutput + len < sizeof(output)) {
                memcpy(output + noutput, text, len);
                noutput += len;
                output[noutput] = 0;
        }
        program_watch(text, len);
}

static void safepoint(void)
{
        program_load(collect_output);
}

static struct pvm_limits limits = {.heap_bytes = 64ul << 20, .stack_bytes = 1ul << 20};

/* Runs class .main; returns how many threads failed; 99: it did not begin, the output says why. */
static unsigned run_main(void)
{
        char why[500];
        unsigned failures;

        noutput = 0;
        output[0] = 0;
        assert_int_equal(hosted_pvm_open(NULL, 0), 0);
        hosted_pvm_folder(folder);
        hosted_pvm_console = collect_output;
        assert_int_equal(pvm_create(&limits, why, sizeof(why)), 0);
        if (!pvm_start(".main", NULL, 0, why, sizeof(why))) {
                noutput = (size_t)snprintf(output, sizeof(output), "%s", why);
                failures = 99;
        } else {
                failures = pvm_run();
        }
        if (!pvm_heap_check(why, sizeof(why)))
                fail_msg("heap: %s", why);
        pvm_forget();
        hosted_pvm_close();
        return failures;
}

static const struct mode {
        const char *name;
        bool hostile;
        enum pvm_compile compile;
        uint32_t drop;
        unsigned workers;
} modes[] = {
        {"interpreted", false, PVM_COMPILE_NEVER, 0, 1},
        {"interpreted, hostile", true, PVM_COMPILE_NEVER, 0, 1},
        {"compiled", false, PVM_COMPILE_ALWAYS, 0, 1},
        {"compiled, hostile", true, PVM_COMPILE_ALWAYS, 0, 1},
        {"compiled, code is dropped", true, PVM_COMPILE_ALWAYS, 3, 1},
        {"hot is compiled", false, PVM_COMPILE_HOT, 0, 1},
        {"4 workers, interpreted", false, PVM_COMPILE_NEVER, 0, 4},
        {"4 workers, hostile", true, PVM_COMPILE_NEVER, 0, 4},
        {"4 workers, hot is compiled", false, PVM_COMPILE_HOT, 0, 4},
        {"4 workers, code is dropped", true, PVM_COMPILE_ALWAYS, 3, 4},
};

static void test_program(const char *path)
{
        static struct program p;

        program_read(path, folder, &p);
        limits.heap_bytes = p.heap_bytes;
        for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                unsigned failures;

                if (modes[i].hostile && p.calm)
                        continue;
                pvm_hostile = modes[i].hostile;
                pvm_compile = modes[i].compile;
                pvm_drop_code = modes[i].drop;
                pvm_workers = modes[i].workers;
                failures = run_main();
                pvm_hostile = false;
                pvm_workers = 1;
                if (strcmp(output, p.expected) || failures != p.failures)
                        fail_msg("%s, %s: %u failures, printed:\n%s\nexpected %u and:\n%s", path, modes[i].name,
                                 failures, output, p.failures, p.expected);
        }
}

static void test_programs(void **state)
{
        const char *which = getenv("PVM_PROGRAMS");
        glob_t g;

        (void)state;
        assert_int_equal(glob(which ? which : "tests/pvm/programs/*.asm", 0, NULL, &g), 0);
        for (size_t i = 0; i < g.gl_pathc; i++)
                test_program(g.gl_pathv[i]);
        globfree(&g);
}

#define HEAD "class .main\nsource main.ph\n"

/* A class that does not fit is refused with the reason, and the machine goes on. */
static void test_refused(void **state)
{
        static const struct {
                const char *text, *why;
        } bad[] = {
                {HEAD "method run(u)v ordinal 8 RRI\n ADD_I r2 r2 r1\n RETN\n", "register 1 is R, not I"},
                {HEAD "method run(u)v ordinal 8 RRI\n LDI r3 1\n RETN\n", "register 3 of 3"},
                {HEAD "method run(u)v ordinal 8 RRI\n LDI r2 1\n", "the end can be reached"},
                {HEAD "method run(u)v ordinal 8 RR\n MOV r0 r1\n JMP x\n LDNULL r1\n RETN\nx:\n",
                 "where no instruction begins"},
                {HEAD "method run(u)v ordinal 8 RRI\n CALLS r2 .main f(i)v r2\n RETN\n", "register 2 is I, not R"},
                {HEAD "method run(u)v ordinal 8 IRR\n RETN\n", "do not begin with the arguments"},
                {HEAD "method run(u)i ordinal 8 RR\n RET r1\n", "register 1 is R, not I"},
                {HEAD "method run(u)v ordinal 8 RR\n RETN\nmethod run(u)i RR\n RETN\n", "two methods run(u)"},
                {HEAD "method run(u)v ordinal 8 RR\n RETN\nmethod go(u)v ordinal 8 RR\n RETN\n",
                 "belongs to another method"},
                {"class .main extends .main\nmethod run(u)v RR\n RETN\n", "circle"},
                {"class .main extends .internal.string\nmethod run(u)v RR\n RETN\n", "final"},
                {"class .main extends .thing\nmethod run(u)v RR\n RETN\n", "interface"},
                {"class .other\nmethod run(u)v RR\n RETN\n", "another class"},
                {HEAD "field a i\nfield a i\nmethod run(u)v RR\n RETN\n", "two fields a"},
                {HEAD "method equals(u)v RR\n RETN\n", "another result"},
                {HEAD "method run(u)v RRI\n DIVI_I r2 r2 0\n RETN\n", "division by 0"},
                {HEAD "method run(u)v RRL\n UNBOX r1 r1\n RETN\n", "unboxed to a reference"},
                {HEAD "method run(u)v RRI\na:\n CALLV r1 .main .static()v r0\n RETN\n", "not to be called like that"},
                {"class .main abstract\nmethod abstract run(u)v\n", "cannot be made by new"},
                {HEAD "method run(u)v RR\n CLOSURE r1 .main f(i)v r1\n RETN\n", "register 1 is R, not I"},
                {HEAD "method run(u)v RRI\n CLOSURE r2 .main f(u)i r1\n RETN\n", "register 2 is I, not R"},
                {HEAD "method run(u)v RR\n CLOSURE r1 .main f(u)v r1 r1\n RETN\n", "2 arguments, the method has 1"},
                {HEAD "method run(u)v RR\n CLOSURE r1 .main .static()v\n RETN\n", "not to be called like that"},
                {HEAD "method run(u)v RR\n CLOSURE r1 .main .new()v\n RETN\n", "not to be called like that"},
        };

        (void)state;
        limits.heap_bytes = 64ul << 20;
        program_write_class(folder, "thing", "class .thing interface\nmethod abstract area()i\n");
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                program_write_class(folder, "main", bad[i].text);
                if (run_main() != 99 || !strstr(output, bad[i].why))
                        fail_msg("program %u: %s, not %s", i, output, bad[i].why);
        }
}

/* ---- files that somebody has tampered with: one change each, and what it must be called ---- */

static const char *const whole[] = {
        "class .main extends .base implements .face\nsource m.ph\nfield a i\nfield private b u\nfield static c l\n"
        "method .new()v RI\n LDI r1 5\n SETF r1 r0 .main a i\n RETN\n"
        "method static .static()v L\n LDL r0 7\n SETS r0 .main c l\n RETN\n"
        "method f(iu)i ordinal 30 RIR\n RET r1\nmethod private p()v R\n RETN\nmethod static s(i)i II\n RET r0\n"
        "method run(u)v ordinal 8 RRIILFDRR\n line 1\na:\n LDI r2 20\n LDK r2 int 100000\n LDK r4 long 5\n LDK r5 "
        "float 2.5\n LDK r6 double 2.5\n LDK r7 string \"text\"\n LDK r7 bytes \".abc\"\n LDK r7 class .main\n"
        " ADD_I r2 r2 r3\n DIVI_I r3 r2 3\n MOV r2 r3\n LDNULL r8\n NEW r7 .main\n NEWARR r7 r2 i\n CAST r7 r8 .main;\n"
        " GETF r2 r0 .main a i\n SETF r2 r0 .main a i\n GETS r4 .main c l\n BOX r7 r2\n UNBOX r2 r7\n"
        " CONCAT r7 r7 r2 r4 r5 r6\n CALLV r2 .main f(iu)i r0 r2 r7\n CALLC r7 .main .new()v r0\n"
        " CALLS r2 .main s(i)i r2\n CALLN r7 f r0 r7\n CALLO r7 30 r0\n CALLD r7 r0 r7\n CLOSURE r7 .main s(i)i r2\n"
        " JEQ_I r2 r3 n\n JEQI_I r2 5 n\n JNULL r7 n\n JMP n\nn:\n TSWITCH r2 4 o x y\nx:\n LSWITCH r2 o 5 x 9 y\n"
        "y:\n NOP\no:\n line 2\nb:\n RETN\nc:\n RETHROW r7\n catch a b c .main r7\n",
        "class .face interface\nfield static c l\nmethod abstract go(l)l\nmethod static s()v R\n RETN\n",
        "class .main abstract\nmethod abstract go(l)l\nmethod run(u)v RR\n RETN\n",
};

enum part { HEADER, POOL, TEXT, INTERFACE, FIELD, METHOD, TYPE, HANDLER, LINE, CODE, SIZE };

/* Where the n-th of that part stands; of the pool, and of texts, the first with that tag; of code, the first instruction of that kind; of handlers and lines those of the last method. */
static size_t part_at(const struct pvm_file *f, enum part part, unsigned n)
{
        const struct pvm_file_method *last = &f->methods[f->h->nmethods - 1];
        unsigned k = 1;

        switch (part) {
        case POOL:
        case TEXT:
                while (f->pool[k].tag != n)
                        k++;
                return part == TEXT ? f->pool[k].b : f->h->pool + k * sizeof(f->pool[0]);
        case INTERFACE:
                return f->h->interfaces + 2 * n;
        case FIELD:
                return f->h->fields + n * sizeof(f->fields[0]);
        case METHOD:
                return f->h->methods + n * sizeof(f->methods[0]);
        case TYPE:
                return last->types + n;
        case HANDLER:
                return last->handlers + n * sizeof(struct pvm_file_handler);
        case LINE:
                return last->lines + n * sizeof(struct pvm_file_line);
        case CODE:
                for (uint32_t pc = 0; pc < last->ncode; pc += pvm_op_words(pvm_file_code(f, last), pc, last->ncode))
                        if ((pvm_file_code(f, last)[pc] & 0xff) == n)
                                return last->code + 4 * pc;
                fail_msg("no instruction %u", n);
                return 0;
        default:
                return 0;
        }
}

/* Value: the first pool entry with that tag. */
#define ENTRY(tag) (0xabcd0000u | (tag))
#define AT(of, field)                                                                                                  \
        (unsigned)offsetof(struct pvm_file_##of, field), (unsigned)sizeof(((struct pvm_file_##of *)0)->field)
#define WORD(n) 4u * (n), 4u
#define BYTE(n) (n), 1u

static void test_tampered(void **state)
{
        static const struct {
                unsigned which;
                enum part part;
                unsigned n, offset, bytes;
                uint32_t value;
                const char *why;
        } change[] = {
                {0, HEADER, 0, AT(header, magic), 1, "not a class file"},
                {0, SIZE, 0, 0, 0, sizeof(struct pvm_file_header) - 1, "not a class file"},
                {0, SIZE, 0, 0, 0, sizeof(struct pvm_file_header) + 1, "the header says"},
                {0, HEADER, 0, AT(header, size), 100, "the header says"},
                {0, HEADER, 0, AT(header, flags), 8, "unknown flags"},
                {0, HEADER, 0, AT(header, flags), PVM_CLASS_FINAL | PVM_CLASS_ABSTRACT, "unknown flags"},
                {0, HEADER, 0, AT(header, zero), 1, "unknown flags"},
                {0, HEADER, 0, AT(header, nmethods), PVM_MAX_MEMBERS + 1, "more members"},
                {0, HEADER, 0, AT(header, npool), 0, "no pool"},
                {0, HEADER, 0, AT(header, npool), 0xffff, "pool: "},
                {0, HEADER, 0, AT(header, pool), 60, "pool at 60: not aligned"},
                {0, HEADER, 0, AT(header, pool), 0x7ffffff8, "pool: "},
                {0, HEADER, 0, AT(header, interfaces), 2, "interfaces at 2: not aligned"},
                {0, HEADER, 0, AT(header, ninterfaces), PVM_MAX_MEMBERS, "interfaces: "},
                {0, HEADER, 0, AT(header, nfields), PVM_MAX_MEMBERS, "fields: "},
                {0, HEADER, 0, AT(header, nmethods), PVM_MAX_MEMBERS, "methods: "},
                {0, HEADER, 0, AT(header, attributes_len), 0xffffffff, "attributes: "},
                {0, HEADER, 0, AT(header, this_class), 0, "no name, or no parent"},
                {0, HEADER, 0, AT(header, parent), ENTRY(PVM_POOL_UTF8), "no name, or no parent"},
                {0, HEADER, 0, AT(header, source), ENTRY(PVM_POOL_INT), "source file without"},
                {1, HEADER, 0, AT(header, parent), ENTRY(PVM_POOL_CLASS), "an interface with a parent"},
                {0, INTERFACE, 0, BYTE(0), 0, "interface 0: not a class"},
                {0, POOL, PVM_POOL_INT, AT(pool, zero), 1, ": not zero"},
                {0, POOL, PVM_POOL_UTF8, AT(pool, b), 0x7fffffff, "text outside of the file"},
                {0, POOL, PVM_POOL_UTF8, AT(pool, a), 1, "text outside of the file"},
                {0, POOL, PVM_POOL_BYTES, AT(pool, b), 0x7fffffff, "text outside of the file"},
                {0, POOL, PVM_POOL_BYTES, 8, 4, 0x7fffffff, "more text than file"},
                {0, TEXT, PVM_POOL_UTF8, BYTE(0), 0xff, "not UTF-8"},
                {0, TEXT, PVM_POOL_UTF8, BYTE(0), 0xc3, "not UTF-8"},
                {0, POOL, PVM_POOL_STRING, AT(pool, a), ENTRY(PVM_POOL_INT), "string without text"},
                {0, POOL, PVM_POOL_INT, 12, 4, 1, "not an int"},
                {0, POOL, PVM_POOL_FLOAT, 12, 4, 1, "not a float"},
                {0, POOL, PVM_POOL_LONG, AT(pool, b), 1, ": not zero"},
                {0, POOL, PVM_POOL_CLASS, AT(pool, a), ENTRY(PVM_POOL_BYTES), "not the name of a class"},
                {0, TEXT, PVM_POOL_UTF8, BYTE(0), 'x', "not the name of a class"},
                {0, TEXT, PVM_POOL_UTF8, BYTE(1), '.', "not the name of a class"},
                {0, POOL, PVM_POOL_FIELD, AT(pool, a), ENTRY(PVM_POOL_UTF8), "not a field"},
                {0, POOL, PVM_POOL_FIELD, 6, 2, ENTRY(PVM_POOL_UTF8), "not a field"},
                {0, POOL, PVM_POOL_FIELD, 4, 2, 0, "not a field"},
                {0, POOL, PVM_POOL_METHOD, AT(pool, a), ENTRY(PVM_POOL_UTF8), "not a method"},
                {0, POOL, PVM_POOL_METHOD, 6, 2, ENTRY(PVM_POOL_UTF8), "not a method"},
                {0, POOL, PVM_POOL_INT, AT(pool, tag), 77, "unknown tag"},
                {0, FIELD, 0, AT(field, name), 0, "field 0: bad name"},
                {0, FIELD, 0, AT(field, type), ENTRY(PVM_POOL_UTF8), "field 0: bad name"},
                {0, FIELD, 0, AT(field, flags), 0x40, "field 0: unknown flags"},
                {0, FIELD, 0, AT(field, flags), PVM_PUBLIC | PVM_PRIVATE, "field 0: unknown flags"},
                {0, FIELD, 0, AT(field, attributes_len), 0xffffffff, "attributes: "},
                {1, FIELD, 0, AT(field, flags), 0, "an interface's, not static"},
                {0, METHOD, 2, AT(method, name), 0, "method 2: bad name"},
                {0, METHOD, 2, AT(method, type), ENTRY(PVM_POOL_UTF8), "method 2: bad name"},
                {0, METHOD, 2, AT(method, flags), 0x20, "unknown flags"},
                {0, METHOD, 2, AT(method, zero), 1, "unknown flags"},
                {0, METHOD, 3, AT(method, flags), PVM_PUBLIC | PVM_PRIVATE, "contradict"},
                {2, METHOD, 0, AT(method, flags), PVM_ABSTRACT | PVM_FINAL, "contradict"},
                {0, METHOD, 3, AT(method, ordinal), 40, "static or private, with an ordinal"},
                {0, METHOD, 0, AT(method, flags), PVM_STATIC, "not a constructor"},
                {0, METHOD, 1, AT(method, flags), 0, "not a constructor"},
                {1, METHOD, 1, AT(method, flags), 0, "an interface's, with a body"},
                {2, METHOD, 1, AT(method, flags), PVM_ABSTRACT, "abstract, with code"},
                {2, HEADER, 0, AT(header, flags), 0, "abstract, in a class that is not"},
                {0, METHOD, 2, AT(method, ncode), 0, "0 words of code"},
                {0, METHOD, 2, AT(method, nlines), 2, "more handlers or lines"},
                {0, METHOD, 2, AT(method, code), 0x7ffffffc, "code: "},
                {0, METHOD, 2, AT(method, code), 2, "code at 2: not aligned"},
                {0, METHOD, 2, AT(method, types), 0x7fffffff, "register types: "},
                {0, METHOD, 5, AT(method, handlers), 0x7ffffffc, "handlers: "},
                {0, METHOD, 5, AT(method, lines), 0x7ffffffc, "lines: "},
                {0, METHOD, 2, AT(method, attributes), 0x7fffffff, "attributes: "},

                {0, METHOD, 2, AT(method, nregs), 2, "do not begin with the arguments"},
                {0, TYPE, 1, BYTE(0), 'I', "do not begin with the arguments"},
                {0, TYPE, 8, BYTE(0), 'P', "register 8: unknown type"},
                {0, CODE, PVM_ADD_I, BYTE(3), 9, "register 9 of 9"},
                {0, CODE, PVM_ADD_I, BYTE(3), 4, "register 4 is L, not I"},
                {0, CODE, PVM_ADD_I, BYTE(1), 4, "register 4 is L, not I"},
                {0, CODE, PVM_LDNULL, BYTE(2), 1, "unused bits"},
                {0, CODE, PVM_LDI, BYTE(1), 4, "register 4 is L, not I"},
                {0, CODE, PVM_LDK, BYTE(1), 4, "register 4 is L, not I"},
                {0, CODE, PVM_LDK, 2, 2, ENTRY(PVM_POOL_UTF8), "no constant"},
                {0, CODE, PVM_LDK, 2, 2, 0xffff, "no constant"},
                {0, CODE, PVM_MOV, BYTE(2), 4, "L to I"},
                {0, CODE, PVM_NEW, 2, 2, ENTRY(PVM_POOL_UTF8), "is not what is needed"},
                {0, CODE, PVM_NEW, 2, 2, 0, "is not what is needed"},
                {0, CODE, PVM_NEW, BYTE(1), 2, "register 2 is I, not R"},
                {0, CODE, PVM_NEWARR, WORD(1), ENTRY(PVM_POOL_UTF8), "not a type descriptor"},
                {0, CODE, PVM_NEWARR, WORD(1), ENTRY(PVM_POOL_INT), "is not what is needed"},
                {0, CODE, PVM_NEWARR, BYTE(2), 4, "register 4 is L, not I"},
                {0, CODE, PVM_GETF, BYTE(1), 4, "register 4 is L, not I"},
                {0, CODE, PVM_GETF, BYTE(2), 2, "register 2 is I, not R"},
                {0, CODE, PVM_GETF, BYTE(3), 1, "unused bits"},
                {0, CODE, PVM_GETF, WORD(1), ENTRY(PVM_POOL_METHOD), "is not what is needed"},
                {0, CODE, PVM_GETF, WORD(1), 0xffff, "is not what is needed"},
                {0, CODE, PVM_GETS, BYTE(1), 2, "register 2 is I, not L"},
                {0, CODE, PVM_CONCAT, BYTE(1), 2, "register 2 is I, not R"},
                {0, CODE, PVM_CONCAT, BYTE(5), 99, "register 99 of 9"},
                {0, CODE, PVM_CONCAT, BYTE(9), 1, "unused bits"},
                {0, CODE, PVM_CALLV, BYTE(1), 4, "register 4 is L, not I"},
                {0, CODE, PVM_CALLV, BYTE(2), 2, "2 arguments, the method has 3"},
                {0, CODE, PVM_CALLV, BYTE(8), 2, "register 2 is I, not R"},
                {0, CODE, PVM_CALLV, BYTE(9), 4, "register 4 is L, not I"},
                {0, CODE, PVM_CALLV, BYTE(11), 1, "unused bits"},
                {0, CODE, PVM_CALLV, WORD(1), ENTRY(PVM_POOL_FIELD), "is not what is needed"},
                {0, CODE, PVM_CALLN, WORD(1), ENTRY(PVM_POOL_UTF8), "not a name"},
                {0, CODE, PVM_CALLN, WORD(1), ENTRY(PVM_POOL_INT), "is not what is needed"},
                {0, CODE, PVM_CALLN, BYTE(9), 2, "register 2 is I, not R"},
                {0, CODE, PVM_CALLO, WORD(1), PVM_NO_ORDINAL, "ordinal 65535"},
                {0, CODE, PVM_CALLD, WORD(1), 1, "unused bits"},
                {0, CODE, PVM_CALLD, BYTE(2), 1, "no receiver, or no name"},
                {0, CODE, PVM_JEQ_I, WORD(1), 1, "no instruction begins"},
                {0, CODE, PVM_JEQ_I, WORD(1), 1000, "no instruction begins"},
                {0, CODE, PVM_JEQ_I, WORD(1), 0x7fffff00, "no instruction begins"},
                {0, CODE, PVM_JEQ_I, WORD(1), 0xffff0000, "no instruction begins"},
                {0, CODE, PVM_JEQ_I, BYTE(3), 1, "unused bits"},
                {0, CODE, PVM_JEQI_I, BYTE(1), 4, "register 4 is L, not I"},
                {0, CODE, PVM_JEQI_I, WORD(1), 1, "no instruction begins"},
                {0, CODE, PVM_JNULL, BYTE(2), 1, "unused bits"},
                {0, CODE, PVM_JMP, BYTE(2), 1, "no instruction begins"},
                {0, CODE, PVM_TSWITCH, BYTE(1), 4, "register 4 is L, not I"},
                {0, CODE, PVM_TSWITCH, WORD(1), INT32_MAX, "beyond the greatest int"},
                {0, CODE, PVM_TSWITCH, WORD(2), 0, "empty table"},
                {0, CODE, PVM_TSWITCH, WORD(2), 0x40000000, "cut off"},
                {0, CODE, PVM_TSWITCH, WORD(3), 1, "no instruction begins"},
                {0, CODE, PVM_TSWITCH, WORD(5), 1, "no instruction begins"},
                {0, CODE, PVM_LSWITCH, WORD(1), 0x80000000, "cut off"},
                {0, CODE, PVM_LSWITCH, WORD(2), 1, "no instruction begins"},
                {0, CODE, PVM_LSWITCH, WORD(5), 5, "keys do not ascend"},
                {0, CODE, PVM_LSWITCH, WORD(6), 1, "no instruction begins"},
                {0, CODE, PVM_NOP, BYTE(0), PVM_OP_COUNT, "unknown instruction"},
                {0, CODE, PVM_RETHROW, BYTE(0), PVM_CALLN, "cut off"},
                {0, HANDLER, 0, AT(handler, zero), 1, "handler 0"},
                {0, HANDLER, 0, AT(handler, start), 1000, "handler 0"},
                {0, HANDLER, 0, AT(handler, end), 1000, "handler 0"},
                {0, HANDLER, 0, AT(handler, end), 0, "handler 0"},
                {0, HANDLER, 0, AT(handler, target), 1000, "handler 0"},
                {0, HANDLER, 0, AT(handler, reg), 2, "register 2 is I, not R"},
                {0, HANDLER, 0, AT(handler, class), ENTRY(PVM_POOL_UTF8), "is not what is needed"},
                {0, LINE, 1, AT(line, pc), 1000, "line entry 1"},
                {0, LINE, 1, AT(line, pc), 0, "line entry 1"},
        };
        /* Nothing behind the file can be read. */
        const size_t room = 1ul << 16, behind = 2ul << 20;
        uint8_t *place = mmap(NULL, room + behind, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char why[500];

        (void)state;
        assert_ptr_not_equal(place, MAP_FAILED);
        assert_int_equal(mprotect(place, room, PROT_READ | PROT_WRITE), 0);
        for (unsigned i = 0; i < sizeof(change) / sizeof(change[0]); i++) {
                struct pvm_file f;
                uint32_t value = change[i].value;
                size_t size;
                uint8_t *made = pvm_assemble(whole[change[i].which], &size), *file = place + room - ((size + 7) & ~7ul);

                memcpy(file, made, size);
                free(made);
                if (!pvm_file_open(&f, file, size, why, sizeof(why)) || !pvm_file_verify(&f, why, sizeof(why)))
                        fail_msg("class %u: %s", change[i].which, why);
                if ((value & 0xffff0000) == ENTRY(0))
                        value = (uint32_t)((part_at(&f, POOL, value & 0xffff) - f.h->pool) / sizeof(f.pool[0]));
                if (change[i].part == SIZE)
                        size = value;
                memcpy(file + part_at(&f, change[i].part, change[i].n) + change[i].offset, &value, change[i].bytes);
                if ((pvm_file_open(&f, file, size, why, sizeof(why)) && pvm_file_verify(&f, why, sizeof(why))) ||
                    !strstr(why, change[i].why))
                        fail_msg("change %u: %s, not %s", i, why, change[i].why);
        }
        munmap(place, room + behind);
}

/* Files of older minor versions run, of newer ones not; of another major one neither. */
static void test_versions(void **state)
{
        static const struct {
                uint16_t major, minor;
                const char *why;
        } versions[] = {
                {1, 0, NULL},
                {1, 1, NULL},
                {1, 2, "version 1.2, this machine has 1.1"},
                {2, 0, "version 2.0, this machine has 1.1"},
        };

        (void)state;
        limits.heap_bytes = 64ul << 20;
        for (unsigned i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
                size_t size;
                uint8_t *file = pvm_assemble(HEAD "method run(u)v ordinal 8 RR\n RETN\n", &size);
                struct pvm_file_header *h = (struct pvm_file_header *)file;
                unsigned failures;

                h->major = versions[i].major;
                h->minor = versions[i].minor;
                program_write_file(folder, "main", file, size);
                failures = run_main();
                if (failures != (versions[i].why ? 99 : 0) || (versions[i].why && !strstr(output, versions[i].why)))
                        fail_msg("version %u.%u: %s", versions[i].major, versions[i].minor, output);
        }
}

/* The heap of a machine with other objects is refused with both versions. */
static void test_other_heap(void **state)
{
        char why[500];

        (void)state;
        assert_int_equal(hosted_pvm_open(NULL, 0), 0);
        assert_int_equal(pvm_create(&limits, why, sizeof(why)), 0);
        pvm_forget();
        root()->version = 1;
        assert_int_equal(pvm_recover(&limits, why, sizeof(why)), -22);
        assert_string_equal(why, "a heap of version 1, this machine has version 4");
        root()->magic++;
        assert_int_equal(pvm_recover(&limits, why, sizeof(why)), -22);
        assert_string_equal(why, "not the heap of an object machine");
        pvm_forget();
        hosted_pvm_close();
}

static void put(const char *key, struct obj *o)
{
        assert_true(directory_put(root()->directory, string_new(key, strlen(key)), o));
}

static struct obj *got(const char *key)
{
        uint32_t at;

        assert_true(directory_find(root()->directory, string_new(key, strlen(key)), &at));
        return root()->directory->values->r[at];
}

/*
 * A heap as machines before this one made it: bitmaps and connections are a header, bitmaps have two methods. After its recovery they are what they are here, and the same objects to
 * all that knows them; what has numbers of the methods has their new ones.
 */
static void test_older_heap(void **state)
{
        static const uint32_t classes_of[] = {CLASS_bitmap, CLASS_connection};
        struct weakref *weak, *dead;
        struct class_obj *bitmap;
        struct thread *thread;
        uint32_t identity[2], first, last;
        char why[500], key[2] = "0";

        (void)state;
        assert_int_equal(hosted_pvm_open(NULL, 0), 0);
        assert_int_equal(pvm_create(&limits, why, sizeof(why)), 0);
        last = root()->nmethods;
        for (unsigned i = 0; i < 2; i++) {
                struct obj *o = heap_alloc(classes_of[i], sizeof(struct obj), OBJ_IMMUTABLE);

                identity[i] = obj_identity(o);
                key[0] = (char)('0' + i);
                put(key, o);
        }
        /* What stands behind them would be references, if they were not a header alone. */
        put("behind", (struct obj *)string_new("\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10", 24));
        weak = heap_alloc(CLASS_weakref, sizeof(*weak), 0);
        dead = heap_alloc(CLASS_weakref, sizeof(*dead), 0);
        thread = thread_new(&weak->o);
        put("dead", &dead->o);
        put("thread", &thread->o);
        weak->target = got("0");
        dead->target = heap_alloc(CLASS_connection, sizeof(struct obj), 0);
        bitmap = classes[CLASS_bitmap]->object;
        first = bitmap->method_base;
        bitmap->nmethods = 2;
        thread->trace = store_new(CLASS_store_raw, 16, 16, 1);
        thread->trace_len = 2;
        ((struct trace_entry *)thread->trace->b)[0] = (struct trace_entry){first + 1, 0};
        ((struct trace_entry *)thread->trace->b)[1] = (struct trace_entry){first - 1, 0};
        root()->version = 3;
        pvm_forget();

        if (pvm_recover(&limits, why, sizeof(why)))
                fail_msg("%s", why);
        assert_int_equal(root()->version, ROOT_VERSION);
        if (!pvm_heap_check(why, sizeof(why)))
                fail_msg("heap: %s", why);
        for (unsigned i = 0; i < 2; i++) {
                key[0] = (char)('0' + i);
                assert_int_equal(got(key)->class, classes_of[i]);
                assert_true(got(key)->info & OBJ_IMMUTABLE);
                assert_true(obj_size(got(key)) > sizeof(struct obj));
                assert_int_equal(obj_identity(got(key)), identity[i]);
        }
        assert_ptr_equal(((struct weakref *)((struct thread *)got("thread"))->object)->target, got("0"));
        assert_null(((struct weakref *)got("dead"))->target);
        assert_null(((struct bitmap *)got("0"))->pixels);
        assert_null(((struct connection *)got("1"))->timer);
        thread = (struct thread *)got("thread");
        assert_int_equal(bitmap->nmethods, classes[CLASS_bitmap]->nmethods);
        assert_true(bitmap->nmethods > 2);
        assert_int_equal(((struct trace_entry *)thread->trace->b)[0].method, last + 1);
        assert_int_equal(((struct trace_entry *)thread->trace->b)[1].method, first - 1);
        for (uint32_t i = 0; i < bitmap->nmethods; i++)
                assert_ptr_equal(method_by_id(last + i)->class, classes[CLASS_bitmap]);
        pvm_forget();
        /* And then it is a heap of this version. */
        assert_int_equal(pvm_recover(&limits, why, sizeof(why)), 0);
        assert_int_equal(bitmap->method_base, last);
        pvm_forget();
        hosted_pvm_close();
}

/* Volatile memory that is in use, as its users say. */
static size_t in_use;
static void *(*real_alloc)(size_t len);
static void (*real_free)(void *p, size_t len);

static void *counting_alloc(size_t len)
{
        void *p = real_alloc(len);

        in_use += p ? len : 0;
        return p;
}

static void counting_free(void *p, size_t len)
{
        in_use -= len;
        real_free(p, len);
}

static int (*real_find)(const char *name, size_t len, void **file, size_t *size);

static int counting_find(const char *name, size_t len, void **file, size_t *size)
{
        int r = real_find(name, len, file, size);

        in_use += r ? 0 : *size;
        return r;
}

/* A class gets version after version, each with other fields and methods: neither the heap nor the machine's own memory grows. */
static unsigned upgrades;
static struct {
        size_t volatile_bytes;
        uint64_t live;
        uint32_t methods, versions;
} after[2];

static void ignore(const char *text, size_t len)
{
        (void)text, (void)len;
}

static void upgrade_always(void)
{
        struct pvm_stats stats;
        char line[40];
        int n = snprintf(line, sizeof(line), "load .thing %u", 2 - upgrades % 2);

        if (upgrades == 2000)
                return;
        program_watch(line, (size_t)n);
        program_load(ignore);
        upgrades++;
        pvm_stats(&stats);
        if (upgrades == 500 || upgrades == 2000) {
                after[upgrades / 2000].volatile_bytes = in_use;
                after[upgrades / 2000].live = stats.live;
                after[upgrades / 2000].methods = root()->nmethods;
                after[upgrades / 2000].versions = root()->versions->len;
        }
}

static void test_many_upgrades(void **state)
{
        const struct pvm_host *before = pvm_host;
        struct pvm_host host = *before;

        (void)state;
        real_alloc = host.mem_alloc;
        real_free = host.mem_free;
        real_find = host.find_class;
        host.find_class = counting_find;
        host.mem_alloc = counting_alloc;
        host.mem_free = counting_free;
        host.safepoint = upgrade_always;
        in_use = 0;
        program_write_class(
                folder, "thing",
                "class .thing\nfield a i\nfield gone u\nmethod .new()v RI\n LDI r1 5\n SETF r1 r0 .thing a "
                "i\n RETN\nmethod get()i RI\n GETF r1 r0 .thing a i\n RET r1\n"
                "method stay()i RIR\n LDI r1 2\n NEW r2 .internal.world\nl:\n CALLV r2 .internal.world "
                "collect()v r2\n NEW r2 .internal.world\n ADDI_I r1 r1 -1\n JGTI_I r1 0 l\n CALLV r1 .thing "
                "get()i r0\n RET r1\n");
        program_write_class(
                folder, "thing@2",
                "class .thing\nfield more l\nfield a i\nfield static s u\nmethod .new()v RI\n LDI r1 5\n SETF r1 r0 "
                ".thing a i\n RETN\nmethod other()v R\n RETN\nmethod get()i RI\n GETF r1 r0 .thing a i\n RET "
                "r1\nmethod stay()i RI\n SETS r0 .thing s u\n CALLV r1 .thing get()i r0\n RET r1\n");
        program_write_class(folder, "main",
                            HEAD
                            "method run(u)v ordinal 8 RRRRIII\n LDI r4 100\n NEWARR r2 r4 .thing;\n LDI r5 0\nfill:\n "
                            "NEW r3 .thing\n CALLC r0 .thing .new()v r3\n AST_R r3 r2 r5\n ADDI_I r5 r5 1\n JLT_I r5 "
                            "r4 fill\n LDI r5 0\nloop:\n REMI_I r6 r5 100\n ALD_R r3 r2 r6\n CALLV r6 .thing stay()i "
                            "r3\n JNEI_I r6 5 bad\n NEW r0 .internal.world\n CALLV r3 .internal.world yield()v r0\n "
                            "ADDI_I r5 r5 1\n JLTI_I r5 1000 loop\n RETN\nbad:\n THROW r0\n");
        pvm_host = &host;
        for (unsigned compile = 0; compile < 2; compile++) {
                upgrades = 0;
                pvm_compile = compile ? PVM_COMPILE_ALWAYS : PVM_COMPILE_NEVER;
                assert_int_equal(run_main(), 0);
                assert_string_equal(output, "");
                assert_int_equal(upgrades, 2000);
                assert_int_equal(in_use, 0);
                assert_in_range(after[1].volatile_bytes, 1, after[0].volatile_bytes * 11 / 10);
                assert_in_range(after[1].live, 1, after[0].live * 11 / 10);
                assert_in_range(after[1].methods, 1, after[0].methods + 20);
                assert_in_range(after[1].versions, 1, 3);
        }
        pvm_compile = PVM_COMPILE_HOT;
        pvm_host = before;
}

/* Two threads, each of which waits for the other without giving way, and no turn ever ends: they get on if they run at once, and not else. */
static void test_at_once(void **state)
{
        (void)state;
        program_write_class(folder, "pair", "class .pair\nfield a i\nfield b i\n");
        program_write_class(folder, "other",
                            "class .other\nfield p .pair;\n"
                            "method run()v RRII\n GETF r1 r0 .other p .pair;\n LDI r2 0\nl:\n ADDI_I r2 r2 1\nw:\n"
                            " GETF r3 r1 .pair a i\n JNE_I r3 r2 w\n SETF r2 r1 .pair b i\n JLTI_I r2 100 l\n RETN\n");
        program_write_class(folder, "main",
                            HEAD "method run(u)v ordinal 8 RRRRII\n NEW r2 .pair\n NEW r3 .other\n"
                                 " SETF r2 r3 .other p .pair;\n"
                                 " CALLV r3 .internal.bootstrap startThread(u).internal.thread; r1 r3\n LDI r4 0\nl:\n"
                                 " ADDI_I r4 r4 1\n SETF r4 r2 .pair a i\nw:\n GETF r5 r2 .pair b i\n"
                                 " JNE_I r5 r4 w\n JLTI_I r4 100 l\n RETN\n");
        pvm_workers = 2;
        for (unsigned compile = 0; compile < 2; compile++) {
                pvm_compile = compile ? PVM_COMPILE_ALWAYS : PVM_COMPILE_NEVER;
                assert_int_equal(run_main(), 0);
                assert_string_equal(output, "");
        }
        pvm_workers = 1;
        pvm_compile = PVM_COMPILE_HOT;
}

static unsigned turns;

static void next_turn(void)
{
        turns++;
        pvm_interrupt();
}

/* A turn costs the same however deep a thread is in calls: here each call is one. */
static void test_turns_of_the_deep(void **state)
{
        const struct pvm_host *before = pvm_host;
        struct pvm_limits usual = limits;
        struct pvm_host host = *before;

        (void)state;
        host.safepoint = next_turn;
        pvm_host = &host;
        limits.stack_bytes = 48ul << 20;
        limits.heap_bytes = 128ul << 20;
        program_write_class(folder, "main",
                            HEAD
                            "method down(i)i RII\n JEQI_I r1 0 e\n ADDI_I r1 r1 -1\n CALLV r2 .main down(i)i r0 r1\n "
                            "ADDI_I r2 r2 1\n RET r2\ne:\n LDI r2 0\n RET r2\n"
                            "method run(u)v ordinal 8 RRII\n LDI r2 30000\n MULI_I r2 r2 10\n MOV r3 r2\n CALLV r2 "
                            ".main down(i)i r0 r2\n JNE_I r2 r3 bad\n RETN\nbad:\n THROW r1\n");
        for (unsigned compile = 0; compile < 2; compile++) {
                turns = 0;
                pvm_compile = compile ? PVM_COMPILE_ALWAYS : PVM_COMPILE_NEVER;
                assert_int_equal(run_main(), 0);
                assert_string_equal(output, "");
                assert_true(turns > 200000);
        }
        pvm_compile = PVM_COMPILE_HOT;
        pvm_host = before;
        limits = usual;
}

static void test_numbers(void **state)
{
        uint64_t rng = 88172645463325252ul;

        (void)state;
        for (unsigned i = 0; i < 200000; i++) {
                char buf[100], shorter[40];
                slot v, back;
                double d;
                size_t n;

                rng ^= rng << 13;
                rng ^= rng >> 7;
                rng ^= rng << 17;
                v.bits = rng;
                if (i % 4 == 1)
                        v.d = (double)(int64_t)(rng >> 40) / 1000;
                if (i % 4 == 2)
                        v.bits = rng & 0xffffffffffffful; /* no exponent */
                if (i % 4 == 3)
                        v.bits &= ~0ul << 40;
                if (v.d != v.d)
                        continue;
                n = format_number('D', v, buf);
                buf[n] = 0;
                if (strtod(buf, NULL) != v.d)
                        fail_msg("%s is not %.17g", buf, v.d);
                if (strcmp(buf, "inf") && strcmp(buf, "-inf") && (!parse_double(buf, n, &d) || d != v.d))
                        fail_msg("%s is read as %.17g, not %.17g", buf, d, v.d);
                for (int digits = 1; digits < 17; digits++) {
                        snprintf(shorter, sizeof(shorter), "%.*e", digits - 1, v.d);
                        if (strtod(shorter, NULL) == v.d) {
                                int have = 0;
                                bool leading = true;

                                for (char *p = buf; *p && *p != 'e'; p++) {
                                        leading = leading && (*p == '0' || *p == '.' || *p == '-');
                                        have += !leading && *p != '.';
                                }
                                while (have > 1 && strchr(buf, 'e') == NULL &&
                                       (buf[n - 1] == '0' || buf[n - 1] == '.')) {
                                        have -= buf[n - 1] == '0';
                                        n--;
                                }
                                if (have > digits)
                                        fail_msg("%s has %d digits, %s does", buf, have, shorter);
                                break;
                        }
                }
                v.bits = (uint32_t)rng;
                n = format_number('F', v, buf);
                buf[n] = 0;
                if (v.f == v.f && strtof(buf, NULL) != v.f)
                        fail_msg("%s is not %.9g", buf, (double)v.f);
                /* Long ones, that are cut off and rounded. */
                snprintf(buf, sizeof(buf), "%lu.%lue%d", (unsigned long)rng, (unsigned long)(rng >> 9),
                         (int)(rng % 600) - 300);
                if (!parse_double(buf, strlen(buf), &back.d) || back.d != strtod(buf, NULL))
                        fail_msg("%s is read as %.17g, not %.17g", buf, back.d, strtod(buf, NULL));
        }
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),           cmocka_unit_test(test_programs),
                cmocka_unit_test(test_at_once),           cmocka_unit_test(test_refused),
                cmocka_unit_test(test_versions),          cmocka_unit_test(test_other_heap),
                cmocka_unit_test(test_older_heap),        cmocka_unit_test(test_many_upgrades),
                cmocka_unit_test(test_turns_of_the_deep), cmocka_unit_test(test_tampered),
        };
        struct pvm_host host = *program_host(pvm_host);
        int r;
        char command[100];

        host.safepoint = safepoint;
        pvm_host = &host;
        strcpy(folder, "/tmp/pvm-unit-XXXXXX");
        if (!mkdtemp(folder))
                return 1;
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        snprintf(command, sizeof(command), "rm -rf %s", folder);
        return r | system(command);
}
