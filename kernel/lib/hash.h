/*
 * hash.h - hash functions for tables. They are used for tables in the persistent space too: their results are part of the schema
 * (persistence.md, "Upgrades") and must not change; tests/unit/lib_hash.c pins them.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* A bijection that spreads every bit over all (the finalizer of MurmurHash3). */
static inline uint64_t hash_u64(uint64_t x)
{
        x ^= x >> 33;
        x *= 0xff51afd7ed558ccdul;
        x ^= x >> 33;
        x *= 0xc4ceb9fe1a85ec53ul;
        return x ^ x >> 33;
}
/* Addresses: one multiplication (Knuth); take the *upper* bits. */
static inline uint64_t hash_ptr(const void *p)
{
        return (uint64_t)p * 0x9e3779b97f4a7c15ul;
}
static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
        return hash_u64(a + 0x9e3779b97f4a7c15ul * (b + 1));
}
uint64_t hash_bytes(const void *data, size_t len, uint64_t seed);
