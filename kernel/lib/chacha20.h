/* chacha20.h - the ChaCha20 block function (RFC 8439): 64 bytes of key stream from a key, a 32-bit counter and a nonce. */
#pragma once
#include <stdint.h>
void chacha20_block(uint8_t out[64], const uint32_t key[8], uint32_t counter, const uint32_t nonce[3]);
