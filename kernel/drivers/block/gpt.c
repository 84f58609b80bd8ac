/* gpt.c - see gpt.h. */
#include "kernel/drivers/block/gpt.h"
#include "kernel/lib/string.h"

static uint32_t le32(const uint8_t *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t le64(const uint8_t *p)
{
        return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static uint32_t crc_bytes(uint32_t crc, const uint8_t *p, size_t len)
{
        for (; len; len--, p++) {
                crc ^= *p;
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
        return crc;
}

uint32_t gpt_crc32(const void *data, size_t len)
{
        return ~crc_bytes(~0u, data, len);
}

#define HEADER_MIN 92u
#define HEADER_CRC 16u

bool gpt_header_parse(const uint8_t sector[GPT_SECTOR], uint64_t at, uint64_t nsectors, struct gpt_header *h)
{
        static const uint8_t no_crc[4];
        uint32_t size = le32(sector + 12), crc;
        uint64_t table_sectors;

        if (memcmp(sector, "EFI PART", 8) || size < HEADER_MIN || size > GPT_SECTOR || le64(sector + 24) != at)
                return false;
        crc = crc_bytes(~0u, sector, HEADER_CRC);
        crc = crc_bytes(crc, no_crc, sizeof(no_crc));
        crc = ~crc_bytes(crc, sector + HEADER_CRC + 4, size - HEADER_CRC - 4);
        if (crc != le32(sector + HEADER_CRC))
                return false;
        *h = (struct gpt_header){.entries = le64(sector + 72),
                                 .nentries = le32(sector + 80),
                                 .entry_size = le32(sector + 84),
                                 .entries_crc = le32(sector + 88),
                                 .first_usable = le64(sector + 40),
                                 .last_usable = le64(sector + 48)};
        if (h->nentries == 0 || h->nentries > GPT_ENTRIES_MAX || h->entry_size < 128 || h->entry_size > GPT_SECTOR ||
            h->entry_size % 128)
                return false;
        table_sectors = ((uint64_t)h->nentries * h->entry_size + GPT_SECTOR - 1) / GPT_SECTOR;
        return h->entries >= 2 && h->entries < nsectors && table_sectors <= nsectors - h->entries &&
               h->first_usable <= h->last_usable && h->last_usable < nsectors;
}

static bool overlaps(const struct gpt_partition *list, unsigned n, uint64_t first, uint64_t last)
{
        for (unsigned i = 0; i < n; i++)
                if (first < list[i].first + list[i].nsectors && last >= list[i].first)
                        return true;
        return false;
}

bool gpt_entries_parse(const struct gpt_header *h, const uint8_t *table, struct gpt_partition *list, unsigned max,
                       unsigned *n)
{
        static const uint8_t unused[16];

        *n = 0;
        if (gpt_crc32(table, (size_t)h->nentries * h->entry_size) != h->entries_crc)
                return false;
        for (unsigned i = 0; i < h->nentries && *n < max; i++) {
                const uint8_t *e = table + (size_t)i * h->entry_size;
                uint64_t first = le64(e + 32), last = le64(e + 40);
                struct gpt_partition *p = &list[*n];

                if (!memcmp(e, unused, sizeof(unused)) || first > last || first < h->first_usable ||
                    last > h->last_usable || overlaps(list, *n, first, last))
                        continue;
                p->number = i + 1;
                memcpy(p->type, e, sizeof(p->type));
                memcpy(p->uuid, e + 16, sizeof(p->uuid));
                p->first = first;
                p->nsectors = last - first + 1;
                (*n)++;
        }
        return true;
}
