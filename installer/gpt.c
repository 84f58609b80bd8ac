/*
 * gpt.c - partition tables (gpt.h). All numbers are little-endian, as the machine is.
 */
#include "crc32.h"
#include "gpt.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define ENTRIES     128u
#define ENTRY_BYTES 128u
#define MIB         2048u /* sectors */

const uint8_t gpt_type_bios[16] = {0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e,
                                   0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49};
const uint8_t gpt_type_esp[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                  0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
const uint8_t gpt_type_store[16] = {0x52, 0x3a, 0x1f, 0x7c, 0xd6, 0x93, 0x0e, 0x4b,
                                    0xa5, 0xc4, 0x1d, 0x5e, 0x0f, 0x6b, 0x8a, 0x27};

struct header {
        char magic[8];
        uint32_t revision, nbytes, sum, zero;
        uint64_t here, other, first_usable, last_usable;
        uint8_t disk[16];
        uint64_t table;
        uint32_t nentries, entry_bytes, table_sum;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 92, "GPT header");

struct entry {
        uint8_t type[16], id[16];
        uint64_t first, last, flags;
        uint16_t name[36];
} __attribute__((packed));
_Static_assert(sizeof(struct entry) == ENTRY_BYTES, "GPT entry");

uint64_t gpt_store_sectors(uint64_t nsectors)
{
        return (nsectors - TABLE_SECTORS - STORE_FIRST) / 8 * 8;
}

/* A random number of version 4 (RFC 9562), in the mixed byte order of the table. */
static int random_id(uint8_t id[16])
{
        if (getrandom(id, 16, 0) != 16)
                return -EIO;
        id[7] = (uint8_t)((id[7] & 0x0f) | 0x40);
        id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
        return 0;
}

static void put_header(uint8_t *to, const uint8_t *entries, const uint8_t disk[16], uint64_t nsectors, bool copy)
{
        uint64_t last = nsectors - 1;
        struct header h = {.magic = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'},
                           .revision = 0x10000,
                           .nbytes = sizeof(h),
                           .here = copy ? last : 1,
                           .other = copy ? 1 : last,
                           .first_usable = CORE_FIRST,
                           .last_usable = last - TABLE_SECTORS,
                           .table = copy ? last - TABLE_SECTORS + 1 : 2,
                           .nentries = ENTRIES,
                           .entry_bytes = ENTRY_BYTES,
                           .table_sum = crc32(0, entries, ENTRIES * ENTRY_BYTES)};

        memcpy(h.disk, disk, 16);
        h.sum = crc32(0, &h, sizeof(h));
        memset(to, 0, SECTOR);
        memcpy(to, &h, sizeof(h));
}

int gpt_make(uint64_t nsectors, uint8_t *head, uint8_t *tail)
{
        static const char *const names[3] = {"BIOS boot", "EFI system", "Phantom store"};
        const uint8_t *const types[3] = {gpt_type_bios, gpt_type_esp, gpt_type_store};
        const uint64_t first[3] = {CORE_FIRST, ESP_FIRST, STORE_FIRST};
        const uint64_t end[3] = {ESP_FIRST, STORE_FIRST, STORE_FIRST + gpt_store_sectors(nsectors)};
        uint8_t disk[16];
        int r = random_id(disk);

        memset(tail, 0, TABLE_SECTORS * SECTOR);
        for (int i = 0; i < 3 && !r; i++) {
                struct entry e = {.first = first[i], .last = end[i] - 1};

                memcpy(e.type, types[i], 16);
                r = random_id(e.id);
                for (int k = 0; names[i][k]; k++)
                        e.name[k] = (uint8_t)names[i][k];
                memcpy(tail + (size_t)i * ENTRY_BYTES, &e, sizeof(e));
        }
        if (r)
                return r;
        memcpy(head + SECTOR, tail, ENTRIES * ENTRY_BYTES);
        put_header(head, tail, disk, nsectors, false);
        put_header(tail + ENTRIES * ENTRY_BYTES, tail, disk, nsectors, true);
        return 0;
}

int gpt_read(const uint8_t *head, uint64_t nsectors, struct gpt_part *parts, int max)
{
        struct header h;
        uint32_t sum;
        int n = 0;

        memcpy(&h, head, sizeof(h));
        sum = h.sum;
        h.sum = 0;
        if (memcmp(h.magic, "EFI PART", 8) || h.nbytes != sizeof(h) || crc32(0, &h, sizeof(h)) != sum || h.here != 1 ||
            h.table != 2 || h.nentries != ENTRIES || h.entry_bytes != ENTRY_BYTES ||
            crc32(0, head + SECTOR, ENTRIES * ENTRY_BYTES) != h.table_sum)
                return -1;
        for (unsigned i = 0; i < ENTRIES && n < max; i++) {
                static const uint8_t none[16];
                struct entry e;

                memcpy(&e, head + SECTOR + (size_t)i * ENTRY_BYTES, sizeof(e));
                if (!memcmp(e.type, none, 16) || e.first > e.last || e.last >= nsectors)
                        continue;
                memcpy(parts[n].type, e.type, 16);
                memcpy(parts[n].id, e.id, 16);
                parts[n].number = i + 1;
                parts[n].first = e.first;
                parts[n].last = e.last;
                for (int k = 0; k < 36; k++)
                        parts[n].name[k] = e.name[k] < 127 ? (char)e.name[k] : '?';
                parts[n++].name[36] = 0;
        }
        return n;
}

uint64_t gpt_gap(const uint8_t *head, uint64_t nsectors, uint64_t *first)
{
        struct gpt_part parts[ENTRIES];
        int n = gpt_read(head, nsectors, parts, ENTRIES);
        struct header h;
        uint64_t best = 0;

        memcpy(&h, head, sizeof(h));
        if (n < 0 || h.last_usable >= nsectors)
                return 0;
        for (int i = -1; i < n; i++) { /* what begins behind a partition, or in front of all */
                uint64_t from = ((i < 0 ? h.first_usable : parts[i].last + 1) + MIB - 1) / MIB * MIB;
                uint64_t to = (h.last_usable + 1) / MIB * MIB;

                for (int k = 0; k < n; k++) {
                        if (parts[k].first <= from && from <= parts[k].last)
                                to = from;
                        else if (parts[k].first > from && parts[k].first / MIB * MIB < to)
                                to = parts[k].first / MIB * MIB;
                }
                if (to > from && to - from > best) {
                        best = to - from;
                        *first = from;
                }
        }
        return best;
}

int gpt_add(uint8_t *head, uint8_t *tail, uint64_t nsectors, const struct gpt_new *add, int n)
{
        uint8_t *entries = head + SECTOR;
        struct header h;
        int r = 0;

        memcpy(&h, head, sizeof(h));
        if (h.other != nsectors - 1)
                return -EINVAL;
        for (unsigned i = 0; i < ENTRIES && n && !r; i++) {
                static const uint8_t none[16];
                struct entry e = {.first = add->first, .last = add->last};

                if (memcmp(entries + (size_t)i * ENTRY_BYTES, none, 16))
                        continue;
                memcpy(e.type, add->type, 16);
                r = random_id(e.id);
                for (int k = 0; add->name[k]; k++)
                        e.name[k] = (uint8_t)add->name[k];
                memcpy(entries + (size_t)i * ENTRY_BYTES, &e, sizeof(e));
                add++;
                n--;
        }
        if (n || r)
                return r ? r : -ENOSPC;
        memset(tail, 0, TABLE_SECTORS * SECTOR);
        memcpy(tail, entries, ENTRIES * ENTRY_BYTES);
        h.table_sum = crc32(0, entries, ENTRIES * ENTRY_BYTES);
        for (int copy = 0; copy < 2; copy++) {
                h.here = copy ? nsectors - 1 : 1;
                h.other = copy ? 1 : nsectors - 1;
                h.table = copy ? nsectors - TABLE_SECTORS : 2;
                h.sum = 0;
                h.sum = crc32(0, &h, sizeof(h));
                memcpy(copy ? tail + ENTRIES * ENTRY_BYTES : head, &h, sizeof(h));
        }
        return 0;
}
