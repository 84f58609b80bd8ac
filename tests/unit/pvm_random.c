/*
 * pvm_random.c - random valid programs do the same interpreted and compiled, with all compiled code dropped at random polls, and with a collection at every one.
 *
 * A program is a class with some methods of random instructions, and a child that overrides some of them; each is called several times, with other arguments, and prints
 * what all its registers hold in the end, or what it threw. It ends: loops count down, calls use up fuel. PVM_RANDOM: how many methods, PVM_RANDOM_SEED.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pvm/host/host.h"
#include "pvm/machine.h"
#include "tests/pvm/program.h"

static char folder[64];
static char output[1 << 18], expected[1 << 18];
static size_t noutput;
static char text[1 << 18];
static size_t ntext;
static uint64_t seed;

static void collect_output(const char *p, size_t len)
{
        if (noutput + len < sizeof(output)) {
                memcpy(output + noutput, p, len);
                noutput += len;
                output[noutput] = 0;
        }
}

static unsigned below(unsigned n)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned)(seed >> 33) % n;
}

static void __attribute__((format(printf, 1, 2))) put(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        ntext += (size_t)vsnprintf(text + ntext, sizeof(text) - ntext, fmt, ap);
        va_end(ap);
        if (ntext >= sizeof(text))
                abort();
}

/* ---- methods ---- */

static unsigned labels;

/* Registers of every method: the receiver, arguments ilfdu, then others; two count loops, one takes exceptions and text, one closures, and two are where loops end. */
#define TYPES "RILFDRIIIILLFDDRRRRIIRRII"
enum { METHODS = 6, COUNT1 = 19, COUNT2 = 20, TEXT = 21, CALLED = 22, END1 = 23, FIRST_ARRAY = 15 };

static unsigned reg(char type)
{
        unsigned r;

        do
                r = below(19);
        while (TYPES[r] != type);
        return r;
}

static unsigned written(char type)
{
        unsigned r;

        do
                r = reg(type);
        while ((!r && below(40)) || (r >= FIRST_ARRAY && r < FIRST_ARRAY + 3 && below(4)));
        return r;
}

static char number(void)
{
        return "ILFD"[below(4)];
}

static const char result[METHODS] = {'I', 'L', 'F', 'D', 'R', 'R'};

static void constant(void)
{
        static const char *const longs[] = {"9223372036854775807", "-9223372036854775808", "1099511627776", "-1",
                                            "4294967295",          "-5000000000"};
        static const char *const doubles[] = {"0.1", "1e300", "-2.5", "nan", "-3e9", "1e-310", "3e9", "-1e19", "1e18"};

        switch (below(7)) {
        case 0:
                put(" LDI r%u %d\n", written('I'), below(2) ? (int)below(20) - 5 : (int)below(65536) - 32768);
                break;
        case 1:
                put(" LDK r%u int %d\n", written('I'), below(2) ? INT32_MIN : (int)(below(1u << 31)));
                break;
        case 2:
                put(" LDK r%u long %s\n", written('L'), longs[below(6)]);
                break;
        case 3:
                put(" LDK r%u double %s\n", written('D'), doubles[below(9)]);
                break;
        case 4:
                put(" LDK r%u float %s\n", written('F'), doubles[below(5)]);
                break;
        case 5:
                put(" LDD r%u %d\n", written('D'), (int)below(9) - 4);
                break;
        default:
                put(" LDK r%u string \"s%u\"\n", written('R'), below(5));
        }
}

static void arithmetic(void)
{
        static const char *const ops[] = {"ADD", "SUB", "MUL", "DIV", "REM", "AND", "OR", "XOR"};
        static const char *const numbers[] = {"ADDI", "MULI", "DIVI", "REMI", "ANDI", "SHLI", "SHRI", "USHRI"};
        static const char *const shifts[] = {"SHL", "SHR", "USHR"};
        char t = number();
        bool whole = t == 'I' || t == 'L';
        int n;

        switch (below(whole ? 8 : 4)) {
        case 0:
                put(" NEG_%c r%u r%u\n", t, written(t), reg(t));
                break;
        case 1:
        case 2:
        case 3:
                put(" %s_%c r%u r%u r%u\n", ops[below(whole ? 8 : 5)], t, written(t), reg(t), reg(t));
                break;
        case 4:
                put(" %s_%c r%u r%u r%u\n", shifts[below(3)], t, written(t), reg(t), reg('I'));
                break;
        case 5:
                put(" NOT_%c r%u r%u\n", t, written(t), reg(t));
                break;
        default:
                n = (int)below(256) - 128;
                put(" %s_%c r%u r%u %d\n", numbers[below(8)], t, written(t), reg(t), n ? n : 3);
        }
}

static void convert(void)
{
        char from = number(), to = number();

        if (from == to || (from == 'F' && to == 'F'))
                put(" MOV r%u r%u\n", written(from), reg(from));
        else
                put(" %c2%c r%u r%u\n", from, to, written(to), reg(from));
}

static void compare(void)
{
        static const char *const ops[] = {"SEQ", "SNE", "SLT", "SLE"};
        char t = number();

        put(" %s_%c r%u r%u r%u\n", ops[below(4)], t, written('I'), reg(t), reg(t));
}

static void member(void)
{
        char t = "ILFDR"[below(5)], d = t == 'R' ? 'u' : (char)(t - 'A' + 'a');
        unsigned o = below(3) ? 0 : reg('R');

        if (o && below(2))
                o = 18;
        switch (below(5)) {
        case 0:
                put(" GETF r%u r%u .main f%c %c\n", written(t), o, d, d);
                break;
        case 1:
                put(" SETF r%u r%u .main f%c %c\n", reg(t), o, d, d);
                break;
        case 2:
                put(" GETS r%u .main s%c %c\n", written(t), d, d);
                break;
        case 3:
                put(" SETS r%u .main s%c %c\n", reg(t), d, d);
                break;
        default:
                put(" GETF r%u r%u .kid extra i\n", written('I'), o);
        }
}

static void array(void)
{
        static const char types[] = "IDR";
        unsigned k = below(3), a = below(8) ? FIRST_ARRAY + k : reg('R'), at = reg('I');
        char t = types[k];

        switch (below(8)) {
        case 0:
                put(" ANDI_I r%u r%u 15\n NEWARR r%u r%u %c\n", at == 1 ? 6 : at, reg('I'), FIRST_ARRAY + k,
                    at == 1 ? 6 : at, "idu"[k]);
                break;
        case 1:
        case 2:
                if (below(4))
                        put(" ANDI_I r9 r%u 15\n", at), at = 9;
                put(" ALD_%c r%u r%u r%u\n", t, written(t), a, at);
                break;
        case 3:
        case 4:
                /* Not far behind the end: it would grow. */
                put(" ANDI_I r9 r%u 31\n AST_%c r%u r%u r9\n", at, t, reg(t), a);
                break;
        case 5:
                put(" LEN r%u r%u\n", written('I'), a);
                break;
        case 6: /* right behind the end, while it is short: what is there is the array's, or the field's */
                put(" LEN r9 r%u\n JGTI_I r9 40 l%u\n AST_%c r%u r%u r9\nl%u:\n", a, labels, t, reg(t), a, labels);
                labels++;
                break;
        default:
                put(" %s r%u r0 .main a%c [%c\n", below(4) ? "GETF" : "SETF", FIRST_ARRAY + k, "idu"[k], "idu"[k]);
        }
}

static void object(void)
{
        char t = number();
        unsigned o;

        switch (below(13)) {
        case 11: /* from now on it must not be changed */
                if (below(3))
                        put(" LDNULL r%u\n", TEXT);
                else
                        put(" CALLV r%u .internal.object setImmutable()v r%u\n", TEXT,
                            below(3)   ? FIRST_ARRAY + below(3)
                            : below(4) ? 18u
                                       : 0u);
                break;
        case 0:
                put(" NEW r%u .%s\n", written('R'), below(2) ? "main" : below(2) ? "kid" : "cub");
                break;
        case 1:
                o = below(2) ? TEXT : written('R');
                put(" BOX r%u r%u\n", o, reg(t));
                if (below(2)) /* of its own type, or not; the box may be wanted later */
                        put(" UNBOX r%u r%u\n", written(below(4) ? t : number()), o);
                if (below(2))
                        put(" LDNULL r%u\n", o);
                else if (below(2))
                        put(" UNBOX r%u r%u\n", written(t), o);
                break;
        case 2:
                put(" UNBOX r%u r%u\n", written(t), reg('R'));
                break;
        case 3:
                put(" TOSTR r%u r%u\n", written('R'), reg(below(2) ? t : 'R'));
                break;
        case 4:
                put(" CONCAT r%u r%u r%u\n", TEXT, reg(t), reg(number()));
                break;
        case 5:
                put(" VEQ r%u r%u r%u\n", written('I'), reg('R'), reg('R'));
                break;
        case 6:
                put(" %s r%u r%u r%u\n", below(2) ? "VLT" : "VLE", written('I'), reg('R'), reg('R'));
                break;
        case 7:
                put(" SSAME r%u r%u r%u\n", written('I'), reg('R'), reg('R'));
                break;
        case 8:
                put(" INSTOF r%u r%u %s\n", written('I'), reg('R'),
                    below(2)   ? ".kid;"
                    : below(2) ? ".cub;"
                               : ".internal.string;");
                break;
        case 9:
                put(" CAST r%u r%u %s\n", written('R'), reg('R'), below(2) ? ".main;" : "[u");
                break;
        case 10:
                put(" LDNULL r%u\n", written('R'));
                break;
        default:
                put(" MOV r%u r%u\n", written('R'), reg('R'));
        }
}

/* Closures over the static methods that are there: most get the values they want, and as many arguments as are missing. */
static const char *const closed[] = {"il", "ilfdu", "", "uuuuuu"};
static const char closed_result[] = "ldui";

static void closure(void)
{
        unsigned which = below(4), n = (unsigned)strlen(closed[which]), captured = below(n + 1),
                 nargs = below(4) ? n - captured : below(7);

        put(" CLOSURE r%u .main shut%u(%s)%c", CALLED, which, closed[which], closed_result[which]);
        for (unsigned i = 0; i < captured; i++)
                put(" r%u", reg((char)(closed[which][i] == 'u' ? 'R' : closed[which][i] - 'a' + 'A')));
        put("\n");
        if (!below(3))
                put(" MOV r%u r%u\n", written('R'), CALLED);
        if (!below(6))
                put(" SETF r%u r0 .main fu u\n", CALLED);
        if (!below(3))
                return;
        if (nargs > 6)
                nargs = 6;
        /* The last number that is boxed is as good as any for all arguments that want one. */
        if (nargs && below(4))
                put(" BOX r%u r%u\n", TEXT, reg(below(3) ? 'I' : number()));
        else if (nargs)
                put(" MOV r%u r%u\n", TEXT, reg('R'));
        if (below(2))
                put(" CALLN r%u call r%u", written('R'), below(8) ? CALLED : reg('R'));
        else
                put(" CALLV r%u .internal.closure call(%.*s)u r%u", written('R'), (int)nargs, "uuuuuu",
                    below(8) ? CALLED : reg('R'));
        for (unsigned i = 0; i < nargs; i++)
                put(" r%u", below(6) ? TEXT : reg('R'));
        put("\n");
}

/* Of the methods behind `self`, while there is fuel. */
static void call(unsigned self)
{
        unsigned l = labels++, o = below(4) ? 0 : reg('R');

        switch (below(7)) {
        case 0:
                put(" CALLV r%u .main get()i r%u\n", written('I'), o);
                return;
        case 1:
                put(" CALLV r%u .main put(l)v r%u r%u\n", TEXT, o, reg('L'));
                return;
        case 2:
                put(" CALLV r%u .main twice(id)d r%u r%u r%u\n", written('D'), o, reg('I'), reg('D'));
                return;
        case 3:
                put(" CALLN r%u get r%u\n", written('R'), o);
                return;
        default:
                break;
        }
        if (self + 1 >= METHODS) {
                put(" NOP\n");
                return;
        }
        self += 1 + below(METHODS - self - 1);
        put(" GETS r9 .main fuel i\n JLEI_I r9 0 l%u\n ADDI_I r9 r9 -1\n SETS r9 .main fuel i\n", l);
        if (below(6))
                put(" %s r%u .main m%u(ilfdu)%c r%u r%u r%u r%u r%u r%u\n", below(3) ? "CALLV" : "CALLC",
                    written(result[self]), self, "ilfdu"[strchr("ILFDR", result[self]) - "ILFDR"], o, reg('I'),
                    reg('L'), reg('F'), reg('D'), reg('R'));
        else
                put(" CALLS r%u .main still(il)l r%u r%u\n", written('L'), reg('I'), reg('L'));
        put("l%u:\n", l);
}

static void branch(const char *to, unsigned l)
{
        static const char *const ops[] = {"JEQ", "JNE", "JLT", "JLE", "JNLT", "JNLE"};
        static const char *const numbers[] = {"JEQI", "JNEI", "JLTI", "JLEI", "JGTI", "JGEI"};
        char t = number();

        switch (below(4)) {
        case 0:
                put(" %s_I r%u %d %s%u\n", numbers[below(6)], reg('I'), (int)below(7) - 3, to, l);
                break;
        case 1:
                put(" %s r%u r%u %s%u\n", below(2) ? "JSAME" : "JNSAME", reg('R'), reg('R'), to, l);
                break;
        case 2:
                put(" %s r%u %s%u\n", below(2) ? "JNULL" : "JNNULL", reg('R'), to, l);
                break;
        default:
                put(" %s_%c r%u r%u %s%u\n", ops[below(t == 'F' || t == 'D' ? 6 : 4)], t, reg(t), reg(t), to, l);
        }
}

static void block(unsigned self, unsigned depth, unsigned loops);

/* Counts up, from where to where; the loop begins at its end, as compilers write it. */
static void counts_up(unsigned loops, unsigned l)
{
        unsigned count = COUNT1 + loops, end = END1 + loops, first = below(3), turns = below(20);

        switch (below(20)) {
        case 0: /* up to the largest number */
                put(" LDK r%u int %d\n LDK r%u int %d\n", count, INT32_MAX - 20 - (int)turns, end, INT32_MAX);
                break;
        case 1: /* many turns */
                put(" LDI r%u %d\n LDI r%u %u\n", count, -(int)below(3000), end, turns);
                break;
        default:
                put(" LDI r%u %u\n LDI r%u %u\n", count, first, end, first + turns);
        }
        put(" JMP l%u\n", l);
}

static void ends_up(unsigned loops, unsigned l, unsigned next, unsigned begin)
{
        unsigned count = COUNT1 + loops, end = END1 + loops, step = below(4) ? 1 : 1 + below(3);

        put("l%u:\n ADDI_I r%u r%u %u\nl%u:\n", next, count, count, step, begin);
        /* Not beyond the largest number: that has no end. */
        if (step > 1)
                put(" JGTI_I r%u 32000 l%u\n", count, labels);
        if (below(6) == 0)
                put(" JLTI_I r%u %u l%u\n", count, 200 + below(50), l);
        else
                put(" %s r%u r%u l%u\n", step == 1 ? "JLT_I" : "JLE_I", count, end, l);
        put("l%u:\n", labels++);
}

/*
 * A loop of what the compiler can take out of it, mostly of one object and one array of a field's: that is stored to now and then, the array grows, or is another register's, too, and there may be an error at
 * any instruction.
 */
static void tight_loop(unsigned loops)
{
        static const char types[] = "IDR";
        unsigned l = labels++, n = 2 + below(6), k = below(3), a = FIRST_ARRAY + k;
        unsigned begin = labels++, next = labels++, out = labels++;
        char t = types[k], d = "idu"[k];
        bool up = below(2);

        if (up)
                counts_up(loops, begin);
        else
                put(" LDI r%u %u\n", COUNT1 + loops, 1 + below(20));
        if (!up && below(2))
                put(" CONCAT r%u r%u\n", TEXT, reg(number()));
        put("l%u:\n", l);
        for (unsigned i = 0; i < n; i++)
                switch (below(17)) {
                case 15:
                        branch("l", below(2) ? next : out);
                        break;
                case 16:
                        put(" ADD_I r%u r%u r%u\n", written('I'), reg('I'), COUNT1 + loops);
                        break;
                case 0:
                case 1:
                        put(" GETF r%u r0 .main a%c [%c\n", a, d, d);
                        break;
                case 2:
                case 3:
                case 4:
                        put(" AST_%c r%u r%u r%u\n", t, reg(t), a, COUNT1 + loops);
                        break;
                case 5:
                case 6:
                        put(" ALD_%c r%u r%u r%u\n", t, written(t), a, below(3) ? COUNT1 + loops : reg('I'));
                        break;
                case 7:
                        if (t == 'R' && below(2))
                                put(" BOX r5 r%u\n", reg(number()));
                        put(" LEN r9 r%u\n JGTI_I r9 40 l%u\n AST_%c r%u r%u r9\nl%u:\n", a, labels, t,
                            t == 'R' ? 5 : reg(t), a, labels);
                        labels++;
                        break;
                case 13:
                        /* Receivers of several classes, one after the other. */
                        put(" ANDI_I r9 r%u 3\n ALD_R r5 r17 r9\n CALLV r%u .main get()i r5\n", COUNT1 + loops,
                            written('I'));
                        break;
                case 12:
                        if (below(3) == 0)
                                put(" CALLV r%u .main change(i)i r%u r%u\n", written('I'), below(2) ? 18u : 0u,
                                    reg('I'));
                        break;
                case 8:
                        put(" GETF r%u r18 .main fd d\n %s_D r%u r%u r%u\n", 13u, below(2) ? "SUB" : "MUL",
                            written('D'), reg('D'), 13u);
                        break;
                case 9:
                        if (below(4) == 0)
                                put(" SETF r%u r%u .main a%c [%c\n", a, below(2) ? 18u : 0u, d, d);
                        else
                                put(" SETF r%u r18 .main fd d\n", reg('D'));
                        break;
                case 10:
                        put(" GETF r5 r0 .main fu u\n GETF r%u r5 .main fi i\n", written('I'));
                        break;
                case 11:
                        arithmetic();
                        break;
                default:
                        if (below(3) == 0)
                                put(" MOV r%u r5\n", a);
                        else if (below(4))
                                convert();
                        else
                                put(" CONCAT r%u r%u\n", TEXT, reg(number()));
                }
        if (up)
                ends_up(loops, l, next, begin);
        else
                put("l%u:\n ADDI_I r%u r%u -1\n JGEI_I r%u 0 l%u\n", next, COUNT1 + loops, COUNT1 + loops,
                    COUNT1 + loops, l);
        put("l%u:\n", out);
}

static void statement(unsigned self, unsigned depth, unsigned loops)
{
        unsigned l = labels, n;

        switch (below(depth ? 20 : 15)) {
        case 0:
        case 1:
                constant();
                break;
        case 2:
        case 3:
        case 4:
        case 5:
                for (n = 1 + below(6); n--;)
                        arithmetic();
                break;
        case 6:
                for (n = 1 + below(3); n--;)
                        convert();
                break;
        case 7:
                for (n = 1 + below(3); n--;)
                        compare();
                break;
        case 8:
        case 9:
                member();
                break;
        case 10:
        case 11:
                array();
                break;
        case 12:
        case 13:
                if (below(3))
                        object();
                else
                        closure();
                break;
        case 14:
                call(self);
                break;
        case 15: /* if and else */
                labels += 2;
                branch("l", l);
                block(self, depth - 1, loops);
                put(" JMP l%u\nl%u:\n", l + 1, l);
                block(self, depth - 1, loops);
                put("l%u:\n", l + 1);
                break;
        case 16:
        case 17: /* a loop */
                if (loops == 2) {
                        put(" NOP\n");
                        break;
                }
                if (below(2)) {
                        tight_loop(loops);
                        break;
                }
                labels += 2;
                put(" LDI r%u %u\n", COUNT1 + loops, 1 + below(6));
                put("l%u:\n", l);
                block(self, depth - 1, loops + 1);
                if (below(3) == 0)
                        branch("l", l + 1);
                block(self, depth - 1, loops + 1);
                put(" ADDI_I r%u r%u -1\n JGTI_I r%u 0 l%u\nl%u:\n", COUNT1 + loops, COUNT1 + loops, COUNT1 + loops, l,
                    l + 1);
                break;
        case 18: /* a switch */
                n = 1 + below(4);
                labels += 6;
                put(" ANDI_I r9 r%u 7\n", reg('I'));
                if (below(2)) {
                        put(" TSWITCH r9 %d l%u", (int)below(4), l + 5);
                        for (unsigned i = 0; i < n; i++)
                                put(" l%u", l + i);
                } else {
                        put(" LSWITCH r9 l%u", l + 5);
                        for (unsigned i = 0; i < n; i++)
                                put(" %u l%u", i * 2, l + i);
                }
                put("\n");
                for (unsigned i = 0; i < n; i++) {
                        put("l%u:\n", l + i);
                        block(self, 0, loops);
                        if (below(2))
                                put(" JMP l%u\n", l + 5);
                }
                put("l%u:\n", l + 5);
                break;
        default: /* try, with a throw now and then */
                labels += 4;
                put("l%u:\n", l);
                block(self, depth - 1, loops);
                if (below(3) == 0) {
                        put(" JNULL r%u l%u\n THROW r%u\n", 5u, l + 3, 5u);
                        put("l%u:\n", l + 3);
                }
                put("l%u:\n JMP l%u\nl%u:\n", l + 1, l + 2, l + 2);
                put(" catch l%u l%u l%u all r%u\n", l, l + 1, l + 2, TEXT);
        }
}

static void block(unsigned self, unsigned depth, unsigned loops)
{
        unsigned n = 1 + below(6);

        for (unsigned i = 0; i < n; i++)
                statement(self, depth, loops);
}

static void method(unsigned self)
{
        unsigned n = 2 + below(6), begin = labels++, end = labels++;

        put("method m%u(ilfdu)%c %s\nl%u:\n", self, "ilfdu"[strchr("ILFDR", result[self]) - "ILFDR"], TYPES, begin);
        for (unsigned k = below(16); k--;)
                constant();
        if (below(4))
                put(" LDI r9 10\n NEWARR r15 r9 i\n NEWARR r16 r9 d\n NEWARR r17 r9 u\n NEW r18 .kid\n");
        if (below(2)) {
                static const char *const classes[] = {"main", "kid", "cub", "kid"};

                for (unsigned k = 0; k < 4; k++)
                        put(" NEW r5 .%s\n LDI r9 %u\n AST_R r5 r17 r9\n", classes[k], k);
        }
        if (below(2))
                put(" SETF r15 r0 .main ai [i\n SETF r16 r0 .main ad [d\n SETF r17 r0 .main au [u\n SETF r18 r0 .main "
                    "fu u\n");
        for (unsigned i = 0; i < n; i++) {
                put(" line %u\n", 10 * (self + 1) + i);
                statement(self, 3, 0);
        }
        /* An error, too, may end with what all registers hold. */
        if (below(2))
                put(" catch l%u l%u l%u all r%u\n", begin, end, end, TEXT);
        put("l%u:\n CONCAT r%u", end, TEXT);
        for (unsigned r = 1; r < COUNT1; r++)
                if (TYPES[r] != 'R')
                        put(" r%u", r);
        put("\n SETS r%u .main out .internal.string;\n", TEXT);
        put(" RET r%u\n", reg(result[self]));
}

static void small_methods(unsigned factor)
{
        put("method get()i RI\n GETF r1 r0 .main fi i\n ADDI_I r1 r1 %u\n RET r1\n", factor);
        put("method change(i)i RIRI\n JEQI_I r1 3 new\n GETF r2 r0 .main ai [i\n LEN r3 r2\n JGTI_I r3 50 new\n AST_I "
            "r1 r2 r3\n RET "
            "r3\nnew:\n LDI r3 2\n NEWARR r2 r3 i\n SETF r2 r0 .main ai [i\n RET r1\n");
        put("method put(l)v RL\n SETF r1 r0 .main fl l\n RETN\n");
        put("method twice(id)d RIDDI\n CALLV r4 .main get()i r0\n ADD_I r1 r1 r4\n I2D r3 r1\n MUL_D r3 r3 r2\n RET "
            "r3\n");
}

static void program(void)
{
        ntext = 0;
        labels = 0;
        put("class .kid extends .main\nsource kid.ph\nfield extra i\n");
        for (unsigned k = 0; k < METHODS; k++)
                if (below(2))
                        method(k);
        if (below(2))
                small_methods(5);
        program_write_class(folder, "kid", text);
        ntext = 0;
        put("class .cub extends .main\nsource cub.ph\n");
        small_methods(9);
        program_write_class(folder, "cub", text);
        ntext = 0;
        labels = 0;
        put("class .main\nsource main.ph\nfield static fuel i\nfield static out .internal.string;\n");
        for (const char *t = "ilfdu"; *t; t++)
                put("field f%c %c\nfield static s%c %c\n", *t, *t, *t, *t);
        put("field ai [i\nfield ad [d\nfield au [u\n");
        small_methods(1);
        put("method static still(il)l ILLI\n ADDI_I r3 r0 7\n I2L r2 r3\n MUL_L r2 r2 r1\n RET r2\n");
        put("method static shut0(il)l ILL\n I2L r2 r0\n SUB_L r2 r2 r1\n RET r2\n");
        put("method private static shut1(ilfdu)d ILFDRDR\n SETS r1 .main sl l\n I2D r5 r0\n ADD_D r5 r5 r3\n TOSTR r6 "
            "r4\n "
            "SETS r6 .main su u\n RET r5\n");
        put("method static shut2()u RR\n GETS r0 .main su u\n CALLN r1 toString r0\n RET r1\n");
        put("method private static shut3(uuuuuu)i RRRRRRII\n VEQ r6 r0 r5\n VEQ r7 r1 r4\n ADD_I r6 r6 r7\n JNULL r2 "
            "n\n "
            "THROW r2\nn:\n SETS r3 .main su u\n RET r6\n");
        for (unsigned k = 0; k < METHODS; k++)
                method(k);
        put("method run(u)v ordinal 8 RRILFDRILFDRRRR\n LDK r13 string \"\\n\"\n");
        for (unsigned k = 0; k < METHODS; k++)
                for (unsigned i = 0; i < 4; i++) {
                        put(" LDI r2 20\n SETS r2 .main fuel i\n NEW r6 .%s\n NEW r12 .%s\n", i % 2 ? "kid" : "main",
                            i == 2 ? "kid" : "main");
                        put(" LDI r2 %d\n LDL r3 %d\n LDF r4 %d\n LDD r5 %d\n", (int)below(30) - 10,
                            (int)below(30) - 10, (int)below(30) - 10, (int)below(30) - 10);
                        put(" SETF r2 r12 .main fi i\n");
                        if (i == 3)
                                put(" LDNULL r6\n");
                        put("a%u:\n", k * 4 + i);
                        put(" CALLV r%u .main m%u(ilfdu)%c r12 r2 r3 r4 r5 r6\n",
                            7 + (unsigned)(strchr("ILFDR", result[k]) - "ILFDR"), k,
                            "ilfdu"[strchr("ILFDR", result[k]) - "ILFDR"]);
                        put("b%u:\n GETS r14 .main out .internal.string;\n", k * 4 + i);
                        if (result[k] == 'R')
                                put(" CONCAT r14 r14 r13\n");
                        else
                                put(" CONCAT r14 r14 r%u r13\n", 7 + (unsigned)(strchr("ILFD", result[k]) - "ILFD"));
                        put(" CALLV r11 .internal.bootstrap consolePrint(u)v r1 r14\n JMP d%u\n", k * 4 + i);
                        put("c%u:\n CALLN r11 getClass r14\n CALLN r11 getName r11\n CONCAT r14 r11 r13\n", k * 4 + i);
                        put(" CALLV r11 .internal.bootstrap consolePrint(u)v r1 r14\n");
                        put(" catch a%u b%u c%u all r14\nd%u:\n", k * 4 + i, k * 4 + i, k * 4 + i, k * 4 + i);
                }
        /* The last one is not caught: its trace is printed. */
        put(" LDI r2 20\n SETS r2 .main fuel i\n LDNULL r6\n CALLV r10 .main m3(ilfdu)d r12 r2 r3 r4 r5 r6\n");
        put(" LDNULL r12\n CALLV r10 .main m3(ilfdu)d r12 r2 r3 r4 r5 r6\n RETN\n");
        program_write_class(folder, "main", text);
}

/* ---- running ---- */

static struct pvm_limits limits = {.heap_bytes = 64ul << 20, .stack_bytes = 1ul << 18};

/* Identities are of addresses, which are others when something is collected. */
static void forget_identities(void)
{
        size_t n = 0;

        for (size_t k = 0; k < noutput; k++) {
                output[n++] = output[k];
                if (output[k] == '@')
                        k += strspn(output + k + 1, "0123456789abcdef");
        }
        output[n] = 0;
        noutput = n;
}

static void run(enum pvm_compile compile, uint32_t drop, bool hostile)
{
        char why[500];

        noutput = 0;
        output[0] = 0;
        pvm_compile = compile;
        pvm_drop_code = drop;
        pvm_hostile = hostile;
        pvm_hot_calls = 2;
        assert_int_equal(hosted_pvm_open(NULL, 0), 0);
        hosted_pvm_folder(folder);
        hosted_pvm_console = collect_output;
        assert_int_equal(pvm_create(&limits, why, sizeof(why)), 0);
        if (!pvm_start(".main", NULL, 0, why, sizeof(why)))
                fail_msg("seed %lu: %s", seed, why);
        pvm_run();
        pvm_hostile = false;
        if (!pvm_heap_check(why, sizeof(why)))
                fail_msg("heap: %s", why);
        pvm_forget();
        hosted_pvm_close();
        forget_identities();
}

/* The first line that is another one. */
static void differ(uint64_t start, const char *mode)
{
        const char *a = output, *b = expected;
        unsigned line = 0;

        while (*a && *b && strcspn(a, "\n") == strcspn(b, "\n") && !strncmp(a, b, strcspn(a, "\n") + 1)) {
                line++;
                a += strcspn(a, "\n") + 1;
                b += strcspn(b, "\n") + 1;
        }
        fail_msg("PVM_RANDOM_SEED=%lu, %s: method %u, call %u:\n%.*s\ninterpreted:\n%.*s", start, mode, line / 4,
                 line % 4, (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

static void test_random(void **state)
{
        static const struct {
                const char *name;
                enum pvm_compile compile;
                uint32_t drop;
                bool hostile;
                uint64_t young_bytes;
        } modes[] = {
                {"interpreted, with collections", PVM_COMPILE_NEVER, 0, true},
                {"interpreted, with young collections", PVM_COMPILE_NEVER, 0, false, 1},
                {"compiled", PVM_COMPILE_ALWAYS, 0, false},
                {"compiled, with young collections", PVM_COMPILE_ALWAYS, 0, false, 1},
                {"compiled at the second call", PVM_COMPILE_HOT, 0, false},
                {"compiled at the second call, code is dropped", PVM_COMPILE_HOT, 10, true},
                {"compiled, with collections", PVM_COMPILE_ALWAYS, 0, true},
                {"compiled, code is dropped", PVM_COMPILE_ALWAYS, 2, true},
        };
        const char *how_many = getenv("PVM_RANDOM"), *first = getenv("PVM_RANDOM_SEED");
        unsigned n = how_many ? (unsigned)atoi(how_many) : 2000;
        uint64_t start = first ? strtoull(first, NULL, 10) : 1;

        (void)state;
        for (unsigned i = 0; i < n; i += METHODS, start++) {
                seed = start * 0x9e3779b97f4a7c15ul + 1;
                program();
                run(PVM_COMPILE_NEVER, 0, false);
                memcpy(expected, output, noutput + 1);
                if (i == 0 && getenv("PVM_RANDOM_SHOW"))
                        printf("%s\n%s", text, output);
                for (unsigned k = 0; k < sizeof(modes) / sizeof(modes[0]); k++) {
                        limits.young_bytes = modes[k].young_bytes;
                        run(modes[k].compile, modes[k].drop, modes[k].hostile);
                        if (!strcmp(output, expected))
                                continue;
                        differ(start, modes[k].name);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
        int r;
        char command[100];

        strcpy(folder, "/tmp/pvm-random-XXXXXX");
        if (!mkdtemp(folder))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        snprintf(command, sizeof(command), "rm -rf %s", folder);
        return r | system(command);
}
