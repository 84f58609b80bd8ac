/* mbr.c - see mbr.h. */
#include "kernel/drivers/block/mbr.h"
#include "kernel/lib/string.h"

#define ENTRIES_AT      446u
#define ENTRY_BYTES     16u
#define SIGNATURE_AT    440u
#define TYPE_PROTECTIVE 0xeeu
#define ACTIVE          0x80u

static uint32_t le32(const uint8_t *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool mbr_is_extended(uint8_t type)
{
        return type == 0x05 || type == 0x0f || type == 0x85;
}

static const uint8_t *entry(const uint8_t *bytes, unsigned i)
{
        return bytes + ENTRIES_AT + (size_t)i * ENTRY_BYTES;
}

static bool is_signed(const uint8_t *bytes)
{
        return bytes[510] == 0x55 && bytes[511] == 0xaa;
}

/*
 * The first sector of a FAT file system has the same signature and code where the entries would be: its first bytes are
 * told from a table by the marks of active partitions, which are 0 or 0x80. With one protective entry in its place (UEFI
 * 2.10, 5.2.3) the others may be anything: boot loaders have code there.
 */
void mbr_parse(const uint8_t bytes[MBR_BYTES], uint64_t nblocks, struct mbr *m)
{
        memset(m, 0, sizeof(*m));
        m->valid = is_signed(bytes);
        m->signature = le32(bytes + SIGNATURE_AT);
        for (unsigned i = 0; i < ARRAY_SIZE(m->entry); i++) {
                if (is_signed(bytes) && entry(bytes, i)[4] == TYPE_PROTECTIVE && le32(entry(bytes, i) + 8) == 1)
                        m->protective = true;
                if (entry(bytes, i)[0] & ~ACTIVE)
                        m->valid = false;
        }
        m->valid |= m->protective;
        for (unsigned i = 0; m->valid && !m->protective && i < ARRAY_SIZE(m->entry); i++) {
                const uint8_t *e = entry(bytes, i);
                struct mbr_entry p = {.type = e[4], .first = le32(e + 8), .nblocks = le32(e + 12)};

                if (p.type && p.first && p.nblocks && p.first < nblocks && p.nblocks <= nblocks - p.first)
                        m->entry[i] = p;
        }
}

/* The first entry is relative to this table, the second, which names the next one, to the whole extended partition. */
void mbr_parse_logical(const uint8_t bytes[MBR_BYTES], const struct mbr_entry *outer, uint64_t at,
                       struct mbr_entry *partition, uint64_t *next)
{
        const uint8_t *e = entry(bytes, 0);
        uint64_t end = outer->first + outer->nblocks, first = at + le32(e + 8), nblocks = le32(e + 12);

        *partition = (struct mbr_entry){0};
        *next = 0;
        if (!is_signed(bytes))
                return;
        if (e[4] && !mbr_is_extended(e[4]) && first > at && nblocks && first < end && nblocks <= end - first)
                *partition = (struct mbr_entry){.type = e[4], .first = first, .nblocks = nblocks};
        e = entry(bytes, 1);
        if (mbr_is_extended(e[4]) && le32(e + 8) && le32(e + 8) < outer->nblocks)
                *next = outer->first + le32(e + 8);
}
