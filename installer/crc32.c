/*
 * crc32.c - CRC-32 of IEEE 802.3 (crc32.h).
 */
#include "crc32.h"

uint32_t crc32(uint32_t sum, const void *p, size_t n)
{
        static uint32_t table[256];
        const uint8_t *b = p;
        uint32_t c = ~sum;

        for (uint32_t i = 0; !table[255] && i < 256; i++) {
                uint32_t v = i;

                for (int k = 0; k < 8; k++)
                        v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
                table[i] = v;
        }
        while (n--)
                c = c >> 8 ^ table[(c ^ *b++) & 0xff];
        return ~c;
}
