/*
 * acpi.c - reads the static ACPI tables (ACPI 6.4, chapter 5): RSDP, XSDT or RSDT, MADT, FADT, MCFG, HPET, and `_S5` in the DSDT.
 * Tables come from firmware: lengths and checksums are checked, entries that do not fit are skipped, and a machine without tables gets the
 * PC's defaults (one CPU, one IOAPIC at its usual place).
 */
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

#define TABLES_MAX    64
#define TABLE_LEN_MAX (16u << 20)

struct header {
        char signature[4];
        uint32_t length;
        uint8_t revision, checksum;
        char oem_id[6], oem_table_id[8];
        uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));

struct rsdp {
        char signature[8];
        uint8_t checksum;
        char oem_id[6];
        uint8_t revision;
        uint32_t rsdt;
        uint32_t length;
        uint64_t xsdt;
        uint8_t checksum2, reserved[3];
} __attribute__((packed));

struct fadt {
        struct header h;
        uint32_t facs, dsdt;
        uint8_t model, profile;
        uint16_t sci;
        uint32_t smi_command;
        uint8_t acpi_enable, acpi_disable, s4bios, pstate;
        uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
        uint8_t lengths[8];
        uint16_t c2_latency, c3_latency, flush_size, flush_stride;
        uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
        uint16_t boot_arch;
        uint8_t reserved;
        uint32_t flags;
        struct acpi_address reset;
        uint8_t reset_value;
        uint16_t arm_flags;
        uint8_t minor;
        uint64_t x_facs, x_dsdt;
        struct acpi_address x_blocks[8], sleep_control, sleep_status;
} __attribute__((packed));
_Static_assert(offsetof(struct fadt, century) == 108 && offsetof(struct fadt, reset) == 116 &&
                       offsetof(struct fadt, x_dsdt) == 140 && offsetof(struct fadt, sleep_control) == 244,
               "ACPI 6.4, table 5.9");
#define FADT_NO_POWER_BUTTON (1u << 4) /* as a fixed feature */
#define FADT_RESET           (1u << 10)
#define FADT_REDUCED         (1u << 20)
#define BOOT_ARCH_8042       2u

struct acpi_info acpi;
static struct {
        const struct header *table;
} tables[TABLES_MAX];
static unsigned ntables;

static bool sum_is_zero(const void *p, size_t len)
{
        const uint8_t *b = p;
        uint8_t sum = 0;
        while (len--)
                sum += *b++;
        return sum == 0;
}

/* Maps a table; NULL when it is damaged. */
static const struct header *map_table(paddr_t pa)
{
        const struct header *h = pa ? phys_map(pa, sizeof(*h)) : NULL;
        uint32_t length;

        if (!h)
                return NULL;
        length = h->length;
        if (length < sizeof(*h) || length > TABLE_LEN_MAX)
                return NULL;
        h = phys_map(pa, length);
        if (h && !sum_is_zero(h, length)) {
                klog(LOG_WARN, "acpi: table %.4s has a wrong checksum: ignored", h->signature);
                return NULL;
        }
        return h;
}

static void add_table(paddr_t pa)
{
        const struct header *h = map_table(pa);
        if (h && ntables < TABLES_MAX)
                tables[ntables++].table = h;
}

static void find_tables(void)
{
        const struct rsdp *r = boot_info.rsdp ? (const void *)(KIMAGE_BASE + boot_info.rsdp) : NULL;
        const struct header *root = NULL;
        size_t entry = 8;

        if (!r || memcmp(r->signature, "RSD PTR ", 8) || !sum_is_zero(r, 20))
                return;
        if (r->revision >= 2 && r->xsdt)
                root = map_table(r->xsdt);
        if (!root) {
                root = map_table(r->rsdt);
                entry = 4;
        }
        if (!root)
                return;
        for (size_t at = sizeof(*root); at + entry <= root->length; at += entry) {
                uint64_t pa = 0;
                memcpy(&pa, (const char *)root + at, entry);
                add_table(pa);
        }
}

const void *acpi_table(const char *signature, unsigned index, size_t *len)
{
        for (unsigned i = 0; i < ntables; i++) {
                if (memcmp(tables[i].table->signature, signature, 4) || index--)
                        continue;
                *len = tables[i].table->length;
                return tables[i].table;
        }
        return NULL;
}

static uint32_t get32(const uint8_t *p)
{
        uint32_t v;
        memcpy(&v, p, 4);
        return v;
}

static void add_cpu(uint32_t apic_id, uint32_t flags)
{
        if (!(flags & 1) || acpi.ncpus >= ACPI_CPUS)
                return;
        for (unsigned i = 0; i < acpi.ncpus; i++) {
                if (acpi.apic_id[i] == apic_id)
                        return;
        }
        acpi.apic_id[acpi.ncpus++] = apic_id;
}

static void add_override(const uint8_t *e)
{
        uint16_t flags = (uint16_t)(e[8] | e[9] << 8);
        unsigned n = acpi.noverrides;

        if (e[2] != 0 || n >= ACPI_OVERRIDES)
                return;
        acpi.override[n].isa = e[3];
        acpi.override[n].gsi = get32(e + 4);
        acpi.override[n].active_low = (flags & 3) == 3;
        acpi.override[n].level = (flags >> 2 & 3) == 3;
        acpi.noverrides++;
}

static void read_madt(void)
{
        size_t len;
        const uint8_t *m = acpi_table("APIC", 0, &len);
        static const uint8_t min_len[] = {[0] = 8, [1] = 12, [2] = 10, [5] = 12, [9] = 16};

        if (!m || len < 44)
                return;
        acpi.lapic = get32(m + 36);
        for (size_t at = 44; at + 2 <= len && m[at + 1] >= 2 && at + m[at + 1] <= len; at += m[at + 1]) {
                const uint8_t *e = m + at;
                if (e[0] >= sizeof(min_len) || e[1] < min_len[e[0]])
                        continue;
                switch (e[0]) {
                case 0:
                        add_cpu(e[3], get32(e + 4));
                        break;
                case 1:
                        if (acpi.nioapics < ACPI_IOAPICS) {
                                acpi.ioapic[acpi.nioapics].pa = get32(e + 4);
                                acpi.ioapic[acpi.nioapics++].gsi_base = get32(e + 8);
                        }
                        break;
                case 2:
                        add_override(e);
                        break;
                case 5:
                        acpi.lapic = get32(e + 4) | (uint64_t)get32(e + 8) << 32;
                        break;
                case 9:
                        add_cpu(get32(e + 4), get32(e + 8));
                        break;
                }
        }
}

/* A small AML integer; false if it is something else. */
static bool aml_integer(const uint8_t **p, const uint8_t *end, uint8_t *v)
{
        if (*p >= end)
                return false;
        switch (*(*p)++) {
        case 0x00:
                *v = 0;
                return true;
        case 0x01:
                *v = 1;
                return true;
        case 0x0a:
                if (*p >= end)
                        return false;
                *v = *(*p)++;
                return true;
        case 0x0b:
                if (end - *p < 2)
                        return false;
                *v = **p;
                *p += 2;
                return true;
        }
        return false;
}

/* Name(_S5, Package {a, b, ...}): 08 [5c] 5f 53 35 5f 12 length count a b */
static bool find_s5(const struct header *dsdt)
{
        const uint8_t *p = (const uint8_t *)(dsdt + 1), *end = (const uint8_t *)dsdt + dsdt->length;

        for (; end - p > 8; p++) {
                const uint8_t *q;
                uint8_t a, b;
                if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
                        continue;
                q = p + 5;
                q += 1 + (*q >> 6); /* package length: its top bits count further bytes */
                q++;                /* element count */
                if (!aml_integer(&q, end, &a))
                        continue;
                if (!aml_integer(&q, end, &b))
                        b = a;
                acpi.s5_a = a;
                acpi.s5_b = b;
                return true;
        }
        return false;
}

static void read_fadt(void)
{
        size_t len;
        const void *table = acpi_table("FACP", 0, &len);
        struct fadt f;
        const struct header *h;

        if (!table)
                return;
        memset(&f, 0, sizeof(f));
        memcpy(&f, table, MIN(len, sizeof(f)));
        acpi.has_fadt = true;
        acpi.sci = f.sci;
        acpi.smi_command = (uint16_t)f.smi_command;
        acpi.acpi_enable = f.acpi_enable;
        acpi.pm1a_control = (uint16_t)f.pm1a_control;
        acpi.pm1b_control = (uint16_t)f.pm1b_control;
        acpi.pm_timer = (uint16_t)f.pm_timer;
        acpi.pm1a_event = (uint16_t)f.pm1a_event;
        acpi.pm1b_event = (uint16_t)f.pm1b_event;
        acpi.pm1_event_len = f.lengths[0];
        acpi.power_button = !(f.flags & FADT_NO_POWER_BUTTON) && !(f.flags & FADT_REDUCED);
        acpi.century = f.century;
        acpi.has_8042 = f.h.revision < 2 || (f.boot_arch & BOOT_ARCH_8042);
        acpi.hardware_reduced = f.flags & FADT_REDUCED;
        acpi.has_reset = (f.flags & FADT_RESET) && f.reset.address;
        acpi.reset = f.reset;
        acpi.reset_value = f.reset_value;
        acpi.sleep_control = f.sleep_control;
        h = map_table(f.x_dsdt ? f.x_dsdt : f.dsdt);
        acpi.has_s5 = h && find_s5(h);
        for (unsigned i = 0; !acpi.has_s5 && (h = acpi_table("SSDT", i, &len)); i++)
                acpi.has_s5 = find_s5(h);
}

static void read_hpet(void)
{
        size_t len;
        const uint8_t *t = acpi_table("HPET", 0, &len);

        if (t && len >= 56 && t[40] == ACPI_MEMORY)
                acpi.hpet = get32(t + 44) | (uint64_t)get32(t + 48) << 32;
}

int acpi_mcfg(unsigned index, struct acpi_mcfg_entry *e)
{
        size_t len, at = 44 + 16 * (size_t)index;
        const uint8_t *t = acpi_table("MCFG", 0, &len);

        if (!t || at + 16 > len)
                return -ENOENT;
        memcpy(&e->base, t + at, 8);
        memcpy(&e->segment, t + at + 8, 2);
        e->first_bus = t[at + 10];
        e->last_bus = t[at + 11];
        return 0;
}

void acpi_init(void)
{
        acpi.has_8042 = true;
        find_tables();
        read_madt();
        read_fadt();
        read_hpet();
        if (!ntables)
                klog(LOG_WARN, "acpi: no tables: one CPU, no power off");
}
