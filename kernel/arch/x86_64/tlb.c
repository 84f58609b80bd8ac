/*
 * tlb.c - TLB shoot-down. Each CPU has one slot that says what it wants forgotten, and one word of requests: bit s = "look at CPU s's slot". The
 * requester sets its bit in each target's word, and an IPI is needed only where the word was empty. A target takes its word as a whole,
 * flushes, and counts the slots' `pending` down.
 * No PCIDs are used: what a CPU has not loaded is not in its TLB.
 */
#include "kernel/arch/x86_64/tlb.h"
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/arch/machine.h"
#include "kernel/lib/bitmap.h"

static struct slot {
        const struct mmu *mmu;
        uint64_t va;
        size_t npages;
        uint32_t pending;  /* [a] targets that have not answered */
        uint32_t requests; /* [a] of others to this CPU */
} __attribute__((aligned(64))) slots[MAX_CPUS];

void tlb_flush_local(uint64_t va, size_t npages)
{
        if (npages == TLB_ALL) {
                write_cr(3, read_cr(3));
                return;
        }
        for (; npages; npages--, va += PAGE_SIZE)
                invlpg(va);
}

static void serve(struct cpu *c)
{
        uint32_t from = __atomic_exchange_n(&slots[c->id].requests, 0, __ATOMIC_ACQ_REL);

        for (; from; from &= from - 1) {
                struct slot *s = &slots[__builtin_ctz(from)];
                if (!s->mmu || s->mmu == c->mmu)
                        tlb_flush_local(s->va, s->npages);
                __atomic_sub_fetch(&s->pending, 1, __ATOMIC_RELEASE);
        }
}

void tlb_interrupt(void)
{
        serve(cpu_this());
}

uint32_t tlb_others(void)
{
        uint32_t mask = 0;

        if (cpu_count == 1)
                return 0;
        for (unsigned i = 0; i < cpu_count; i++) {
                if (cpu_online(i))
                        mask |= 1u << i;
        }
        return mask & ~(1u << cpu_this()->id);
}

void tlb_shoot(uint32_t mask, const struct mmu *m, uint64_t va, size_t npages)
{
        struct cpu *c = cpu_this();
        struct slot *s = &slots[c->id];

        if (!mask)
                return;
        s->mmu = m;
        s->va = va;
        s->npages = npages;
        __atomic_store_n(&s->pending, bits_count(mask), __ATOMIC_RELEASE);
        for (; mask; mask &= mask - 1) {
                unsigned target = (unsigned)__builtin_ctz(mask);
                if (!__atomic_fetch_or(&slots[target].requests, 1u << c->id, __ATOMIC_ACQ_REL))
                        ipi_send(target, VECTOR_TLB);
        }
        while (__atomic_load_n(&s->pending, __ATOMIC_ACQUIRE)) {
                if (__atomic_load_n(&slots[c->id].requests, __ATOMIC_RELAXED))
                        serve(c);
                cpu_relax();
        }
}

void tlb_flush_kernel(uint64_t va, size_t npages)
{
        tlb_flush_local(va, npages);
        tlb_shoot(tlb_others(), NULL, va, npages);
}
