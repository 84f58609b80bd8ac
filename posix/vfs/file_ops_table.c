/*
 * file_ops_table.c - operations of open files by type number (enum file_type: part of the schema). Types that nobody defines stay NULL: an open of such a node is ENXIO.
 */
#include "posix/vfs/vfs_internal.h"

/* clang-format off */
#define EACH_OPS(X) \
        X(FILE_REGULAR, regular) X(FILE_DIRECTORY, directory) X(FILE_PATH, path) X(FILE_PIPE, pipe) \
        X(FILE_FIFO, pipe) X(FILE_SOCKET, socket) X(FILE_EPOLL, epoll) X(FILE_EVENTFD, eventfd) \
        X(FILE_TIMERFD, timerfd) X(FILE_SIGNALFD, signalfd) X(FILE_INOTIFY, inotify) X(FILE_TTY, tty) \
        X(FILE_PTMX, ptmx) X(FILE_DEV_NULL, null) X(FILE_DEV_ZERO, zero) X(FILE_DEV_FULL, full) \
        X(FILE_DEV_RANDOM, random) X(FILE_DEV_KMSG, kmsg) X(FILE_BLOCK, block) X(FILE_PROC, proc) \
        X(FILE_PROC_DIR, proc_dir) X(FILE_MQUEUE, mqueue) X(FILE_PIDFD, pidfd) X(FILE_MEMFD, regular) \
        X(FILE_DEV_MEM, mem) X(FILE_INPUT, input) X(FILE_FB, fb) X(FILE_DEV_CONSOLE, console) X(FILE_SHM, shm) \
        X(FILE_SNAP, snap) X(FILE_FUSE_DEVICE, fuse_device) X(FILE_FUSE, fuse) X(FILE_FUSE_DIR, fuse_dir)
/* clang-format on */

#define DECLARE(type, name) extern const struct file_ops name##_file_ops __attribute__((weak));
EACH_OPS(DECLARE)

#define ENTRY(type, name) [type] = &name##_file_ops,
const struct file_ops *const file_ops_table[FILE_TYPES] = {EACH_OPS(ENTRY)};

/* O_PATH: a name and nothing else. */
const struct file_ops path_file_ops = {.name = "path"};
