/*
 * smp.c - starts the other CPUs, one after the other in the order of the MADT, so that numbers are the same at every boot. After a CPU that
 * does not answer no other is tried, and what it might still touch is never used again. The started ones wait, with interrupts
 * on, until smp_release: then the hooks are wired.
 * The page tables they start on are the kernel's with the trampoline page mapped at its own address: the only page ever both writable
 * (through the direct map) and executable, and only until smp_init returns.
 */
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/boot.h"
#include "kernel/include/hooks.h"
#include "kernel/include/irq.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/lib/string.h"

#define INIT_WAIT_NS    10000000ul /* MP specification B.4 */
#define STARTUP_WAIT_NS 200000ul
#define ANSWER_NS       NSEC_PER_SEC

struct words {
        uint64_t cr3, stack, id, entry;
};
extern const char trampoline_start[], trampoline_end[], trampoline_words[];

static uint32_t online_mask = 1;
static volatile bool released;
static uint64_t *start_tables[4];

static void wait_ns(uint64_t ns)
{
        uint64_t end = time_mono_ns() + ns;
        while (time_mono_ns() < end)
                cpu_relax();
}

bool cpu_online(unsigned cpu)
{
        return READ_ONCE(online_mask) >> cpu & 1;
}

void smp_release(void)
{
        __atomic_store_n(&released, true, __ATOMIC_RELEASE);
        for (unsigned i = 1; i < cpu_count; i++)
                ipi_resched(i);
}

static void wait_for_release(void *unused)
{
        (void)unused;
        irq_enable();
        while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
                arch_idle();
        hooks.cpu_start();
        panic("cpu_start came back");
}

static noreturn void ap_main(uint64_t id)
{
        write_cr(3, image_pa(kernel_pml4));
        cpu_init((unsigned)id);
        lapic_cpu_init();
        timer_cpu_init();
        __atomic_fetch_or(&online_mask, 1u << id, __ATOMIC_RELEASE);
        arch_stack_reset(wait_for_release, NULL);
}

/* PML4 below 4 GiB (it is loaded by 32-bit code), identity map of the first 2 MiB. False: no memory. */
static bool make_start_tables(void)
{
        for (unsigned i = 0; i < 3; i++) {
                paddr_t pa = i ? frame_alloc() : frame_alloc_contig(1, 1ul << 32);
                if (!pa)
                        return false;
                start_tables[i] = direct(pa);
                memset(start_tables[i], 0, PAGE_SIZE);
        }
        memcpy(start_tables[0] + 256, kernel_pml4 + 256, PAGE_SIZE / 2);
        start_tables[0][0] = direct_pa(start_tables[1]) | PTE_P | PTE_W;
        start_tables[1][0] = direct_pa(start_tables[2]) | PTE_P | PTE_W;
        start_tables[2][0] = PTE_P | PTE_PS;
        return true;
}

static void free_start_tables(void)
{
        for (unsigned i = 0; i < 3; i++) {
                if (start_tables[i])
                        frame_free(direct_pa(start_tables[i]));
        }
}

static bool start_cpu(unsigned id, uint32_t apic_id)
{
        struct words *w = direct(ap_trampoline + (paddr_t)(trampoline_words - trampoline_start));
        uint64_t end;

        cpu_stacks_init(id);
        cpus[id].apic_id = apic_id;
        *w = (struct words){direct_pa(start_tables[0]), cpus[id].stack_top, id, (uint64_t)ap_main};
        lapic_ipi(apic_id, ICR_INIT | ICR_ASSERT | ICR_LEVEL);
        wait_ns(INIT_WAIT_NS);
        for (unsigned i = 0; i < 2; i++) {
                lapic_ipi(apic_id, ICR_STARTUP | (uint32_t)(ap_trampoline >> PAGE_SHIFT));
                end = time_mono_ns() + (i ? ANSWER_NS : STARTUP_WAIT_NS);
                while (time_mono_ns() < end) {
                        if (__atomic_load_n(&online_mask, __ATOMIC_ACQUIRE) >> id & 1)
                                return true;
                        cpu_relax();
                }
        }
        return false;
}

void smp_init(void)
{
        unsigned max = (unsigned)MIN(boot_option_u64("maxcpus", MAX_CPUS), (uint64_t)MAX_CPUS);

        if (acpi.ncpus < 2 || max < 2)
                return;
        if (!ap_trampoline || !make_start_tables()) {
                klog(LOG_WARN, "smp: no memory to start other CPUs");
                free_start_tables();
                return;
        }
        memcpy(direct(ap_trampoline), trampoline_start, (size_t)(trampoline_end - trampoline_start));
        for (unsigned i = 0; i < acpi.ncpus && cpu_count < max; i++) {
                if (acpi.apic_id[i] == cpus[0].apic_id)
                        continue;
                if (!start_cpu(cpu_count, acpi.apic_id[i])) {
                        klog(LOG_WARN, "smp: CPU with APIC id %u does not answer: going on with %u", acpi.apic_id[i],
                             cpu_count);
                        return; /* the page and the tables stay: it might still wake up */
                }
                cpu_count++;
        }
        free_start_tables();
        frames_add(ap_trampoline, ap_trampoline + PAGE_SIZE);
        klog(LOG_INFO, "smp: %u CPUs", cpu_count);
}
