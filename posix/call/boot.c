/*
 * boot.c - the personality from nothing: an empty space, its root, the file tree, pid 1. Each step opens sections of its own. No thread runs yet, and nothing is absent.
 */
#include "posix/include/boot.h"
#include "posix/include/deadline.h"
#include "posix/include/ipc.h"
#include "posix/include/mm.h"
#include "posix/include/pipe.h"
#include "posix/include/poll.h"
#include "posix/include/signal.h"
#include "posix/include/socket.h"
#include "posix/include/tty.h"
#include "posix/call/call_internal.h"
#include "kernel/include/boot.h"
#include "kernel/include/arch/thread_regs.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/include/log.h"
#include "kernel/include/time.h"

static void no_retry(void *arg)
{
        panic("a page of a space that is being made is absent (%p)", arg);
}

static void walk_root(const struct space_visitor *v)
{
        struct posix_root *root = posix_root();

        if (!root)
                return;
        v->object(root->init);
        v->object(root->fs_root);
}

static int start_init(void)
{
        int r = thread_reserve();

        if (r < 0)
                return r;
        section_begin(no_retry, NULL);
        section_changes();
        r = process_create_init();
        section_end();
        return r;
}

struct step {
        const char *what;
        int (*make)(void);
};

static int take(const struct step *steps, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                int r = steps[i].make();

                if (r < 0) {
                        klog(LOG_ERR, "cannot make the %s: error %d", steps[i].what, r);
                        return r;
                }
        }
        return 0;
}

/* ---- the processor that programs have seen ---- */

/* What only a kernel uses may be missing on the next machine. */
static bool kernel_only(const char *flag, size_t len)
{
        static const char *const names[] = {"apic", "x2apic", "hypervisor", "ht",           "nx",
                                            "pat",  "pge",    "msr",        "constant_tsc", "tsc_deadline_timer",
                                            "smep", "smap",   "umip",       "pdpe1gb",      "erms"};

        for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
                if (strlen(names[i]) == len && !memcmp(names[i], flag, len))
                        return true;
        return false;
}

static bool has_flag(const char *flags, const char *flag, size_t len)
{
        for (const char *at = flags; *at; at += *at == ' ') {
                size_t n = 0;

                while (at[n] && at[n] != ' ')
                        n++;
                if (n == len && !memcmp(at, flag, n))
                        return true;
                at += n;
        }
        return false;
}

/* Can this processor go on with what runs? It keeps to the register state that there is. Says what is missing. */
static bool cpu_suffices(const struct posix_root *root, const struct cpu_identity *id)
{
        char missing[200];
        size_t at = 0;

        missing[0] = 0;
        for (const char *flag = root->cpu_flags; flag && *flag; flag += *flag == ' ') {
                size_t n = 0;

                while (flag[n] && flag[n] != ' ')
                        n++;
                if (!kernel_only(flag, n) && !has_flag(id->flags, flag, n))
                        at = fmt_append(missing, sizeof(missing), at, " %.*s", (int)n, flag);
                flag += n;
        }
        if (!at && root->cpu_flags && fpu_limit(root->fpu_features, root->fpu_size))
                at = fmt_append(missing, sizeof(missing), at, " register state %#lx of %lu bytes", root->fpu_features,
                                root->fpu_size);
        if (at)
                klog(LOG_ERR, "this processor lacks what the programs that go on have seen on the last one:%s",
                     missing);
        return !at;
}

/* In a section, after its changes. */
static void cpu_note(struct posix_root *root, const struct cpu_identity *id)
{
        if (!root->cpu_flags)
                root->cpu_flags = space_alloc_bytes(sizeof(id->flags));
        memcpy(root->cpu_flags, id->flags, sizeof(id->flags));
        root->fpu_features = fpu_features();
        root->fpu_size = fpu_size();
}

/* What every life of the kernel needs once. */
static void begin_life(void)
{
        vfs_boot();
        pipe_boot();
        socket_boot();
        ipc_boot();
        call_trace = boot_option("trace", NULL, 0);
        chaos_per_mille = (uint32_t)boot_option_u64("chaos", 0);
}

static const struct step volatile_steps[] = {
        {"address spaces", mm_boot},
        {"processes", process_boot},
        {"signals", signal_boot},
};

int posix_boot(void)
{
        static const struct step steps[] = {
                {"vDSO", mm_create_vdso},
                {"file tree", vfs_create},
                {"files of the boot archive", fs_populate},
                {"terminals", tty_boot},
        };
        static struct cpu_identity id;
        struct posix_root *root;
        int r;

        section_begin(no_retry, NULL);
        section_changes();
        root = space_alloc_bytes(sizeof(*root));
        space_root_set(ROOT_POSIX, root);
        arch_cpu_identity(&id);
        cpu_note(root, &id);
        section_end();
        space_ref_walker_register(walk_root, 0);
        r = take(volatile_steps, ARRAY_SIZE(volatile_steps));
        if (!r)
                r = take(steps, ARRAY_SIZE(steps));
        if (r < 0)
                return r;
        begin_life();
        r = start_init();
        if (r < 0)
                klog(LOG_ERR, "cannot make init: error %d", r);
        return r;
}

/* ---- a space that has been lived in ---- */

/* Volatile state that stands for persistent objects: made from them, by posix_recover and in every storm. Threads last: from then on they may be woken. */
static const struct step recover_steps[] = {
        {"terminals", tty_boot},          {"timers", deadline_boot}, {"timer descriptors", timerfd_boot},
        {"readiness queues", epoll_boot}, {"threads", thread_boot},  {"objects that were dying", object_boot},
};

/* What the space itself must know of it. Time off is wall time: a clock that was set back meanwhile gives none. */
static void new_life(const struct space_clock *then, bool fresh, const struct cpu_identity *id)
{
        struct posix_root *root = posix_root();
        uint64_t now = time_real_ns();

        section_begin(no_retry, NULL);
        section_changes();
        root->lives++;
        cpu_note(root, id);
        if (now > then->real_ns)
                root->time_off_ns += now - then->real_ns;
        if (root->fresh || fresh) {
                root->fresh = 0;
                klog(LOG_INFO, "fresh start: all processes end, the files stay");
                process_end_init();
        }
        section_end();
}

/* Nothing of it is committed before all of it is done: the writer does not run yet. */
static void stop_process(int pid)
{
        bool more;

        do {
                section_begin(no_retry, NULL);
                section_changes();
                more = process_stop_piece(pid);
                section_end();
        } while (more);
        klog(LOG_INFO, "process %d is stopped; SIGCONT continues it", pid);
}

int posix_recover(const struct space_clock *then, const struct posix_start *how)
{
        static struct cpu_identity id;
        int r;

        if (!posix_root()) {
                klog(LOG_ERR, "the recovered space has no Unix state");
                return -EINVAL;
        }
        arch_cpu_identity(&id);
        if (!cpu_suffices(posix_root(), &id))
                return -EOPNOTSUPP;
        space_ref_walker_register(walk_root, 0);
        time_set_mono_base(then->mono_ns);
        space_drain();
        boot_archive_release();
        r = take(volatile_steps, ARRAY_SIZE(volatile_steps));
        if (r < 0)
                return r;
        new_life(then, how->fresh, &id);
        if (how->stop)
                stop_process(how->stop);
        begin_life();
        return take(recover_steps, ARRAY_SIZE(recover_steps));
}

int posix_storm(void)
{
        int r;

        block_forget();
        thread_forget();
        wait_forget();
        deadline_forget();
        epoll_forget();
        mm_forget();
        pid_forget();
        space_drain();
        space_fetch_at_once(true);
        r = take(recover_steps, ARRAY_SIZE(recover_steps));
        space_fetch_at_once(false);
        return r;
}
