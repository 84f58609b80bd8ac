/*
 * io.h - I/O ports and registers in memory.
 * MMIO accessors are single accesses of the named width, never merged or torn; mmio_map's default mapping is uncached, so they
 * also stay in order. Writes to write-combining mappings are ordered by io_wmb().
 */
#pragma once
#include "kernel/include/types.h"

static inline void outb(uint16_t port, uint8_t v)
{
        __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void outw(uint16_t port, uint16_t v)
{
        __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void outl(uint16_t port, uint32_t v)
{
        __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
        uint8_t v;
        __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
        return v;
}
static inline uint16_t inw(uint16_t port)
{
        uint16_t v;
        __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
        return v;
}
static inline uint32_t inl(uint16_t port)
{
        uint32_t v;
        __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
        return v;
}

static inline uint8_t mmio_read8(const volatile void *p)
{
        return *(const volatile uint8_t *)p;
}
static inline uint16_t mmio_read16(const volatile void *p)
{
        return *(const volatile uint16_t *)p;
}
static inline uint32_t mmio_read32(const volatile void *p)
{
        return *(const volatile uint32_t *)p;
}
static inline void mmio_write8(volatile void *p, uint8_t v)
{
        *(volatile uint8_t *)p = v;
}
static inline void mmio_write16(volatile void *p, uint16_t v)
{
        *(volatile uint16_t *)p = v;
}
static inline void mmio_write32(volatile void *p, uint32_t v)
{
        *(volatile uint32_t *)p = v;
}
/* The two halves, low first: what virtio and AHCI ask for. */
static inline void mmio_write64(volatile void *p, uint64_t v)
{
        mmio_write32(p, (uint32_t)v);
        mmio_write32((volatile char *)p + 4, (uint32_t)(v >> 32));
}
static inline void io_wmb(void)
{
        __asm__ volatile("sfence" ::: "memory");
}
