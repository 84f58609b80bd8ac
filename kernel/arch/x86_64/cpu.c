/*
 * cpu.c - one processor: what it can do, descriptor tables, control registers, stacks.
 * %gs points at cpus[id] from cpu_init on. The exception stacks (NMI, double fault, machine check, debug) hang on the TSS; until
 * cpu_stacks_init has made them the boot CPU takes all exceptions on the stack it runs on.
 */
#include "kernel/arch/x86_64/asm.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/fpu.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"
#include "kernel/include/mem.h"
#include "kernel/lib/crc32c.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define STACK_SIZE     (32 * 1024)
#define IST_STACK_SIZE 4096
enum { IST_NMI = 1, IST_DF, IST_MC, IST_DB, IST_COUNT = 4 };

struct tss {
        uint32_t reserved0;
        uint64_t rsp[3];
        uint64_t reserved1;
        uint64_t ist[7];
        uint64_t reserved2;
        uint16_t reserved3, iomap;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "SDM 3A 8.7");

struct idt_gate {
        uint16_t offset0, selector;
        uint8_t ist, type;
        uint16_t offset1;
        uint32_t offset2, reserved;
};

struct descriptor_pointer {
        uint16_t limit;
        uint64_t base;
} __attribute__((packed));

_Static_assert(offsetof(struct cpu, stack_top) == CPU_STACK_TOP, "entry.S");
_Static_assert(offsetof(struct cpu, scratch) == CPU_SCRATCH, "entry.S");
_Static_assert(offsetof(struct cpu, need) == CPU_NEED, "entry.S");
_Static_assert(offsetof(struct cpu, frame) == CPU_FRAME, "entry.S");
_Static_assert(offsetof(struct cpu, vec_busy) == CPU_VEC_BUSY, "vector.S");
_Static_assert(offsetof(struct cpu, vec_save) == CPU_VEC_SAVE, "vector.S");
_Static_assert(offsetof(struct frame, rbp) == FRAME_RBP, "entry.S");
_Static_assert(offsetof(struct frame, rcx) == FRAME_RCX, "entry.S");
_Static_assert(offsetof(struct frame, nr) == FRAME_NR, "entry.S");
_Static_assert(offsetof(struct frame, rsp) == FRAME_RSP, "entry.S");
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "entry.S");

struct cpu cpus[MAX_CPUS] __attribute__((aligned(64)));
unsigned cpu_count = 1;
struct cpu_features cpu_features;

static struct {
        uint64_t gdt[10];
        struct tss tss;
} __attribute__((aligned(64))) tables[MAX_CPUS];

static struct idt_gate idt[256] __attribute__((aligned(4096)));

void vector_move(void *dst, const void *src, size_t len);
void vector_fill(void *dst, uint64_t pattern, size_t len);
unsigned long vector_differ(const void *a, const void *b);
extern char trap_stubs[], syscall_entry[];
extern const uint64_t smap_sites_start[], smap_sites_end[];

static void find_features(void)
{
        struct cpu_features *x = &cpu_features;
        struct cpuid r = cpuid(0, 0);

        x->max_leaf = r.a;
        x->max_ext = cpuid(0x80000000, 0).a;
        r = cpuid(1, 0);
        x->sse3 = r.c & 1 << 0;
        x->cx16 = r.c & 1 << 13;
        x->sse42 = r.c & 1 << 20;
        x->x2apic = r.c & 1 << 21;
        x->popcnt = r.c & 1 << 23;
        x->tsc_deadline = r.c & 1 << 24;
        x->xsave = r.c & 1 << 26;
        x->avx = r.c & 1 << 28;
        x->rdrand = r.c & 1 << 30;
        x->pge = r.d & 1 << 13;
        if (x->max_leaf >= 7) {
                r = cpuid(7, 0);
                x->fsgsbase = r.b & 1 << 0;
                x->smep = r.b & 1 << 7;
                x->erms = r.b & 1 << 9;
                x->rdseed = r.b & 1 << 18;
                x->smap = r.b & 1 << 20;
                x->umip = r.c & 1 << 2;
                x->pks = r.c & 1u << 31;
        }
        if (x->max_leaf >= 0xd && x->xsave)
                x->xsaveopt = cpuid(0xd, 1).a & 1;
        if (x->max_ext >= 0x80000001)
                x->nx = cpuid(0x80000001, 0).d & 1 << 20;
        x->physical_bits = x->max_ext >= 0x80000008 ? cpuid(0x80000008, 0).a & 255 : 36;
        if (x->max_ext >= 0x80000007)
                x->invariant_tsc = cpuid(0x80000007, 0).d & 1 << 8;
}

void cpu_require(void)
{
        if (!cpu_features.nx)
                boot_refuse("this processor has no NX bit (or firmware has it switched off)");
        if (!cpu_features.cx16)
                boot_refuse("this processor lacks CMPXCHG16B");
        if (!cpu_features.sse3)
                boot_refuse("this processor lacks SSE3");
}

/* The image is still writable: stac and clac become three-byte nops where they do not exist. Done once, so no test at each use. */
static void patch_smap_sites(void)
{
        if (cpu_features.smap)
                return;
        for (const uint64_t *site = smap_sites_start; site < smap_sites_end; site++)
                memcpy((void *)*site, "\x0f\x1f\x00", 3);
}

static void set_gate(unsigned vector, unsigned ist, unsigned dpl)
{
        uint64_t at = (uint64_t)trap_stubs + vector * 16;
        idt[vector] = (struct idt_gate){.offset0 = (uint16_t)at,
                                        .selector = SEL_KERNEL_CS,
                                        .ist = (uint8_t)ist,
                                        .type = (uint8_t)(0x8e | dpl << 5), /* interrupt gate */
                                        .offset1 = (uint16_t)(at >> 16),
                                        .offset2 = (uint32_t)(at >> 32)};
}

static void load_tables(unsigned id)
{
        uint64_t *gdt = tables[id].gdt;
        struct tss *tss = &tables[id].tss;
        uint64_t base = (uint64_t)tss;
        struct descriptor_pointer gdtr = {sizeof(tables[id].gdt) - 1, (uint64_t)gdt};
        struct descriptor_pointer idtr = {sizeof(idt) - 1, (uint64_t)idt};

        gdt[SEL_KERNEL_CS / 8] = 0x00af9b000000ffff;
        gdt[SEL_KERNEL_DS / 8] = 0x00cf93000000ffff;
        /* SEL_USER32_CS stays null: sysret only counts from it, and nobody gets into compatibility mode, where AMD's syscall enters elsewhere. */
        gdt[SEL_USER_DS / 8] = 0x00cff3000000ffff;
        gdt[SEL_USER_CS / 8] = 0x00affb000000ffff;
        gdt[SEL_TSS / 8] = (sizeof(*tss) - 1) | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
        gdt[SEL_TSS / 8 + 1] = base >> 32;
        tss->iomap = sizeof(*tss);
        __asm__ volatile("lgdt %0" ::"m"(gdtr));
        __asm__ volatile("lidt %0" ::"m"(idtr));
        __asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" ::"i"(SEL_KERNEL_CS)
                         : "rax", "memory");
        __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs" ::"r"(SEL_KERNEL_DS),
                         "r"(0));
        __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
}

static void set_control_registers(void)
{
        uint64_t cr0 = read_cr(0), cr4 = read_cr(4);

        cr0 |= CR0_WP | CR0_NE | CR0_MP;
        cr0 &= ~(uint64_t)(CR0_EM | CR0_TS | CR0_AM | CR0_NW | CR0_CD);
        write_cr(0, cr0);
        cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE;
        if (cpu_features.pge)
                cr4 |= CR4_PGE;
        if (cpu_features.smep)
                cr4 |= CR4_SMEP;
        if (cpu_features.smap)
                cr4 |= CR4_SMAP;
        if (cpu_features.umip)
                cr4 |= CR4_UMIP;
        if (cpu_features.pks)
                cr4 |= CR4_PKS;
        if (cpu_features.xsave)
                cr4 |= CR4_OSXSAVE;
        write_cr(4, cr4);
}

/* Where `rep movs` is fast it is the better way of moving. */
static void use_vectors(void)
{
        string_use_vector_differ(vector_differ);
        if (cpu_features.erms)
                return;
        string_use_vectors(vector_move, vector_fill);
        user_use_vectors();
}

void cpu_init(unsigned id)
{
        struct cpu *c = &cpus[id];

        if (id == 0) {
                find_features();
                patch_smap_sites();
                for (unsigned v = 0; v < 256; v++)
                        set_gate(v, 0, v == VECTOR_BP || v == VECTOR_OF ? 3 : 0);
                if (cpu_features.sse42)
                        crc32c_use_sse42();
        }
        load_tables(id);
        c->self = c;
        c->id = id;
        c->tss = &tables[id].tss;
        wrmsr(MSR_GS_BASE, (uint64_t)c);
        wrmsr(MSR_KERNEL_GS, 0);
        wrmsr(MSR_FS_BASE, 0);
        if (cpu_features.nx)
                wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE | EFER_SCE);
        wrmsr(MSR_STAR, (uint64_t)SEL_USER32_CS << 48 | (uint64_t)SEL_KERNEL_CS << 32);
        wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
        wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF | RFLAGS_AC | RFLAGS_NT | RFLAGS_IOPL);
        wrmsr(MSR_PAT, 0x0007040600070106); /* WB WC UC- UC, WB WT UC- UC: index 1 is write-combining */
        set_control_registers();
        if (cpu_features.pks)
                wrmsr(MSR_PKRS, 0);
        fpu_cpu_init(id == 0);
        c->vec_busy = cpu_features.avx && (fpu_features() & XCR0_AVX) ? 0 : 0xff;
        if (id == 0 && !c->vec_busy)
                use_vectors();
}

/* A stack whose lower neighbour is not mapped: running over its end is a double fault with a message. */
static uint64_t new_stack(size_t size)
{
        char *p = vmalloc(size);
        if (!p)
                panic("no memory for the stacks of a CPU");
        /*
         * The loader's code may have run in these frames. An emulator watches for stores to a page as long as it knows of code there, which makes each store to
         * the stack slow; it stops when all of it was overwritten.
         */
        memset(p, 0, size);
        return (uint64_t)p + size;
}

void cpu_stacks_init(unsigned id)
{
        struct cpu *c = &cpus[id];
        struct tss *tss = &tables[id].tss;

        c->stack_top = new_stack(STACK_SIZE);
        c->frame = (struct frame *)c->stack_top - 1;
        tss->rsp[0] = c->stack_top;
        for (unsigned i = 0; i < IST_COUNT; i++)
                tss->ist[i] = new_stack(IST_STACK_SIZE);
        if (id == 0) {
                set_gate(VECTOR_NMI, IST_NMI, 0);
                set_gate(VECTOR_DF, IST_DF, 0);
                set_gate(VECTOR_MC, IST_MC, 0);
                set_gate(VECTOR_DB, IST_DB, 0);
        }
}

void vector_abandon(void);

noreturn void arch_stack_reset(void (*fn)(void *), void *arg)
{
        if (unlikely((uint8_t)(cpu_this()->vec_busy + 1) > 1))
                vector_abandon();
        stack_start((uint64_t)cpu_this()->frame, fn, arg);
}

uint32_t arch_hwcap(void)
{
        return cpuid(1, 0).d;
}

bool arch_barriers_are_elided(void)
{
        struct cpuid r;

        if (cpu_count > 1 || !(cpuid(1, 0).c & 1u << 31))
                return false;
        r = cpuid(0x40000000, 0);
        return r.b == 0x54474354 && r.c == 0x43544743 && r.d == 0x47435447; /* "TCGTCGTCGTCG" */
}

bool addr_canonical(uint64_t va)
{
        return (int64_t)(va << 16) >> 16 == (int64_t)va;
}

void fs_base_set(uint64_t base)
{
        wrmsr(MSR_FS_BASE, base);
}

void gs_base_user_set(uint64_t base)
{
        wrmsr(MSR_KERNEL_GS, base);
}

/* Names as in Linux's /proc/cpuinfo: programs look for them there. */
static const struct {
        uint32_t leaf, sub;
        char reg;
        uint8_t bit;
        char name[20];
} flag_names[] = {
        {1, 0, 'd', 0, "fpu"},
        {1, 0, 'd', 4, "tsc"},
        {1, 0, 'd', 5, "msr"},
        {1, 0, 'd', 6, "pae"},
        {1, 0, 'd', 7, "mce"},
        {1, 0, 'd', 8, "cx8"},
        {1, 0, 'd', 9, "apic"},
        {1, 0, 'd', 11, "sep"},
        {1, 0, 'd', 13, "pge"},
        {1, 0, 'd', 15, "cmov"},
        {1, 0, 'd', 16, "pat"},
        {1, 0, 'd', 19, "clflush"},
        {1, 0, 'd', 23, "mmx"},
        {1, 0, 'd', 24, "fxsr"},
        {1, 0, 'd', 25, "sse"},
        {1, 0, 'd', 26, "sse2"},
        {1, 0, 'd', 28, "ht"},
        {0x80000001, 0, 'd', 11, "syscall"},
        {0x80000001, 0, 'd', 20, "nx"},
        {0x80000001, 0, 'd', 26, "pdpe1gb"},
        {0x80000001, 0, 'd', 27, "rdtscp"},
        {0x80000001, 0, 'd', 29, "lm"},
        {0x80000007, 0, 'd', 8, "constant_tsc"},
        {1, 0, 'c', 0, "pni"},
        {1, 0, 'c', 1, "pclmulqdq"},
        {1, 0, 'c', 9, "ssse3"},
        {1, 0, 'c', 12, "fma"},
        {1, 0, 'c', 13, "cx16"},
        {1, 0, 'c', 19, "sse4_1"},
        {1, 0, 'c', 20, "sse4_2"},
        {1, 0, 'c', 21, "x2apic"},
        {1, 0, 'c', 22, "movbe"},
        {1, 0, 'c', 23, "popcnt"},
        {1, 0, 'c', 24, "tsc_deadline_timer"},
        {1, 0, 'c', 25, "aes"},
        {1, 0, 'c', 26, "xsave"},
        {1, 0, 'c', 28, "avx"},
        {1, 0, 'c', 29, "f16c"},
        {1, 0, 'c', 30, "rdrand"},
        {1, 0, 'c', 31, "hypervisor"},
        {0x80000001, 0, 'c', 0, "lahf_lm"},
        {0x80000001, 0, 'c', 5, "abm"},
        {0x80000001, 0, 'c', 6, "sse4a"},
        {7, 0, 'b', 0, "fsgsbase"},
        {7, 0, 'b', 3, "bmi1"},
        {7, 0, 'b', 5, "avx2"},
        {7, 0, 'b', 7, "smep"},
        {7, 0, 'b', 8, "bmi2"},
        {7, 0, 'b', 9, "erms"},
        {7, 0, 'b', 18, "rdseed"},
        {7, 0, 'b', 19, "adx"},
        {7, 0, 'b', 20, "smap"},
        {7, 0, 'b', 23, "clflushopt"},
        {7, 0, 'b', 24, "clwb"},
        {7, 0, 'b', 29, "sha_ni"},
        {7, 0, 'c', 2, "umip"},
        {7, 0, 'c', 22, "rdpid"},
};

void arch_cpu_identity(struct cpu_identity *id)
{
        struct cpuid r = cpuid(0, 0);
        uint32_t base_family, base_model;
        size_t at = 0;

        memset(id, 0, sizeof(*id));
        memcpy(id->vendor, &r.b, 4);
        memcpy(id->vendor + 4, &r.d, 4);
        memcpy(id->vendor + 8, &r.c, 4);
        if (cpu_features.max_ext >= 0x80000004) {
                for (uint32_t i = 0; i < 3; i++) {
                        r = cpuid(0x80000002 + i, 0);
                        memcpy(id->model + 16 * i, &r, 16);
                }
        }
        r = cpuid(1, 0);
        base_family = r.a >> 8 & 15;
        base_model = r.a >> 4 & 15;
        id->family = base_family == 15 ? base_family + (r.a >> 20 & 255) : base_family;
        id->model_nr = base_family >= 6 ? base_model | (r.a >> 16 & 15) << 4 : base_model;
        id->stepping = r.a & 15;
        id->khz = time_tsc_khz();
        for (unsigned i = 0; i < ARRAY_SIZE(flag_names); i++) {
                uint32_t leaf = flag_names[i].leaf, word;
                if (leaf > (leaf >> 31 ? cpu_features.max_ext : cpu_features.max_leaf))
                        continue;
                r = cpuid(leaf, flag_names[i].sub);
                word = flag_names[i].reg == 'b' ? r.b : flag_names[i].reg == 'c' ? r.c : r.d;
                if (word >> flag_names[i].bit & 1)
                        at = fmt_append(id->flags, sizeof(id->flags), at, "%s%s", at ? " " : "", flag_names[i].name);
        }
}
