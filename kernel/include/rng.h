/*
 * rng.h - randomness: ChaCha20 stream keyed from RDRAND, virtio-rng and timing; volatile, seeded anew at every boot.
 */
#pragma once
#include "kernel/include/types.h"
void rng_bytes(void *buf, size_t len);
void rng_add_entropy(const void *buf, size_t len);
