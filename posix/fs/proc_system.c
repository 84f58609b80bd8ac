/*
 * proc_system.c - /proc about the machine as a whole, and /proc/sys. Registered at every boot.
 */
#include "posix/fs/proc_internal.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/include/block.h"
#include "kernel/include/boot.h"
#include "kernel/include/mem.h"
#include "kernel/include/rng.h"
#include "kernel/include/time.h"

#define TICK_NS 10000000ul

static uint8_t boot_id[16];

static void show_meminfo(struct proc_text *t, void *arg)
{
        struct space_stats s;
        uint64_t free;
        struct {
                const char *name;
                uint64_t kb;
        } rows[] = {
                {"MemTotal", 0},       {"MemFree", 0},      {"MemAvailable", 0},
                {"Buffers", 0},        {"Cached", 0},       {"SwapCached", 0},
                {"Active", 0},         {"Inactive", 0},     {"Active(anon)", 0},
                {"Inactive(anon)", 0}, {"Active(file)", 0}, {"Inactive(file)", 0},
                {"Unevictable", 0},    {"Mlocked", 0},      {"SwapTotal", 0},
                {"SwapFree", 0},       {"Dirty", 0},        {"Writeback", 0},
                {"AnonPages", 0},      {"Mapped", 0},       {"Shmem", 0},
                {"KReclaimable", 0},   {"Slab", 0},         {"SReclaimable", 0},
                {"SUnreclaim", 0},     {"KernelStack", 0},  {"PageTables", 0},
                {"NFS_Unstable", 0},   {"Bounce", 0},       {"WritebackTmp", 0},
                {"CommitLimit", 0},    {"Committed_AS", 0}, {"VmallocTotal", 34359738367},
                {"VmallocUsed", 0},    {"VmallocChunk", 0},
        };

        (void)arg;
        space_stats(&s);
        free = (frames_free() + s.pages[PAGE_FREE]) * 4;
        rows[0].kb = frames_total() * 4;
        rows[30].kb = space_limit() * 4;
        rows[1].kb = rows[2].kb = free;
        rows[4].kb = rows[6].kb = rows[10].kb = rows[20].kb = s.pages[PAGE_FILE] * 4;
        rows[7].kb = rows[9].kb = rows[18].kb = rows[31].kb = s.pages[PAGE_ANON] * 4;
        rows[16].kb = s.dirty_now * 4;
        rows[22].kb = rows[24].kb =
                (s.pages[PAGE_SLAB] + s.pages[PAGE_RUN] + s.pages[PAGE_META] + s.pages[PAGE_NODE] + s.pages[PAGE_DIR]) *
                4;
        for (unsigned k = 0; k < ARRAY_SIZE(rows); k++) {
                char label[32];

                fmt_append(label, sizeof(label), 0, "%s:", rows[k].name);
                proc_printf(t, "%-16s%8lu kB\n", label, rows[k].kb);
        }
}

struct sums {
        uint64_t user, system;
        unsigned running, blocked;
};

static bool add_process(struct process *p, void *arg)
{
        struct sums *s = arg;
        struct cpu_times ct;

        process_cpu_times(p, &ct);
        s->user += ct.user_ns;
        s->system += ct.system_ns;
        if (p->parent && p->pid == 1) {
                s->user += p->cuser_ns;
                s->system += p->csystem_ns;
        }
        for (struct thread *t = p->threads; t; t = t->next) {
                char letter = thread_state_letter(t);

                s->running += letter == 'R';
                s->blocked += letter == 'D';
        }
        return true;
}

static void show_stat(struct proc_text *t, void *arg)
{
        struct sums s = {0};
        struct sched_load l;
        uint64_t idle = 0, up = time_mono_ns(), busy, user;

        (void)arg;
        sched_load_get(&l);
        process_each(add_process, &s);
        for (unsigned k = 0; k < cpu_count; k++)
                idle += MIN(cpus[k].idle_ns, up);
        busy = up * cpu_count > idle ? up * cpu_count - idle : 0;
        /* Who is gone is not in the sums any more: the share of user time is that of those who are here. */
        user = s.user + s.system ? (busy >> 20) * (s.user >> 10) / MAX((s.user + s.system) >> 10, 1ul) << 20 : busy;
        proc_printf(t, "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\n", user / TICK_NS, (busy - user) / TICK_NS, idle / TICK_NS);
        for (unsigned k = 0; k < cpu_count; k++) {
                uint64_t i = MIN(cpus[k].idle_ns, up), b = up - i,
                         u = busy ? (b >> 20) * (user >> 20) / MAX(busy >> 20, 1ul) << 20 : 0;

                proc_printf(t, "cpu%u %lu 0 %lu %lu 0 0 0 0 0 0\n", k, u / TICK_NS, (b - u) / TICK_NS, i / TICK_NS);
        }
        proc_printf(t,
                    "intr 0\nctxt %lu\nbtime %lu\nprocesses %lu\nprocs_running %u\nprocs_blocked %u\nsoftirq 0 0 0 0 0 "
                    "0 0 0 0 0 0\n",
                    l.switches, (time_real_ns() - up) / NSEC_PER_SEC, posix_root()->nforks, MAX(s.running, 1u),
                    s.blocked);
}

static void show_loadavg(struct proc_text *t, void *arg)
{
        struct sched_load l;
        char text[3][16];

        (void)arg;
        sched_load_get(&l);
        for (unsigned k = 0; k < 3; k++)
                fmt_append(text[k], sizeof(text[k]), 0, "%lu.%02lu", l.avg[k] >> 11, (l.avg[k] & 2047) * 100 >> 11);
        proc_printf(t, "%s %s %s %u/%u %d\n", text[0], text[1], text[2], MAX(l.running + l.ready, 1u),
                    posix_root()->nthreads, posix_root()->last_pid);
}

static void show_uptime(struct proc_text *t, void *arg)
{
        uint64_t up = time_mono_ns() / TICK_NS, idle = 0;

        (void)arg;
        for (unsigned k = 0; k < cpu_count; k++)
                idle += cpus[k].idle_ns / TICK_NS;
        proc_printf(t, "%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
}

static void show_cpuinfo(struct proc_text *t, void *arg)
{
        struct cpu_identity id;

        (void)arg;
        arch_cpu_identity(&id);
        for (unsigned k = 0; k < cpu_count; k++) {
                proc_printf(t,
                            "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: "
                            "%s\nstepping\t: %u\n",
                            k, id.vendor, id.family, id.model_nr, id.model, id.stepping);
                proc_printf(t,
                            "cpu MHz\t\t: %lu.%03lu\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: "
                            "%u\napicid\t\t: %u\nfpu\t\t: yes\n",
                            id.khz / 1000, id.khz % 1000, cpu_count, k, cpu_count, cpus[k].apic_id);
                proc_printf(t, "wp\t\t: yes\nflags\t\t: ");
                proc_put(t, id.flags, strlen(id.flags));
                proc_printf(t, "\nbogomips\t: %lu.%02lu\naddress sizes\t: 48 bits physical, 48 bits virtual\n\n",
                            id.khz / 500, id.khz / 5 % 100);
        }
}

const char *system_release(void) __attribute__((weak));
const char *system_version(void) __attribute__((weak));

static const char *release(void)
{
        return system_release ? system_release() : "6.1.0-phantom";
}

static const char *version(void)
{
        return system_version ? system_version() : "#1 SMP Phantom";
}

static void show_version(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "Linux version %s (phantom@phantom) (gcc " __VERSION__ ") %s\n", release(), version());
}

static void show_cmdline(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_put(t, boot_info.cmdline, strlen(boot_info.cmdline));
        proc_put(t, "\n", 1);
}

static void show_partitions(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "major minor  #blocks  name\n\n");
        for (unsigned k = 0; k < block_count(); k++) {
                struct block_device *d = block_by_index(k);

                if (d->nsectors && !d->gone)
                        proc_printf(t, "%4u  %7u %10lu %s\n", d->major, d->minor, d->nsectors / 2, d->name);
        }
}

static void show_devices(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t,
                    "Character devices:\n  1 mem\n  4 tty\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n "
                    "13 input\n 29 fb\n136 pts\n\nBlock devices:\n  8 sd\n 11 sr\n254 virtblk\n259 blkext\n");
}

static void show_interrupts(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "     ");
        for (unsigned k = 0; k < cpu_count; k++)
                proc_printf(t, "       CPU%u", k);
        proc_printf(t, "\n");
}

static void show_text(struct proc_text *t, void *arg)
{
        proc_put(t, arg, strlen(arg));
}

static const struct {
        const char *path;
        proc_read_fn read;
        const char *text;
} files[] = {
        {"/proc/meminfo", show_meminfo, NULL},
        {"/proc/stat", show_stat, NULL},
        {"/proc/loadavg", show_loadavg, NULL},
        {"/proc/uptime", show_uptime, NULL},
        {"/proc/cpuinfo", show_cpuinfo, NULL},
        {"/proc/version", show_version, NULL},
        {"/proc/cmdline", show_cmdline, NULL},
        {"/proc/partitions", show_partitions, NULL},
        {"/proc/devices", show_devices, NULL},
        {"/proc/interrupts", show_interrupts, NULL},
        {"/proc/filesystems", show_text,
         "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tdevpts\nnodev\tfuse\n\tphantom\n"},
        {"/proc/modules", show_text, ""},
        {"/proc/swaps", show_text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
        {"/proc/locks", show_text, ""},
        {"/proc/misc", show_text, ""},
        {"/proc/fb", show_text, ""},
        {"/proc/ioports", show_text, ""},
        {"/proc/iomem", show_text, ""},
        {"/proc/consoles", show_text,
         "tty0                 -WU (EC    )    4:1\nttyS0                -W- (EC  p )    4:64\n"},
        {"/proc/vmstat", show_text, ""},
        {"/proc/diskstats", show_text, ""},
        {"/proc/buddyinfo", show_text, ""},
        {"/proc/net/dev", show_text,
         "Inter-|   Receive                                                |  Transmit\n"
         " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
         "carrier compressed\n"},
        {"/proc/net/route", show_text,
         "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"},
        {"/proc/net/arp", show_text,
         "IP address       HW type     Flags       HW address            Mask     Device\n"},
        {"/proc/net/tcp", show_text,
         "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"},
        {"/proc/net/udp", show_text,
         "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref "
         "pointer drops\n"},
        {"/proc/net/raw", show_text,
         "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer "
         "drops\n"},
        {"/proc/sys/kernel/ostype", show_text, "Linux\n"},
        {"/proc/sys/kernel/cap_last_cap", show_text, "40\n"},
        {"/proc/sys/kernel/ngroups_max", show_text, "65536\n"},
        {"/proc/sys/kernel/overflowuid", show_text, "65534\n"},
        {"/proc/sys/kernel/overflowgid", show_text, "65534\n"},
        {"/proc/sys/kernel/threads-max", show_text, "32768\n"},
        {"/proc/sys/kernel/pid_max", show_text, "32768\n"},
        {"/proc/sys/kernel/core_pattern", show_text, "core\n"},
        {"/proc/sys/kernel/printk", show_text, "7\t4\t1\t7\n"},
        {"/proc/sys/kernel/randomize_va_space", show_text, "2\n"},
        {"/proc/sys/kernel/tainted", show_text, "0\n"},
        {"/proc/sys/kernel/sysrq", show_text, "0\n"},
        {"/proc/sys/kernel/ctrl-alt-del", show_text, "0\n"},
        {"/proc/sys/kernel/shmmax", show_text, "18446744073692774399\n"},
        {"/proc/sys/kernel/shmall", show_text, "18446744073692774399\n"},
        {"/proc/sys/kernel/shmmni", show_text, "4096\n"},
        {"/proc/sys/kernel/sem", show_text, "32000\t1024000000\t500\t32000\n"},
        {"/proc/sys/kernel/msgmax", show_text, "8192\n"},
        {"/proc/sys/kernel/msgmnb", show_text, "16384\n"},
        {"/proc/sys/kernel/msgmni", show_text, "32000\n"},
        {"/proc/sys/kernel/random/poolsize", show_text, "256\n"},
        {"/proc/sys/kernel/random/entropy_avail", show_text, "256\n"},
        {"/proc/sys/fs/file-max", show_text, "1048576\n"},
        {"/proc/sys/fs/nr_open", show_text, "32768\n"},
        {"/proc/sys/fs/pipe-max-size", show_text, "1048576\n"},
        {"/proc/sys/fs/inotify/max_queued_events", show_text, "1024\n"},
        {"/proc/sys/fs/inotify/max_user_instances", show_text, "8192\n"},
        {"/proc/sys/fs/inotify/max_user_watches", show_text, "8192\n"},
        {"/proc/sys/fs/mqueue/msg_max", show_text, "10\n"},
        {"/proc/sys/fs/mqueue/msgsize_max", show_text, "8192\n"},
        {"/proc/sys/fs/mqueue/queues_max", show_text, "256\n"},
        {"/proc/sys/vm/max_map_count", show_text, "65530\n"},
        {"/proc/sys/vm/mmap_min_addr", show_text, "65536\n"},
        {"/proc/sys/vm/swappiness", show_text, "60\n"},
        {"/proc/sys/net/core/somaxconn", show_text, "4096\n"},
        {"/proc/sys/net/unix/max_dgram_qlen", show_text, "10\n"},
};

/* ---- what can be set ---- */

static void show_release(struct proc_text *t, void *arg)
{
        proc_printf(t, "%s\n", arg ? version() : release());
}

/* arg: 0 host name, 1 domain name. */
static char *host_field(void *arg)
{
        return arg ? posix_root()->domainname : posix_root()->hostname;
}

static void show_host(struct proc_text *t, void *arg)
{
        const char *s = host_field(arg);

        proc_printf(t, "%s\n", *s ? s : arg ? "(none)" : "phantom");
}

static long set_host(struct call *c, const char *text, size_t len, void *arg)
{
        char *s = host_field(arg);

        while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
                len--;
        if (len > 64)
                return -EINVAL;
        changes(c);
        memset(s, 0, 65);
        memcpy(s, text, len);
        return 0;
}

static void show_overcommit(struct proc_text *t, void *arg)
{
        (void)arg;
        proc_printf(t, "%lu\n", fs_state()->overcommit);
}

static long set_overcommit(struct call *c, const char *text, size_t len, void *arg)
{
        uint64_t v;

        (void)len;
        (void)arg;
        if (proc_parse_u64(text, &v) || v > 2)
                return -EINVAL;
        changes(c);
        fs_state()->overcommit = v;
        return 0;
}

static long accept_number(struct call *c, const char *text, size_t len, void *arg)
{
        uint64_t v;

        (void)c;
        (void)len;
        (void)arg;
        return proc_parse_u64(text, &v);
}

static void show_uuid(struct proc_text *t, void *arg)
{
        uint8_t u[16];

        if (arg)
                memcpy(u, arg, sizeof(u));
        else
                rng_bytes(u, sizeof(u));
        u[6] = (u[6] & 0x0f) | 0x40;
        u[8] = (u[8] & 0x3f) | 0x80;
        proc_printf(t, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n", u[0], u[1], u[2], u[3],
                    u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

struct count {
        uint64_t n;
};

static void count_one(void *object, void *arg)
{
        (void)object;
        ((struct count *)arg)->n++;
}

static void show_file_nr(struct proc_text *t, void *arg)
{
        struct count c = {0};

        (void)arg;
        space_each(TYPE_FILE, count_one, &c);
        proc_printf(t, "%lu\t0\t1048576\n", c.n);
}

static int self_link(char *buf, size_t len)
{
        return (int)fmt_append(buf, len, 0, "%d", process_current()->pid);
}

static int thread_self_link(char *buf, size_t len)
{
        return (int)fmt_append(buf, len, 0, "%d/task/%d", process_current()->pid, thread_current()->tid);
}

static void register_link(const char *name, int (*link)(char *buf, size_t len))
{
        char path[64];

        fmt_append(path, sizeof(path), 0, "/proc/%s", name);
        proc_register_link(path, "");
        for (struct proc_node *n = proc_root.children; n; n = n->next) {
                if (strcmp(n->name, name) == 0) {
                        n->target = NULL;
                        n->link = link;
                }
        }
}

void proc_system_boot(void)
{
        rng_bytes(boot_id, sizeof(boot_id));
        register_link("self", self_link);
        register_link("thread-self", thread_self_link);
        proc_register_link("/proc/mounts", "self/mounts");
        for (unsigned k = 0; k < ARRAY_SIZE(files); k++)
                proc_register(files[k].path, 0444, files[k].read, NULL, (void *)(uintptr_t)files[k].text);
        proc_register("/proc/sys/kernel/osrelease", 0444, show_release, NULL, NULL);
        proc_register("/proc/sys/kernel/version", 0444, show_release, NULL, (void *)1);
        proc_register("/proc/sys/kernel/hostname", 0644, show_host, set_host, NULL);
        proc_register("/proc/sys/kernel/domainname", 0644, show_host, set_host, (void *)1);
        proc_register("/proc/sys/kernel/random/uuid", 0444, show_uuid, NULL, NULL);
        proc_register("/proc/sys/kernel/random/boot_id", 0444, show_uuid, NULL, boot_id);
        proc_register("/proc/sys/fs/file-nr", 0444, show_file_nr, NULL, NULL);
        proc_register("/proc/sys/vm/overcommit_memory", 0644, show_overcommit, set_overcommit, NULL);
        proc_register("/proc/sys/vm/drop_caches", 0200, NULL, accept_number, NULL);
        proc_register_dir("/proc/fs");
        proc_register_dir("/proc/bus");
        proc_register_dir("/proc/tty");
        proc_register_dir("/proc/irq");
}
