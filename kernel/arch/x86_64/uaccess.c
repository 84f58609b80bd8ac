/*
 * uaccess.c - contracts of uaccess.h over the routines of uaccess.S: range checks. An address range that leaves the user half is refused whole,
 * as on Linux, with the first address beyond as the faulting one.
 */
#include "kernel/arch/x86_64/fpu.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/uaccess.h"

size_t user_move(void *dst, const void *src, size_t len);
size_t user_move_long(void *dst, const void *src, size_t len);
size_t user_clear(void *dst, size_t len);
long user_string(char *dst, const char *src, size_t max);
int user_load32(uint64_t addr, uint32_t *value);
int user_load64(uint64_t addr, uint64_t *value);
int user_exchange32(uint64_t addr, uint32_t expect, uint32_t desired, uint32_t *old);
int probe_load64(uint64_t addr, uint64_t *value);
int probe_touch(uint64_t addr);

#define FAULT_WRITE 2u
#define FAULT_USER  4u
#define LONG_MOVE   512

static size_t long_move = SIZE_MAX; /* from here on vector.S saves more than its set-up costs */

void user_use_vectors(void)
{
        long_move = LONG_MOVE;
}

static bool in_user_half(uint64_t addr, size_t len, uint64_t err)
{
        if (likely(addr < USER_TOP && len <= USER_TOP - addr))
                return true;
        cpu_this()->fault_addr = MAX(addr, USER_TOP);
        cpu_this()->fault_err = err;
        return false;
}

static inline size_t move(void *dst, const void *src, size_t len)
{
        return len < long_move ? user_move(dst, src, len) : user_move_long(dst, src, len);
}

size_t user_copy_in(void *dst, uint64_t src, size_t len)
{
        if (!in_user_half(src, len, FAULT_USER))
                return len;
        return move(dst, (const void *)src, len);
}

size_t user_copy_out(uint64_t dst, const void *src, size_t len)
{
        if (!in_user_half(dst, len, FAULT_USER | FAULT_WRITE))
                return len;
        return move((void *)dst, src, len);
}

size_t user_zero(uint64_t dst, size_t len)
{
        if (!in_user_half(dst, len, FAULT_USER | FAULT_WRITE))
                return len;
        return user_clear((void *)dst, len);
}

long user_copy_string(char *dst, uint64_t src, size_t len)
{
        size_t max = len;
        long n;

        if (!in_user_half(src, 0, FAULT_USER))
                return -EFAULT;
        if (max > USER_TOP - src)
                max = USER_TOP - src;
        n = user_string(dst, (const char *)src, max);
        if (n < 0)
                return -EFAULT;
        if ((size_t)n < max)
                return n;
        if (max == len)
                return -ENAMETOOLONG;
        in_user_half(USER_TOP, 1, FAULT_USER);
        return -EFAULT;
}

int user_cmpxchg32(uint64_t addr, uint32_t expect, uint32_t desired, uint32_t *old)
{
        if (!in_user_half(addr, 4, FAULT_USER | FAULT_WRITE))
                return -EFAULT;
        return user_exchange32(addr, expect, desired, old) ? -EFAULT : 0;
}

int user_read32(uint64_t addr, uint32_t *value)
{
        if (!in_user_half(addr, 4, FAULT_USER))
                return -EFAULT;
        return user_load32(addr, value) ? -EFAULT : 0;
}

int user_read64(uint64_t addr, uint64_t *value)
{
        if (!in_user_half(addr, 8, FAULT_USER))
                return -EFAULT;
        return user_load64(addr, value) ? -EFAULT : 0;
}

bool safe_read64(uint64_t addr, uint64_t *value)
{
        struct cpu *c = cpu_this();
        bool before = c->probing;
        int r;

        c->probing = true;
        barrier();
        r = probe_load64(addr, value);
        barrier();
        c->probing = before;
        return r == 0;
}

bool probe_write(uint64_t addr)
{
        struct cpu *c = cpu_this();
        bool before = c->probing;
        int r;

        c->probing = true;
        barrier();
        r = probe_touch(addr);
        barrier();
        c->probing = before;
        return r == 0;
}
