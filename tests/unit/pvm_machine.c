/*
 * pvm_machine.c - the object machine with programs of the test assembler: what they print, how they end, and that the heap is whole afterwards. Each
 * program runs with collections now and then, and with one at every safepoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pvm/host/host.h"
#include "pvm/machine.h"
#include "tests/pvm/asm.h"

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
}

static void write_class(const char *name, const char *text)
{
        char path[256];
        size_t size;
        uint8_t *file = pvm_assemble(text, &size);
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s.pvmc", folder, name);
        f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(file, 1, size, f), size);
        fclose(f);
        free(file);
}

static struct pvm_limits limits = {.heap_bytes = 64ul << 20, .stack_bytes = 1ul << 20};

static bool can_be_hostile = true; /* else it would take too long */

/* Runs class .main; returns how many threads failed. */
static unsigned run_once(void)
{
        char why[500];
        unsigned failures;

        noutput = 0;
        output[0] = 0;
        assert_int_equal(hosted_pvm_open(NULL), 0);
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

static void expect(const char *main_text, unsigned failures, const char *text)
{
        write_class("main", main_text);
        for (unsigned hostile = 0; hostile <= can_be_hostile; hostile++) {
                unsigned n;

                pvm_hostile = hostile;
                n = run_once();
                pvm_hostile = false;
                if (strcmp(output, text) || n != failures)
                        fail_msg("%s%u failures, printed:\n%s\nexpected %u and:\n%s", hostile ? "hostile: " : "", n,
                                 output, failures, text);
        }
}

#define HEAD        "class .main\nsource main.ph\n"
#define PRINT(r)    " CONCAT r2 " r " r3\n CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2\n"
#define BEGIN(regs) "method run(u)v ordinal 8 RRRR" regs "\n LDK r3 string \"\\n\"\n"

static void test_arithmetic(void **state)
{
        (void)state;
        expect(HEAD BEGIN("IIILLDDFF") " LDK r4 int -2147483648\n LDI r5 -1\n DIV_I r6 r4 r5\n" PRINT(
                       "r6") " REM_I "
                             "r6 r4 "
                             "r5"
                             "\n" PRINT("r6") " LDI r4 -7\n LDI r5 3\n DIV_I r6 r4 r5\n" PRINT(
                                     "r6") " REM_I r6 r4 r5\n" PRINT("r6") " LDI r5 33\n SHL_I r6 r4 r5\n" PRINT("r6") " USHRI_I r6 r4 28\n" PRINT("r6") " SHRI_I r6 r4 1\n" PRINT("r6") " LDK r7 long 9223372036854775807\n ADDI_L r8 r7 1\n" PRINT("r8") " LDK r9 double 1e300\n D2I r6 r9\n" PRINT("r6") " D2L r8 r9\n" PRINT("r8") " SUB_D r9 r9 r9\n LDD r10 0\n DIV_D r9 r9 r10\n D2I r6 r9\n" PRINT("r6")
                                     PRINT("r9") " JLT_D r9 r10 no\n JNLT_D r9 r10 yes\nno:\n RETN\nyes:\n SNE_D r6 r9 "
                                                 "r9\n" PRINT("r6") " LDK r9 double 0.1\n" PRINT(
                                                         "r9") " LDK r11 float "
                                                               "0.1\n" PRINT(
                                                                       "r"
                                                                       "1"
                                                                       "1") " LDD r9 7\n LDK r10 double 2.5\n REM_D r9 "
                                                                            "r9 r10\n" PRINT("r9") " LDK r4 int "
                                                                                                   "65536\n MUL_I r6 "
                                                                                                   "r4 r4\n" PRINT("r6") " "
                                                                                                                         "A"
                                                                                                                         "N"
                                                                                                                         "D"
                                                                                                                         "I"
                                                                                                                         "_"
                                                                                                                         "I"
                                                                                                                         " "
                                                                                                                         "r"
                                                                                                                         "6"
                                                                                                                         " "
                                                                                                                         "r"
                                                                                                                         "4"
                                                                                                                         " "
                                                                                                                         "-"
                                                                                                                         "1"
                                                                                                                         "\n" PRINT("r6") " LDI r4 100\n REMI_I r6 r4 7\n" PRINT(
                                                                                                                                 "r6") " RETN\n",
               0,
               "-2147483648\n0\n-2\n-1\n-14\n15\n-4\n-"
               "9223372036854775808\n2147483647\n9223372036854775807\n0\nnan\n1\n0.1\n0.1\n2.0\n0\n65536\n2\n");
        expect(HEAD BEGIN("II") " line 7\n LDI r4 1\n LDI r5 0\n REM_I r4 r4 r5\n RETN\n", 1,
               "uncaught in thread 1: .internal.error.divide: division by zero\n        at .main.run (main.ph:7)\n");
}

static void test_calls(void **state)
{
        (void)state;
        write_class(
                "shape",
                "class .shape implements .thing\nfield size i\nmethod .new(i)v RI\n SETF r1 r0 .shape size i\n RETN\n"
                "method area()i RI\n GETF r1 r0 .shape size i\n RET r1\nmethod name().internal.string; ordinal 20 RR\n "
                "LDK r1 string \"shape\"\n RET r1\n"
                "method private hidden()i RI\n LDI r1 5\n RET r1\nmethod show()i RI\n CALLC r1 .shape hidden()i r0\n "
                "RET r1\n");
        write_class("square", "class .square extends .shape\nfield extra l\nmethod .new(i)v RIR\n CALLC r2 .shape "
                              ".new(i)v r0 r1\n RETN\n"
                              "method area()i RI\n CALLC r1 .shape area()i r0\n MUL_I r1 r1 r1\n RET r1\nmethod "
                              "name().internal.string; RR\n LDK r1 string \"square\"\n RET r1\n");
        write_class("thing", "class .thing interface\nmethod abstract area()i\n");
        expect(HEAD "method both(.shape;)i RRRI\n CALLV r3 .shape area()i r1\n RET r3\n" BEGIN(
                       "RRIRR") " LDI r6 7\n "
                                "NEW r4 "
                                ".shape\n "
                                "CALLC r2 "
                                ".shape "
                                ".new(i)v r4 "
                                "r6\n NEW r5 "
                                ".square\n "
                                "CALLC r2 "
                                ".square "
                                ".new(i)v r5 "
                                "r6\n CALLV "
                                "r6 .main "
                                "both(.shape;)"
                                "i r0 "
                                "r4\n" PRINT(
                                        "r6") " CALLV r6 .main both(.shape;)i r0 r5\n" PRINT("r6") " CALLV r6 "
                                                                                                   ".thing "
                                                                                                   "area()i "
                                                                                                   "r5\n" PRINT(
                                                                                                           "r"
                                                                                                           "6") " CALLN"
                                                                                                                " r7 "
                                                                                                                "area "
                                                                                                                "r5"
                                                                                                                "\n" PRINT("r7") " CALLO r7 20 r5\n" PRINT("r7") " LDK r8 string \"name\"\n CALLD r7 r4 r8\n" PRINT("r7") " CALLV r6 .shape show()i r5\n" PRINT("r6") " LDK r8 string \".square\"\n NEWD r5 r8\n BOX r7 r6\n CALLN r2 .new r5 r7\n CALLN r7 area r5\n" PRINT("r7") " INSTOF r6 r5 .thing;\n" PRINT("r6") " INSTOF r6 r4 .square;\n" PRINT("r6") " VEQ r6 r7 r7\n" PRINT("r6") " RETN\n",
               0, "7\n49\n49\n49\nsquare\nshape\n5\n25\n1\n0\n1\n");
        expect(HEAD
               "method over(i)i RII\n LDI r2 1\n RET r2\nmethod over(d)i RDI\n LDI r2 2\n RET r2\nmethod "
               "over(.internal.string;)i RRI\n LDI r2 3\n RET r2\n"
               "method over(u)i RRI\n LDI r2 4\n RET r2\n" BEGIN(
                       "IRDLRF") " LDI r4 1\n BOX r5 r4\n CALLN r8 over "
                                 "r0 r5\n" PRINT(
                                         "r8") " LDL r7 1\n BOX "
                                               "r5 r7\n CALLN "
                                               "r8 over r0 "
                                               "r5\n" PRINT("r8") " CALLN r8 over r0 r3\n" PRINT(
                                                       "r8") " CALLN r8 over r0 r0\n" PRINT("r8") " L"
                                                                                                  "DF"
                                                                                                  " r"
                                                                                                  "9 "
                                                                                                  "1"
                                                                                                  "\n"
                                                                                                  " B"
                                                                                                  "OX"
                                                                                                  " r"
                                                                                                  "5 "
                                                                                                  "r9"
                                                                                                  "\n"
                                                                                                  " C"
                                                                                                  "AL"
                                                                                                  "LN"
                                                                                                  " r"
                                                                                                  "8 "
                                                                                                  "ov"
                                                                                                  "er"
                                                                                                  " r"
                                                                                                  "0 "
                                                                                                  "r5"
                                                                                                  "\n" PRINT(
                                                                                                          "r8") " line "
                                                                                                                "9\n "
                                                                                                                "CALLN "
                                                                                                                "r8 "
                                                                                                                "over "
                                                                                                                "r0\n "
                                                                                                                "RETN"
                                                                                                                "\n",
               1,
               "1\n2\n3\n4\n2\nuncaught in thread 1: .internal.error.link: .main: no method over with 0 arguments\n    "
               "    at .main.run (main.ph:9)\n");
}

static void test_exceptions(void **state)
{
        (void)state;
        write_class("oops", "class .oops extends .internal.error\nfield code i\n");
        expect(HEAD
               "method deep(i)i RIIR\n line 3\n JGTI_I r1 0 on\n LDNULL r3\n line 4\n CALLN r3 f r3\non:\n line "
               "5\n ADDI_I r2 r1 -1\n CALLV r2 .main deep(i)i r0 r2\n RET r2\n" BEGIN(
                       "IRI") "a:\n LDI r4 2\n line 10\n CALLV r4 .main deep(i)i r0 r4\nb:\n RETN\nc:\n INSTOF "
                              "r6 r5 .internal.error.reference;\n" PRINT(
                                      "r6") " CALLV r2 .internal.error "
                                            "getMessage().internal.string; "
                                            "r5\n" PRINT(
                                                    "r2") "d:\n line "
                                                          "12\n NEW r5 "
                                                          ".oops\n THROW "
                                                          "r5\ne:\n "
                                                          "RETN\nf:"
                                                          "\n" PRINT("r3") " line 13\n RETHROW r5\n catch a b c "
                                                                           ".internal.error r5\n catch d e f all r5\n",
               1, "1\na method of null\n\n\nuncaught in thread 1: .oops\n        at .main.run (main.ph:12)\n");
        expect(HEAD "method down(i)i RII\n line 2\n ADDI_I r2 r1 1\n CALLV r2 .main down(i)i r0 r2\n RET r2\n" BEGIN(
                       "IR") "a:\n LDI r4 0\n CALLV r4 .main down(i)i r0 r4\nb:\n RETN\nc:\n CALLV r2 .internal.object "
                             "getClass().internal.class; r5\n CALLV r2 .internal.class getName().internal.string; "
                             "r2\n" PRINT("r2") " RETN\n catch a b c all r5\n",
               0, ".internal.error.stack\n");
        expect(HEAD BEGIN("IR") " LDI r4 0\n BOX r5 r4\n THROW r5\n RETN\n", 1,
               "uncaught in thread 1: .internal.int: 0\n        at .main.run\n");
        expect(HEAD BEGIN("") " CALLV r2 .main none()v r0\n RETN\n", 1,
               "uncaught in thread 1: .internal.error.link: .main: no method none()v\n        at .main.run\n");
        expect(HEAD BEGIN("R") " NEW r4 .nothing\n RETN\n", 1,
               "uncaught in thread 1: .internal.error.link: .nothing: no such class\n        at .main.run\n");
        expect(HEAD BEGIN("R") " NEW r4 .internal.window\n CALLN r2 getX r4\n RETN\n", 1,
               "uncaught in thread 1: .internal.error.unavailable: .internal.window.getX is not available on this "
               "machine\n        at .main.run\n");
}

static void test_arrays(void **state)
{
        (void)state;
        expect(HEAD BEGIN("RIIRRD") " LDI r5 2\n NEWARR r4 r5 i\n LDI r6 9\n AST_I r6 r4 r5\n LEN r5 r4\n" PRINT(
                       "r"
                       "5") " LDI r5 2\n ALD_I r6 r4 r5\n" PRINT("r6") " ALD_R r7 r4 r5\n" PRINT("r7") " CALLN r8 "
                                                                                                       "iterator "
                                                                                                       "r4\nl:\n CALLN "
                                                                                                       "r7 hasNext "
                                                                                                       "r8\n UNBOX r6 "
                                                                                                       "r7\n JEQI_I r6 "
                                                                                                       "0 e\n CALLN r7 "
                                                                                                       "next "
                                                                                                       "r8\n" PRINT(
                                                                                                               "r7") " "
                                                                                                                     "J"
                                                                                                                     "M"
                                                                                                                     "P"
                                                                                                                     " "
                                                                                                                     "l"
                                                                                                                     "\ne:\n LDI r5 1\n "
                                                                                                                     "N"
                                                                                                                     "E"
                                                                                                                     "W"
                                                                                                                     "A"
                                                                                                                     "R"
                                                                                                                     "R"
                                                                                                                     " "
                                                                                                                     "r"
                                                                                                                     "7"
                                                                                                                     " "
                                                                                                                     "r"
                                                                                                                     "5"
                                                                                                                     " "
                                                                                                                     "["
                                                                                                                     "i"
                                                                                                                     "\n LDI r5 0\n "
                                                                                                                     "A"
                                                                                                                     "S"
                                                                                                                     "T"
                                                                                                                     "_"
                                                                                                                     "R"
                                                                                                                     " "
                                                                                                                     "r"
                                                                                                                     "4"
                                                                                                                     " "
                                                                                                                     "r"
                                                                                                                     "7"
                                                                                                                     " "
                                                                                                                     "r"
                                                                                                                     "5"
                                                                                                                     "\n INSTOF r6 r7 "
                                                                                                                     "["
                                                                                                                     "["
                                                                                                                     "i"
                                                                                                                     "\n" PRINT(
                                                                                                                             "r6") " INSTOF "
                                                                                                                                   "r6 r7 "
                                                                                                                                   "[u"
                                                                                                                                   "\n" PRINT("r6") " INSTOF r6 r4 [u\n" PRINT("r6") " INSTOF r6 r4 .internal.container.array;\n" PRINT(
                                                                                                                                           "r6") " LDI r5 5\n line 8\n ALD_I r6 r4 r5\n RETN\n",
               1,
               "3\n9\n9\n0\n0\n9\n1\n1\n0\n1\nuncaught in thread 1: .internal.error.bounds: index 5 of 3 elements\n    "
               "    at .main.run (main.ph:8)\n");
        expect(HEAD BEGIN("RIR") " LDI r5 3\n NEWARR r4 r5 d\n BOX r6 r5\n AST_R r6 r4 r5\n ALD_R r6 r4 r5\n" PRINT(
                       "r6") " AST_R r3 r4 r5\n RETN\n",
               1,
               "3.0\nuncaught in thread 1: .internal.error.cast: .internal.string into an array of numbers\n        at "
               ".main.run\n");
}

static void test_statics(void **state)
{
        (void)state;
        write_class(
                "counted",
                "class .counted\nfield static n i\nfield static name .internal.string;\nmethod static .static()v IR\n "
                "LDI r0 41\n SETS r0 .counted n i\n LDK r1 string \"c\"\n SETS r1 .counted name .internal.string;\n "
                "RETN\n"
                "method static next()i I\n GETS r0 .counted n i\n ADDI_I r0 r0 1\n SETS r0 .counted n i\n RET r0\n");
        expect(HEAD BEGIN("IR") " CALLS r4 .counted next()i\n" PRINT("r4") " CALLS r4 .counted next()i\n" PRINT(
                       "r4") " GETS r5 .counted name .internal.string;\n" PRINT("r5") " LDK r5 class "
                                                                                      ".counted\n" PRINT(
                                                                                              "r3") " RETN\n",
               0, "42\n43\nc\n\n\n");
}

/* Trees are built and dropped in a heap that holds a few of them; a weak reference sees its object go. */
static void test_collection(void **state)
{
        struct pvm_limits before = limits;

        (void)state;
        write_class("node",
                    "class .node\nfield l .node;\nfield r .node;\nmethod static make(i).node; IRR\n NEW r1 .node\n "
                    "JEQI_I r0 0 e\n ADDI_I r0 r0 -1\n CALLS r2 .node make(i).node; r0\n SETF r2 r1 .node l .node;\n"
                    " CALLS r2 .node make(i).node; r0\n SETF r2 r1 .node r .node;\ne:\n RET r1\nmethod count()i RRII\n "
                    "GETF r1 r0 .node l .node;\n LDI r2 1\n JNULL r1 e\n CALLV r3 .node count()i r1\n ADD_I r2 r2 r3\n"
                    " GETF r1 r0 .node r .node;\n CALLV r3 .node count()i r1\n ADD_I r2 r2 r3\ne:\n RET r2\n");
        limits.heap_bytes = 6ul << 20;
        can_be_hostile = false;
        expect(HEAD BEGIN("RRIIRR") " LDI r6 12\n CALLS r4 .node make(i).node; r6\n NEW r8 .internal.weakref\n CALLC "
                                    "r2 .internal.weakref .new(u)v r8 r4\n LDI r7 0\nl:\n LDI r6 12\n CALLS r5 .node "
                                    "make(i).node; r6\n ADDI_I r7 r7 1\n JLTI_I r7 100 l\n CALLV r6 .node count()i "
                                    "r4\n" PRINT("r6") " CALLV r6 .node count()i r5\n" PRINT(
                                            "r6") " CALLV r9 "
                                                  ".internal.weakref "
                                                  "get()u r8\n SSAME "
                                                  "r6 r9 r4\n" PRINT("r6") " LDNU"
                                                                           "LL "
                                                                           "r4\n "
                                                                           "LDNUL"
                                                                           "L "
                                                                           "r9\n "
                                                                           "LDI "
                                                                           "r7 "
                                                                           "0\nm:"
                                                                           "\n "
                                                                           "LDI "
                                                                           "r6 "
                                                                           "12\n "
                                                                           "CALLS"
                                                                           " r5 "
                                                                           ".node"
                                                                           " make"
                                                                           "(i)."
                                                                           "node;"
                                                                           " r6\n"
                                                                           " ADDI"
                                                                           "_I "
                                                                           "r7 "
                                                                           "r7 "
                                                                           "1\n "
                                                                           "JLTI_"
                                                                           "I r7 "
                                                                           "50 "
                                                                           "m\n "
                                                                           "CALLV"
                                                                           " r9 "
                                                                           ".inte"
                                                                           "rnal."
                                                                           "weakr"
                                                                           "ef "
                                                                           "get()"
                                                                           "u "
                                                                           "r8"
                                                                           "\n" PRINT("r9") " RETN\n",
               0, "8191\n8191\n1\nnull\n");
        /* A list without an end: an exception, and all is well after it. */
        expect(HEAD BEGIN("RRIR") "a:\n NEW r5 .node\n SETF r4 r5 .node l .node;\n MOV r4 r5\n JMP a\nb:\n RETN\nc:\n "
                                  "LDNULL r4\n LDNULL r5\n CALLV r2 .internal.error getMessage().internal.string; "
                                  "r7\n" PRINT("r2") " LDI r6 10\n CALLS r5 .node make(i).node; r6\n CALLV r6 .node "
                                                     "count()i r5\n" PRINT(
                                                             "r6") " RETN\n catch a b c .internal.error.memory r7\n",
               0, "the heap is full\n2047\n");
        limits = before;
        can_be_hostile = true;
}

static void test_threads(void **state)
{
        (void)state;
        write_class("shared", "class .shared\nfield m .internal.mutex;\nfield c .internal.cond;\nfield n i\n");
        write_class("worker",
                    "class .worker\nfield s .shared;\nmethod run()v RRRIIRRR\n GETF r1 r0 .worker s .shared;\n GETF r2 "
                    "r1 .shared m .internal.mutex;\n NEW r6 .internal.world\n LDI r3 0\nl:\n CALLV r5 .internal.mutex "
                    "lock()v r2\n"
                    " GETF r4 r1 .shared n i\n CALLV r5 .internal.world yield()v r6\n ADDI_I r4 r4 1\n SETF r4 r1 "
                    ".shared n i\n CALLV r5 .internal.mutex unlock()v r2\n ADDI_I r3 r3 1\n JLTI_I r3 100 l\n"
                    " GETF r7 r1 .shared c .internal.cond;\n CALLV r5 .internal.cond signal()v r7\n RETN\n");
        expect(HEAD BEGIN("RRRIIR") " NEW r4 .shared\n NEW r5 .internal.mutex\n SETF r5 r4 .shared m "
                                    ".internal.mutex;\n NEW r9 .internal.cond\n SETF r9 r4 .shared c .internal.cond;\n "
                                    "LDI r7 0\nl:\n NEW r6 .worker\n SETF r4 r6 .worker s .shared;\n"
                                    " CALLV r2 .internal.bootstrap startThread(u).internal.thread; r1 r6\n ADDI_I r7 "
                                    "r7 1\n JLTI_I r7 5 l\n CALLV r2 .internal.mutex lock()v r5\nw:\n GETF r8 r4 "
                                    ".shared n i\n JEQI_I r8 500 d\n"
                                    " CALLV r2 .internal.cond wait(.internal.mutex;)v r9 r5\n JMP w\nd:\n" PRINT(
                                            "r8") " LDI r7 20\n CALLV r7 .internal.cond twait(.internal.mutex;i)i r9 "
                                                  "r5 r7\n" PRINT("r7") " LDI r7 1\n CALLV r2 .internal.bootstrap "
                                                                        "sleep(i)v r1 r7\n CALLV r2 .internal.mutex "
                                                                        "lock()v r5\n RETN\n",
               1,
               "500\n0\nuncaught in thread 1: .internal.error.state: the mutex is this thread's already\n        at "
               ".main.run\n");
        expect(HEAD BEGIN("RI") " NEW r4 .internal.sema\n CALLV r2 .internal.sema acquire()v r4\n RETN\n", 1,
               "1 threads wait for what can never happen\n");
        expect(HEAD "method add(ii)i RIII\n ADD_I r3 r1 r2\n RET r3\n" BEGIN(
                       "RRRI") " NEW r4 .internal.closure\n LDK r5 string \"add\"\n CALLC r2 .internal.closure "
                               ".new(u.internal.string;)v r4 r0 r5\n LDI r7 20\n BOX r6 r7\n CALLV r6 "
                               ".internal.closure call(uu)u r4 r6 r6\n" PRINT("r6") " LDI r7 1\n CALLV r5 "
                                                                                    ".internal.bootstrap "
                                                                                    "getRoot().internal.directory; "
                                                                                    "r1\n LDK r6 string \"k\"\n CALLV "
                                                                                    "r2 .internal.directory "
                                                                                    "put(.internal.string;u)v r5 r6 "
                                                                                    "r4\n CALLV r4 .internal.directory "
                                                                                    "get(.internal.string;)u r5 r6\n "
                                                                                    "CALLV r2 .internal.bootstrap "
                                                                                    "consolePrint(u)v r1 r3\n RETN\n",
               0, "40\n\n");
}

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
        };

        (void)state;
        write_class("thing", "class .thing interface\nmethod abstract area()i\n");
        for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                write_class("main", bad[i].text);
                if (run_once() != 99 || !strstr(output, bad[i].why))
                        fail_msg("program %u: %s, not %s", i, output, bad[i].why);
        }
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

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),    cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_calls),
                cmocka_unit_test(test_exceptions), cmocka_unit_test(test_arrays),     cmocka_unit_test(test_statics),
                cmocka_unit_test(test_collection), cmocka_unit_test(test_threads),    cmocka_unit_test(test_refused),
        };
        int r;
        char command[100];

        strcpy(folder, "/tmp/pvm-unit-XXXXXX");
        if (!mkdtemp(folder))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        snprintf(command, sizeof(command), "rm -rf %s", folder);
        return r | system(command);
}
