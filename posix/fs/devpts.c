/*
 * devpts.c - /dev/pts: a name for each pseudo terminal that posix/tty has. Owner and mode are kept in the terminal.
 */
#include "posix/fs/fs_internal.h"
#include "posix/include/tty.h"
#include "kernel/lib/fmt.h"

static struct inode *inode_of(struct tty *t)
{
        struct inode *i = scratch_inode();

        if (!i)
                return NULL;
        *i = (struct inode){
                .ino = t->index + 3,
                .mode = S_IFCHR | (t->mode & 07777),
                .nlink = 1,
                .uid = t->uid,
                .gid = t->gid,
                .kind = INODE_DEVPTS,
                .rdev = RDEV(PTY_MAJOR + t->index / 256, t->index % 256),
                .dev = fs_state()->pts_dev,
                .proc_key = {t->index + 1, 0},
                .atime_ns = t->time_ns,
                .mtime_ns = t->time_ns,
                .ctime_ns = t->time_ns,
                .btime_ns = t->time_ns,
        };
        return i;
}

struct inode *devpts_inode(unsigned index)
{
        struct tty *t = pty_find(index);

        return t ? inode_of(t) : NULL;
}

static struct inode *ptmx_node(void)
{
        struct inode *i = scratch_inode();

        if (i)
                *i = (struct inode){.ino = 2,
                                    .mode = S_IFCHR,
                                    .nlink = 1,
                                    .kind = INODE_DEVPTS,
                                    .rdev = RDEV(5, 2),
                                    .dev = fs_state()->pts_dev};
        return i;
}

static long lookup(struct call *c, struct inode *dir, const char *name, unsigned len, struct inode **out)
{
        unsigned n = 0;

        (void)c;
        (void)dir;
        if (len == 4 && __builtin_memcmp(name, "ptmx", 4) == 0) {
                *out = ptmx_node();
                return *out ? 0 : -ENOMEM;
        }
        for (unsigned k = 0; k < len; k++) {
                if (name[k] < '0' || name[k] > '9' || (k == 0 && name[k] == '0' && len > 1) || n >= PTY_MAX)
                        return -ENOENT;
                n = n * 10 + (unsigned)(name[k] - '0');
        }
        *out = devpts_inode(n);
        return *out ? 0 : -ENOENT;
}

static bool next(struct inode *dir, uint64_t cookie, struct dir_entry *e)
{
        char *text = vfs_scratch()->block;
        int n;

        (void)dir;
        if (cookie < DIR_COOKIE_FIRST) {
                *e = (struct dir_entry){.ino = 2, .cookie = DIR_COOKIE_FIRST, .name = "ptmx", .len = 4, .type = 2};
                return true;
        }
        n = pty_next((unsigned)(cookie - DIR_COOKIE_FIRST));
        if (n < 0)
                return false;
        *e = (struct dir_entry){
                .ino = (uint64_t)n + 3, .cookie = (uint64_t)n + DIR_COOKIE_FIRST + 1, .name = text, .type = 2};
        e->len = (uint8_t)fmt_append(text, 16, 0, "%d", n);
        return true;
}

static struct tty *tty_of(const struct inode *i)
{
        return i->proc_key[0] ? pty_find((unsigned)i->proc_key[0] - 1) : NULL;
}

static long refresh(struct call *c, struct inode *i)
{
        struct tty *t = tty_of(i);

        (void)c;
        if (!t || !S_ISCHR(i->mode) || !inode_is_volatile(i))
                return 0;
        i->mode = S_IFCHR | (t->mode & 07777);
        i->uid = t->uid;
        i->gid = t->gid;
        return 0;
}

static void changed(struct inode *i)
{
        struct tty *t = tty_of(i);

        if (!t)
                return;
        t->mode = i->mode & 07777;
        t->uid = i->uid;
        t->gid = i->gid;
}

static int path(struct inode *i, char *buf, size_t len)
{
        if (S_ISDIR(i->mode))
                return 0;
        return i->proc_key[0] ? (int)fmt_append(buf, len, 0, "/%lu", i->proc_key[0] - 1)
                              : (int)fmt_append(buf, len, 0, "/ptmx");
}

static struct inode *parent(struct inode *i)
{
        return S_ISDIR(i->mode) ? NULL : fs_state()->devpts;
}

const struct inode_ops devpts_inode_ops = {
        .lookup = lookup,
        .next = next,
        .parent = parent,
        .path = path,
        .refresh = refresh,
        .changed = changed,
        .directory_type = FILE_DIRECTORY,
};
