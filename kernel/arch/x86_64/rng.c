/*
 * rng.c - randomness: a ChaCha20 generator whose key is replaced at each use (fast key erasure: what was given out cannot be computed again
 * from a later state). Entropy is absorbed by running the cipher over key xor input. Seeded at boot from RDSEED or RDRAND, the TSC and the wall
 * clock; virtio-rng adds to it. Volatile: a recovered system starts from a new seed (persistence.md, "The outside world").
 * Lock: rng_lock (volatile, interrupts off), held for one block; long requests are made outside it from a key of their own.
 */
#include "kernel/arch/x86_64/features.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/rng.h"
#include "kernel/include/time.h"
#include "kernel/lib/chacha20.h"
#include "kernel/lib/string.h"

static uint32_t key[8];
static uint8_t stock[32]; /* second half of the last block, not given out yet */
static unsigned stock_left;
static uint64_t used; /* in the nonce: no two blocks are alike even from one key */
static struct spinlock rng_lock;

/* Lock held: a new key and 32 fresh bytes. */
static void step(void)
{
        uint8_t block[64];
        uint32_t nonce[3] = {(uint32_t)used, (uint32_t)(used >> 32), 0};

        used++;
        chacha20_block(block, key, 0, nonce);
        memcpy(key, block, 32);
        memcpy(stock, block + 32, 32);
        stock_left = 32;
}

static void absorb(const void *buf, size_t len)
{
        const uint8_t *p = buf;

        while (len) {
                uint8_t chunk[32] = {0};
                uint64_t words[4], k[4];
                size_t n = MIN(len, sizeof(chunk));
                memcpy(chunk, p, n);
                memcpy(words, chunk, 32);
                memcpy(k, key, 32);
                for (unsigned i = 0; i < 4; i++)
                        k[i] ^= words[i];
                memcpy(key, k, 32);
                step();
                p += n;
                len -= n;
        }
        stock_left = 0;
}

void rng_add_entropy(const void *buf, size_t len)
{
        uint64_t now = rdtsc(), f = spin_lock(&rng_lock);
        absorb(&now, sizeof(now));
        absorb(buf, len);
        spin_unlock(&rng_lock, f);
}

void rng_bytes(void *buf, size_t len)
{
        uint8_t *p = buf;
        uint32_t own[8], nonce[3] = {0}, counter = 0;
        uint64_t f = spin_lock(&rng_lock);

        if (len <= sizeof(stock)) {
                if (len > stock_left)
                        step();
                memcpy(p, stock + stock_left - len, len);
                memset(stock + stock_left - len, 0, len);
                stock_left -= (unsigned)len;
                spin_unlock(&rng_lock, f);
                return;
        }
        step();
        memcpy(own, stock, 32);
        stock_left = 0;
        spin_unlock(&rng_lock, f);
        while (len) {
                uint8_t block[64];
                size_t n = MIN(len, sizeof(block));
                nonce[1] += !counter; /* 256 GiB on */
                chacha20_block(block, own, counter++, nonce);
                memcpy(p, block, n);
                p += n;
                len -= n;
        }
}

static bool hardware_random(uint64_t *v)
{
        bool ok = false;

        for (unsigned i = 0; i < 10 && !ok; i++) {
                if (cpu_features.rdseed)
                        __asm__ volatile("rdseed %0" : "=r"(*v), "=@ccc"(ok));
                else if (cpu_features.rdrand)
                        __asm__ volatile("rdrand %0" : "=r"(*v), "=@ccc"(ok));
        }
        return ok;
}

void rng_init(void)
{
        uint64_t seed[12] = {rdtsc(), boot_info.entry_tsc, time_real_ns()};

        for (unsigned i = 3; i < 11; i++) {
                if (!hardware_random(&seed[i]))
                        seed[i] = rdtsc();
        }
        seed[11] = rdtsc();
        rng_add_entropy(seed, sizeof(seed));
}
