/*
 * kernel_note.c - what a program may want to know of a kernel before it starts it: an ELF note (name `Phantom`, type 1) in the file, the same as text in /proc/phantom/kernel of
 * the running one. installer/README.md describes the note; installer/seal fills in `size` and `sum` when the file is finished.
 */
#include "kernel/glue/phantom_proc.h"
#include "kernel/include/block.h"
#include "persist/layout.h"
#include "persist/space.h"
#include "persist/store/format.h"
#include "posix/include/procfs.h"

#define NOTE_KNOWLEDGE 1u
#define NOTE_VERSION   1u

struct kernel_note {
        uint32_t name_bytes, bytes, type;
        char name[8];
        uint32_t version; /* of what follows */
        uint32_t schema_oldest,
                schema; /* of a space that this kernel goes on with: from, to; the latter is that of a new one */
        uint32_t store_version;
        uint32_t size, sum; /* of the file: bytes, and CRC-32 of them with 0 here; 0 before it is sealed */
};
_Static_assert(sizeof(struct kernel_note) == 44, "kernel note");

static const struct kernel_note note
        __attribute__((section(".note.phantom"), used, aligned(4))) = {.name_bytes = 8,
                                                                       .bytes = sizeof(note) - 20,
                                                                       .type = NOTE_KNOWLEDGE,
                                                                       .name = "Phantom",
                                                                       .version = NOTE_VERSION,
                                                                       .schema_oldest = SPACE_SCHEMA_OLDEST,
                                                                       .schema = SPACE_SCHEMA,
                                                                       .store_version = STORE_VERSION};

static void show_kernel(struct proc_text *t, void *arg)
{
        const volatile struct kernel_note *n = &note; /* installer/seal changed it behind the compiler's back */

        (void)arg;
        proc_printf(t, "schema_oldest %u\nschema %u\nstore_version %u\nsize %u\nsum %u\n", n->schema_oldest, n->schema,
                    n->store_version, n->size, n->sum);
}

/* The disk that has this system's store; nothing if there is none. */
static void show_disk(struct proc_text *t, void *arg)
{
        (void)arg;
        for (unsigned i = 0; snapshot_has_store() && i < block_count(); i++)
                if (block_by_index(i)->claimed && !block_by_index(i)->whole)
                        proc_printf(t, "%s\n", block_by_index(i)->name);
}

void kernel_note_register(void)
{
        proc_register("/proc/phantom/kernel", 0444, show_kernel, NULL, NULL);
        proc_register("/proc/phantom/disk", 0444, show_disk, NULL, NULL);
}
