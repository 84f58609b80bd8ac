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
#include "kernel/include/log.h"

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

int posix_boot(void)
{
        static const struct {
                const char *what;
                int (*make)(void);
        } steps[] = {
                {"address spaces", mm_boot},
                {"processes", process_boot},
                {"signals", signal_boot},
                {"vDSO", mm_create_vdso},
                {"file tree", vfs_create},
                {"files of the boot archive", fs_populate},
                {"terminals", tty_boot},
                {"readiness queues", epoll_boot},
                {"timer descriptors", timerfd_boot},
        };
        struct posix_root *root;
        int r;

        section_begin(no_retry, NULL);
        section_changes();
        root = space_alloc_bytes(sizeof(*root));
        space_root_set(ROOT_POSIX, root);
        section_end();
        space_ref_walker_register(walk_root, 0);
        for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
                r = steps[i].make();
                if (r < 0) {
                        klog(LOG_ERR, "cannot make the %s: error %d", steps[i].what, r);
                        return r;
                }
        }
        vfs_boot();
        pipe_boot();
        socket_boot();
        ipc_boot();
        deadline_boot();
        r = start_init();
        if (r < 0) {
                klog(LOG_ERR, "cannot make init: error %d", r);
                return r;
        }
        call_trace = boot_option("trace", NULL, 0);
        chaos_per_mille = (uint32_t)boot_option_u64("chaos", 0);
        return 0;
}
