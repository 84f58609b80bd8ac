/*
 * apic.c - local APIC (xAPIC through memory, x2APIC through MSRs where there is one), IOAPICs, and the old 8259s, which are put to sleep.
 * Register numbers and bits: SDM 3A chapter 11; 82093AA data sheet.
 */
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"

#define APIC_BASE_ENABLE (1ul << 11)
#define APIC_BASE_X2     (1ul << 10)
#define APIC_DEFAULT     0xfee00000ul
#define IOAPIC_DEFAULT   0xfec00000ul

enum {
        REG_ID = 0x20,
        REG_TPR = 0x80,
        REG_EOI = 0xb0,
        REG_SPURIOUS = 0xf0,
        REG_ICR = 0x300,
        REG_ICR2 = 0x310,
        REG_LVT_TIMER = 0x320,
        REG_LVT_THERMAL = 0x330,
        REG_LVT_PERF = 0x340,
        REG_LVT_LINT0 = 0x350,
        REG_LVT_LINT1 = 0x360,
        REG_LVT_ERROR = 0x370,
        REG_TIMER_INIT = 0x380,
        REG_TIMER_NOW = 0x390,
        REG_TIMER_DIVIDE = 0x3e0
};
#define LVT_MASKED       (1u << 16)
#define LVT_NMI          0x400u
#define LVT_TSC_DEADLINE (2u << 17)
#define SPURIOUS_ENABLE  (1u << 8)
#define ICR_PENDING      (1u << 12)
#define DIVIDE_BY_1      0xbu

static volatile uint32_t *lapic;
static bool x2;

static inline uint32_t reg_read(unsigned reg)
{
        return x2 ? (uint32_t)rdmsr(MSR_X2APIC + (reg >> 4)) : lapic[reg / 4];
}

static inline void reg_write(unsigned reg, uint32_t v)
{
        if (x2)
                wrmsr(MSR_X2APIC + (reg >> 4), v);
        else
                lapic[reg / 4] = v;
}

void lapic_init(void)
{
        uint64_t base = rdmsr(MSR_APIC_BASE);
        paddr_t pa = acpi.lapic ? acpi.lapic : base & PTE_PA;

        x2 = cpu_features.x2apic;
        if (!x2) {
                lapic = mmio_map(pa ? pa : APIC_DEFAULT, PAGE_SIZE, false);
                if (!lapic)
                        panic("cannot map the local APIC");
        }
}

void lapic_cpu_init(void)
{
        wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | (x2 ? APIC_BASE_X2 : 0));
        reg_write(REG_TPR, 0);
        reg_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
        reg_write(REG_LVT_LINT0, LVT_MASKED);
        reg_write(REG_LVT_LINT1, LVT_NMI);
        reg_write(REG_LVT_ERROR, LVT_MASKED);
        reg_write(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
        cpu_this()->apic_id = lapic_id();
}

uint32_t lapic_id(void)
{
        uint32_t v = reg_read(REG_ID);
        return x2 ? v : v >> 24;
}

void lapic_eoi(void)
{
        reg_write(REG_EOI, 0);
}

void lapic_ipi(uint32_t apic_id, uint32_t command)
{
        uint64_t f;

        if (x2) {
                /* A WRMSR to it is not ordered with earlier stores (SDM 3A 11.12.3). */
                __asm__ volatile("mfence" ::: "memory");
                wrmsr(MSR_X2APIC + (REG_ICR >> 4), (uint64_t)apic_id << 32 | command);
                return;
        }
        f = irq_save();
        while (lapic[REG_ICR / 4] & ICR_PENDING)
                cpu_relax();
        lapic[REG_ICR2 / 4] = apic_id << 24;
        lapic[REG_ICR / 4] = command;
        irq_restore(f);
}

void lapic_timer_mode(bool tsc_deadline)
{
        reg_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
        reg_write(REG_LVT_TIMER, VECTOR_TIMER | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
        if (tsc_deadline) /* the mode must be seen before the first write of the MSR (SDM 3A 11.5.4.1) */
                __asm__ volatile("mfence" ::: "memory");
}

void lapic_timer_start(uint32_t count)
{
        reg_write(REG_TIMER_INIT, count);
}

uint32_t lapic_timer_left(void)
{
        return reg_read(REG_TIMER_NOW);
}

static struct ioapic {
        volatile uint32_t *regs;
        uint32_t gsi_base, nlines;
} ioapics[ACPI_IOAPICS];
static unsigned nioapics;
static struct spinlock ioapic_lock;

enum { IOAPIC_VERSION = 1, IOAPIC_REDIRECT = 0x10 };
#define REDIRECT_MASKED (1u << 16)
#define REDIRECT_LEVEL  (1u << 15)
#define REDIRECT_LOW    (1u << 13)

static uint32_t ioapic_read(const struct ioapic *io, unsigned reg)
{
        io->regs[0] = reg;
        return io->regs[4];
}

static void ioapic_write(const struct ioapic *io, unsigned reg, uint32_t v)
{
        io->regs[0] = reg;
        io->regs[4] = v;
}

static void ioapic_add(paddr_t pa, uint32_t gsi_base)
{
        struct ioapic *io = &ioapics[nioapics];
        uint32_t version;

        io->regs = mmio_map(pa, PAGE_SIZE, false);
        if (!io->regs)
                return;
        version = ioapic_read(io, IOAPIC_VERSION);
        if (version == ~0u) /* nobody there */
                return;
        io->gsi_base = gsi_base;
        io->nlines = (version >> 16 & 255) + 1;
        for (unsigned i = 0; i < io->nlines; i++)
                ioapic_write(io, IOAPIC_REDIRECT + 2 * i, REDIRECT_MASKED);
        nioapics++;
}

void ioapic_init(void)
{
        for (unsigned i = 0; i < acpi.nioapics; i++)
                ioapic_add(acpi.ioapic[i].pa, acpi.ioapic[i].gsi_base);
        if (!acpi.nioapics)
                ioapic_add(IOAPIC_DEFAULT, 0);
}

int ioapic_route(unsigned gsi, unsigned vector, uint32_t apic_id, bool level, bool active_low)
{
        for (unsigned i = 0; i < nioapics; i++) {
                struct ioapic *io = &ioapics[i];
                unsigned line = gsi - io->gsi_base;
                uint64_t f;
                if (gsi < io->gsi_base || line >= io->nlines)
                        continue;
                f = spin_lock(&ioapic_lock);
                ioapic_write(io, IOAPIC_REDIRECT + 2 * line, REDIRECT_MASKED);
                ioapic_write(io, IOAPIC_REDIRECT + 2 * line + 1, apic_id << 24);
                ioapic_write(io, IOAPIC_REDIRECT + 2 * line,
                             vector | (level ? REDIRECT_LEVEL : 0) | (active_low ? REDIRECT_LOW : 0));
                spin_unlock(&ioapic_lock, f);
                return 0;
        }
        return -ENODEV;
}

/* Moved away from the exceptions' numbers first: one that was raised before the mask still arrives. */
void pic_disable(void)
{
        static const struct {
                uint16_t port;
                uint8_t value;
        } steps[] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, VECTOR_PIC}, {0xa1, VECTOR_PIC + 8}, {0x21, 4},
                     {0xa1, 2},    {0x21, 1},    {0xa1, 1},          {0x21, 0xff},           {0xa1, 0xff}};
        for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
                outb(steps[i].port, steps[i].value);
}
