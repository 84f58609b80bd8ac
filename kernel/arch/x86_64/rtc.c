/*
 * rtc.c - the battery clock (MC146818), read once at boot as UTC. Two equal readings outside an update, with bounds: a machine without the
 * chip reads as all ones.
 */
#include "kernel/arch/x86_64/x86.h"
#include "kernel/include/acpi.h"
#include "kernel/include/arch/machine.h"
#include "kernel/lib/string.h"

enum { RTC_SECOND = 0, RTC_MINUTE = 2, RTC_HOUR = 4, RTC_DAY = 7, RTC_MONTH = 8, RTC_YEAR = 9, RTC_A = 10, RTC_B = 11 };
#define A_UPDATING 0x80
#define B_24_HOURS 0x02
#define B_BINARY   0x04

static uint8_t cmos(uint8_t reg)
{
        outb(0x70, reg | 0x80); /* NMI stays off while the index is set, as the manual asks */
        return inb(0x71);
}

static void read_all(uint8_t v[7])
{
        static const uint8_t regs[] = {RTC_SECOND, RTC_MINUTE, RTC_HOUR, RTC_DAY, RTC_MONTH, RTC_YEAR};
        for (unsigned i = 0; i < 1000000 && cmos(RTC_A) & A_UPDATING; i++)
                cpu_relax();
        for (unsigned i = 0; i < sizeof(regs); i++)
                v[i] = cmos(regs[i]);
        v[6] = acpi.century ? cmos(acpi.century) : 0;
}

static unsigned value(uint8_t v, bool binary)
{
        return binary ? v : (v >> 4) * 10u + (v & 15);
}

/* Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms"). */
static uint64_t days(unsigned y, unsigned m, unsigned d)
{
        unsigned era, yoe, doy;

        y -= m <= 2;
        era = y / 400;
        yoe = y % 400;
        doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
        return era * 146097ul + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

uint64_t rtc_read(void)
{
        uint8_t a[7], b[7], mode;
        unsigned hour, year, month, day, i;
        bool binary;

        read_all(a);
        for (i = 0; i < 5; i++) {
                read_all(b);
                if (!memcmp(a, b, sizeof(a)))
                        break;
                memcpy(a, b, sizeof(a));
        }
        mode = cmos(RTC_B);
        outb(0x70, 0x0d); /* NMI on again */
        inb(0x71);
        binary = mode & B_BINARY;
        hour = value(a[2] & 0x7f, binary);
        if (!(mode & B_24_HOURS))
                hour = hour % 12 + (a[2] & 0x80 ? 12 : 0);
        day = value(a[3], binary);
        month = value(a[4], binary);
        year = value(a[5], binary) + (a[6] ? value(a[6], binary) * 100 : 2000);
        if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || year < 1970 || year > 2399)
                return 0;
        return days(year, month, day) * 86400 + hour * 3600 + value(a[1], binary) * 60 + value(a[0], binary);
}
