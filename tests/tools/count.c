/*
 * count.c - a plugin for QEMU that counts instructions exactly, without the time that the machine waits: from the first one at the address
 * entry=N until each `xchg %bx, %bx`, which no compiler makes and which tests/bench/tsc.c has. Writes the numbers to the file out=PATH, a line each.
 * QEMU's header for plugins is not in Debian; what is used of its interface (version 1) is declared here. One CPU only.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CB_NO_REGS = 0, INLINE_ADD_U64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t idx);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*cb)(unsigned cpu, void *arg),
                                            int flags, void *arg);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t count, entry, begin;
static bool begun;
static FILE *marks;
static char out[4096];

static void at_entry(unsigned cpu, void *arg)
{
        (void)cpu, (void)arg;
        if (!begun)
                begin = count;
        begun = true;
}

static void at_mark(unsigned cpu, void *arg)
{
        (void)cpu, (void)arg;
        if (!begun || (!marks && !(marks = fopen(out, "w"))))
                return;
        fprintf(marks, "%" PRIu64 "\n", count - begin);
        fflush(marks);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
        (void)id;
        for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
                struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

                if (qemu_plugin_insn_vaddr(insn) == entry)
                        qemu_plugin_register_vcpu_insn_exec_cb(insn, at_entry, CB_NO_REGS, NULL);
                if (qemu_plugin_insn_size(insn) == 3 && memcmp(qemu_plugin_insn_data(insn), "\x66\x87\xdb", 3) == 0)
                        qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, CB_NO_REGS, NULL);
                qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &count, 1);
        }
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
                                                               char **argv)
{
        (void)info;
        for (int i = 0; i < argc; i++) {
                if (strncmp(argv[i], "entry=", 6) == 0)
                        entry = strtoull(argv[i] + 6, NULL, 0);
                else if (strncmp(argv[i], "out=", 4) == 0)
                        snprintf(out, sizeof(out), "%s", argv[i] + 4);
        }
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        return 0;
}
