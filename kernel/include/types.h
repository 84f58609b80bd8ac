/*
 * types.h - words used everywhere in the kernel: sizes, address map, small macros.
 * The address map is architecture.md's; the space never moves (SPACE_BASE is part of the store's format).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/errno.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define DIRECT_BASE 0xffff800000000000ul /* all physical memory, volatile */
#define SPACE_BASE  0xffff900000000000ul /* the persistent space, 16 TiB at most */
#define SPACE_MAX   (1ul << 44)
#define KHEAP_BASE  0xffffb00000000000ul /* kernel heap, stacks, MMIO */
#define KIMAGE_BASE 0xffffffff80000000ul
#define USER_TOP    0x00007ffffffff000ul /* first address a user mapping may not reach */
#define MAX_CPUS    16

typedef uint64_t paddr_t; /* physical address */
typedef uint64_t ppn_t;   /* number of a page of the space: (va - SPACE_BASE) >> 12; 0 means none */

#define ARRAY_SIZE(a)    (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)   (((x) + (a)-1) & ~((typeof(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((typeof(x))(a)-1))
#define MIN(a, b)                                                                                                      \
        ({                                                                                                             \
                typeof(a) _a = (a);                                                                                    \
                typeof(b) _b = (b);                                                                                    \
                _a < _b ? _a : _b;                                                                                     \
        })
#define MAX(a, b)                                                                                                      \
        ({                                                                                                             \
                typeof(a) _a = (a);                                                                                    \
                typeof(b) _b = (b);                                                                                    \
                _a > _b ? _a : _b;                                                                                     \
        })
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define likely(x)                     __builtin_expect(!!(x), 1)
#define unlikely(x)                   __builtin_expect(!!(x), 0)
#define barrier()                     __asm__ volatile("" ::: "memory")
#define READ_ONCE(x)                  (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v)              (*(volatile typeof(x) *)&(x) = (v))
#define noreturn                      __attribute__((__noreturn__))
#define printf_like(f, a)             __attribute__((format(printf, f, a)))

#define NSEC_PER_SEC 1000000000ul
