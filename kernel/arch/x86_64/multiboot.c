/*
 * multiboot.c - reads what a multiboot2 loader hands over. Runs on the boot page tables: the block lies below 4 GiB. What is needed is
 * copied out, so the block's memory (on UEFI often low, where the other CPUs will start) is free again when boot_init returns.
 * Bytes come from the loader: sizes are checked against the block, unknown tags skipped.
 */
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define RAM_RANGES_MAX 128

struct boot_info boot_info;
struct ram_range ram_map[RAM_RANGES_MAX];
unsigned ram_ranges;
extern uint64_t boot_entry_tsc;

static uint8_t rsdp_copy[36] __attribute__((aligned(16)));

struct tag {
        uint32_t type, size;
};
enum {
        TAG_END,
        TAG_CMDLINE,
        TAG_MODULE = 3,
        TAG_MEMORY = 6,
        TAG_FRAMEBUFFER = 8,
        TAG_EFI32 = 11,
        TAG_EFI64 = 12,
        TAG_RSDP1 = 14,
        TAG_RSDP2 = 15
};
enum { MEMORY_AVAILABLE = 1, MEMORY_ACPI = 3, MEMORY_NVS = 4 };

struct tag_module {
        struct tag tag;
        uint32_t start, end;
        char cmdline[];
};
struct tag_memory {
        struct tag tag;
        uint32_t entry_size, version;
        struct memory_entry {
                uint64_t base, length;
                uint32_t type, reserved;
        } entries[];
};
struct tag_framebuffer {
        struct tag tag;
        uint64_t addr;
        uint32_t pitch, width, height;
        uint8_t bpp, type;
        uint16_t reserved;
        uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

static void copy_text(char *dst, size_t size, const char *text, size_t max)
{
        size_t n = strnlen(text, max);
        if (n >= size)
                n = size - 1;
        memcpy(dst, text, n);
        dst[n] = 0;
}

/* Page-aligned: usable memory is made smaller, kept memory larger. */
static void add_range(uint64_t base, uint64_t length, bool usable)
{
        paddr_t start = base, end;

        if (__builtin_add_overflow(base, length, &end) || end > 1ul << 46)
                return;
        start = usable ? ALIGN_UP(start, PAGE_SIZE) : ALIGN_DOWN(start, PAGE_SIZE);
        end = usable ? ALIGN_DOWN(end, PAGE_SIZE) : ALIGN_UP(end, PAGE_SIZE);
        if (start < end && ram_ranges < RAM_RANGES_MAX)
                ram_map[ram_ranges++] = (struct ram_range){start, end, usable};
}

static void take_module(const struct tag_module *m)
{
        char name[16];

        if (m->tag.size < sizeof(*m) || m->start >= m->end)
                return;
        copy_text(name, sizeof(name), m->cmdline, m->tag.size - sizeof(*m));
        if (strcmp(name, "install") == 0 && !boot_info.install_pa) {
                boot_info.install_pa = m->start;
                boot_info.install_len = m->end - m->start;
        } else if (!boot_info.archive_pa) {
                boot_info.archive_pa = m->start;
                boot_info.archive_len = m->end - m->start;
        }
}

static void take_memory(const struct tag_memory *t)
{
        const char *at = (const char *)t->entries, *end = (const char *)t + t->tag.size;

        if (t->entry_size < sizeof(struct memory_entry))
                return;
        for (; at + sizeof(struct memory_entry) <= end; at += t->entry_size) {
                const struct memory_entry *e = (const void *)at;
                if (e->type == MEMORY_AVAILABLE)
                        add_range(e->base, e->length, true);
                else if (e->type == MEMORY_ACPI || e->type == MEMORY_NVS)
                        add_range(e->base, e->length, false);
        }
}

static void take_framebuffer(const struct tag_framebuffer *t)
{
        /* The struct is padded to 40 bytes, the tag has 38. */
        if (t->tag.size < offsetof(struct tag_framebuffer, blue_size) + 1 || t->type != 1 ||
            (t->bpp != 32 && t->bpp != 24 && t->bpp != 16))
                return;
        boot_info.fb.pa = t->addr;
        boot_info.fb.width = t->width;
        boot_info.fb.height = t->height;
        boot_info.fb.pitch = t->pitch;
        boot_info.fb.bpp = t->bpp;
        boot_info.fb.red_pos = t->red_pos;
        boot_info.fb.green_pos = t->green_pos;
        boot_info.fb.blue_pos = t->blue_pos;
}

static void take_rsdp(const struct tag *t)
{
        size_t len = t->size - sizeof(*t);
        if (boot_info.rsdp && t->type == TAG_RSDP1)
                return; /* the newer one was there */
        memset(rsdp_copy, 0, sizeof(rsdp_copy));
        memcpy(rsdp_copy, t + 1, MIN(len, sizeof(rsdp_copy)));
        boot_info.rsdp = (paddr_t)rsdp_copy - KIMAGE_BASE;
}

void boot_init(uint32_t info_pa)
{
        const uint32_t *block = direct(info_pa);
        uint32_t total = block[0];

        boot_info.entry_tsc = boot_entry_tsc;
        for (uint32_t at = 8; at + sizeof(struct tag) <= total;) {
                const struct tag *t = (const void *)((const char *)block + at);
                if (t->type == TAG_END || t->size < sizeof(*t) || t->size > total - at)
                        break;
                switch (t->type) {
                case TAG_CMDLINE:
                        copy_text(boot_info.cmdline, sizeof(boot_info.cmdline), (const char *)(t + 1),
                                  t->size - sizeof(*t));
                        break;
                case TAG_MODULE:
                        take_module((const void *)t);
                        break;
                case TAG_MEMORY:
                        take_memory((const void *)t);
                        break;
                case TAG_FRAMEBUFFER:
                        take_framebuffer((const void *)t);
                        break;
                case TAG_EFI32:
                case TAG_EFI64:
                        boot_info.uefi = true;
                        break;
                case TAG_RSDP1:
                case TAG_RSDP2:
                        take_rsdp(t);
                        break;
                }
                at += ALIGN_UP(t->size, 8u);
        }
}

bool boot_option(const char *name, char *value, size_t len)
{
        size_t n = strlen(name);

        for (const char *p = boot_info.cmdline; *p;) {
                const char *end = strchr(p, ' ');
                if (!end)
                        end = p + strlen(p);
                if ((size_t)(end - p) >= n && !memcmp(p, name, n) && (p[n] == '=' || p + n == end)) {
                        const char *v = p[n] == '=' ? p + n + 1 : end;
                        if (value && len)
                                copy_text(value, len, v, end - v);
                        return true;
                }
                p = *end ? end + 1 : end;
        }
        return false;
}

uint64_t boot_option_u64(const char *name, uint64_t otherwise)
{
        char text[32];
        const char *end;
        unsigned long v;

        if (!boot_option(name, text, sizeof(text)) || !fmt_parse_u64(text, 0, &end, &v))
                return otherwise;
        switch (*end | 32) {
        case 'k':
                return v << 10;
        case 'm':
                return v << 20;
        case 'g':
                return v << 30;
        }
        return v;
}

void boot_archive_release(void)
{
        paddr_t start = ALIGN_DOWN(boot_info.archive_pa, PAGE_SIZE);
        paddr_t end = ALIGN_UP(boot_info.archive_pa + boot_info.archive_len, PAGE_SIZE);

        if (!boot_info.archive_pa)
                return;
        boot_info.archive_pa = 0;
        boot_info.archive_len = 0;
        frames_add(start, end);
}
