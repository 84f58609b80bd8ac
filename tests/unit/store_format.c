/* FORMAT.md against format.h: every struct of the disk has its table there, every byte of it a row, and every number that is named is the one that is compiled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "persist/store/format.h"

struct field {
        const char *type, *name;
        size_t offset, len, whole;
};
#define F(t, f)                                                                                                        \
        {                                                                                                              \
#t, #f, offsetof(struct t, f), sizeof(((struct t *)0)->f), sizeof(struct t)                            \
        }
static const struct field fields[] = {
        F(disk_super, magic),
        F(disk_super, sum),
        F(disk_super, version),
        F(disk_super, schema),
        F(disk_super, uuid),
        F(disk_super, sequence),
        F(disk_super, nblocks),
        F(disk_super, base),
        F(disk_super, incarnation),
        F(disk_super, map_epoch),
        F(disk_super, map_root),
        F(disk_super, next_block),
        F(disk_super, prev_sum),
        F(disk_super, life_epoch),
        F(disk_super, life_sum),
        F(disk_super, mono_ns),
        F(disk_super, real_ns),
        F(disk_super, old),
        F(disk_super, nold),
        F(disk_super, young),
        F(disk_super, nyoung),
        F(disk_super, last),
        F(disk_super, kept),
        F(disk_super, nkept),
        F(disk_super, free),
        F(disk_super, features),
        F(disk_super, next_epoch),
        F(disk_super, zero),
        F(disk_super, unit),
        F(disk_attempt, magic),
        F(disk_attempt, sum),
        F(disk_attempt, uuid),
        F(disk_attempt, owner),
        F(disk_attempt, attempts),
        F(disk_attempt, zero),
        F(disk_index, sum),
        F(disk_index, free),
        F(disk_index, home),
        F(disk_index, written),
        F(disk_index, zero),
        F(disk_map, block_birth),
        F(disk_map, sum_birth),
        F(disk_record, magic),
        F(disk_record, sum),
        F(disk_record, body_sum),
        F(disk_record, uuid),
        F(disk_record, version),
        F(disk_record, flags),
        F(disk_record, incarnation),
        F(disk_record, epoch),
        F(disk_record, prev_epoch),
        F(disk_record, prev_sum),
        F(disk_record, flushed_through),
        F(disk_record, next_block),
        F(disk_record, mono_ns),
        F(disk_record, real_ns),
        F(disk_record, nentries),
        F(disk_record, nextents),
        F(disk_record, nbody),
        F(disk_record, zero),
        F(disk_record, extent),
        F(disk_record, body),
        F(disk_extent, block),
        F(disk_extent, nblocks),
        F(disk_extent, zero),
        F(disk_entry, ppn_kind),
        F(disk_entry, where),
        F(disk_entry, sum),
        F(disk_entry, old_block),
        F(disk_entry, old_birth),
        F(disk_run, first),
        F(disk_run, nwords),
        F(disk_list, magic),
        F(disk_list, sum),
        F(disk_list, next),
        F(disk_list, birth),
        F(disk_list, n),
        F(disk_list, zero),
        F(disk_list, death),
        F(disk_list, zero2),
        F(disk_death, block_flags),
        F(disk_death, birth),
        F(disk_death, death),
        F(disk_kept_block, magic),
        F(disk_kept_block, sum),
        F(disk_kept_block, next),
        F(disk_kept_block, birth),
        F(disk_kept_block, n),
        F(disk_kept_block, zero),
        F(disk_kept_block, kept),
        F(disk_kept, epoch),
        F(disk_kept, root),
        F(disk_kept, dead_list),
        F(disk_kept, ndead),
        F(disk_kept, mono_ns),
        F(disk_kept, real_ns),
        F(disk_kept, flags),
        F(disk_kept, schema),
};
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

static char *text(const char *path)
{
        FILE *f = fopen(path, "r");
        char *t = calloc(1, 65536);

        assert_non_null(f);
        assert_true(t && fread(t, 1, 65535, f) < 65535);
        fclose(f);
        return t;
}

/* The tables of FORMAT.md, row by row, are the fields in order, without a hole. */
static void every_byte(void **state)
{
        char *t = text("persist/store/FORMAT.md"), *line, *save = NULL, type[32] = "";
        size_t n = 0, next = 0, whole = 0;

        (void)state;
        for (line = strtok_r(t, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                size_t offset, len;
                char name[32];

                if (sscanf(line, "### struct %31[a-z_], %zu bytes", type, &len) == 2) {
                        assert_int_equal(next, whole); /* the one before is complete */
                        whole = len;
                        next = 0;
                } else if (sscanf(line, "| %zu | %zu | `%31[a-z0-9_]` |", &offset, &len, name) == 3) {
                        assert_true(n < NFIELDS);
                        assert_string_equal(type, fields[n].type);
                        assert_string_equal(name, fields[n].name);
                        assert_int_equal(offset, fields[n].offset);
                        assert_int_equal(len, fields[n].len);
                        assert_int_equal(whole, fields[n].whole);
                        assert_int_equal(offset, next);
                        next += len;
                        n++;
                }
        }
        assert_int_equal(next, whole);
        assert_int_equal(n, NFIELDS);
        free(t);
}

/* Each struct that format.h declares is among them. */
static void every_struct(void **state)
{
        char *t = text("persist/store/format.h"), *at = t;
        unsigned found = 0;

        (void)state;
        while ((at = strstr(at, "\nstruct disk_"))) {
                char type[32];
                bool known = false;

                if (sscanf(++at, "struct %31[a-z_] {", type) != 1)
                        continue;
                for (size_t i = 0; i < NFIELDS; i++)
                        known |= strcmp(type, fields[i].type) == 0;
                assert_true(known);
                found++;
        }
        assert_int_equal(found, 12);
        free(t);
}

static void said(const char *t, const char *fmt, ...)
{
        char phrase[200];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(phrase, sizeof(phrase), fmt, ap);
        va_end(ap);
        if (!strstr(t, phrase))
                fail_msg("FORMAT.md does not say: %s", phrase);
}

static void every_number(void **state)
{
        char *t = text("persist/store/FORMAT.md");

        (void)state;
        said(t, "disk, version %u\n", STORE_VERSION);
        said(t,
             "record PARTIAL %u, DATA_FLUSHED %u; entry BLOCK %d, PACKED %d, NONE %d, DELTA %d; dead RECORD %u, BAD "
             "%u, "
             "UNKEPT %u, BASE %u; kept PINNED %u",
             RECORD_PARTIAL, RECORD_DATA_FLUSHED, ENTRY_BLOCK, ENTRY_PACKED, ENTRY_NONE, ENTRY_DELTA, DEATH_RECORD,
             DEATH_BAD, DEATH_UNKEPT, DEATH_BASE, KEPT_PINNED);
        said(t, "A store of version %u is read, too", STORE_OLDEST);
        said(t, "its words of 8 bytes behind it");
        said(t, "word of the page where it begins, 0 to %u", STORE_BLOCK / 8 - 1);
        said(t, "superblock %#lx, attempt sector %#lx, record %#lx, list %#lx, kept snapshots %#lx", SUPER_MAGIC,
             ATTEMPT_MAGIC, RECORD_MAGIC, LIST_MAGIC, KEPT_MAGIC);
        said(t, "has %u blocks to 2^32 (%u MiB to 16 TiB)", STORE_BLOCKS_MIN, STORE_BLOCKS_MIN * STORE_BLOCK >> 20);
        assert_int_equal((uint64_t)UNITS_MAX * UNIT_GROUPS * GROUP_BLOCKS, 1ul << 32);
        said(t, "| %u | superblock A |", BLOCK_SUPER_A);
        said(t, "| %u | first sector: the attempt sector |", BLOCK_ATTEMPT);
        said(t, "| %u ... | bitmaps: three places a group", BLOCK_BITMAPS);
        assert_int_equal(HOMES, 3);
        said(t, "A group is 32,768 blocks");
        assert_int_equal(GROUP_BLOCKS, 32768);
        said(t, "a unit is the index of 1,024 groups, four blocks");
        assert_int_equal(UNIT_GROUPS, 1024);
        assert_int_equal(UNIT_BLOCKS, 4);
        said(t, "the index of up to %u units", UNITS_MAX);
        said(t, "%u levels of nodes with %u entries of %zu bytes", MAP_LEVELS, MAP_FANOUT, sizeof(struct disk_map));
        said(t, "entries of %zu bytes, then packed pages and deltas", sizeof(struct disk_entry));
        said(t, "more than 4,096 changed pages");
        assert_int_equal(RECORD_ENTRIES, 4096);
        said(t, "the first 3,840 bytes are in the header");
        assert_int_equal(RECORD_INLINE, 3840);
        said(t, "struct disk_extent, eight");
        assert_int_equal(RECORD_EXTENTS, 8);
        said(t, "struct disk_death, %u |", LIST_ENTRIES);
        said(t, "chain of blocks with %u entries", KEPT_ENTRIES);
        free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_byte),
                cmocka_unit_test(every_struct),
                cmocka_unit_test(every_number),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
