/*
 * vfs_internal.h - between posix/vfs (calls) and posix/fs (what files are made of).
 *
 * Computed inodes (/proc, /sys) are volatile while a section only looks at them: path walk makes them in this CPU's scratch. Whoever keeps one beyond its
 * section goes through inode_hold(), which makes it real. inode_is_volatile() tells.
 *
 * Locks: LOCK_RENAME (rename of directories across parents) < LOCK_FDTABLE < LOCK_FILE < LOCK_INODE (two directories by lock2) < LOCK_FLOCK < LOCK_NOTIFY.
 * Work in pieces on an inode's data (long write, truncate) holds inode->owner, on a file's position file->pos_owner; CONDITION sleepers wait on the field's address.
 */
#pragma once
#include "posix/include/mm.h"
#include "kernel/include/log.h"

#define NAME_MAX_LEN       255u
#define PATH_MAX_LEN       4096u
#define LINKS_MAX          40u /* symlinks in one walk, as Linux */
#define NLINK_MAX          0x7fffffffu
#define FILE_SIZE_MAX      0x7ffffffffffff000ul
#define RDEV(major, minor) ((uint32_t)(((minor)&0xff) | ((major)&0xfff) << 8 | ((minor) & ~0xffu) << 12))
#define ANON_DEV           RDEV(0, 15) /* st_dev of what has no name */
#define RDEV_MAJOR(d)      ((d) >> 8 & 0xfff)
#define ANON_DEV           RDEV(0, 15) /* st_dev of what has no name */
#define RDEV_MINOR(d)      (((d)&0xff) | ((d) >> 12 & 0xfff00))
#define ANON_DEV           RDEV(0, 15) /* st_dev of what has no name */
#define MAY_EXEC           1
#define MAY_WRITE          2
#define MAY_READ           4

/* ---- this CPU's scratch: valid to the end of the section ---- */
#define SCRATCH_INODES 12u
#define SCRATCH_OUT    16384u
struct vfs_scratch {
        char path[2][PATH_MAX_LEN]; /* paths from user memory; the second for calls with two */
        char block[PAGE_SIZE];      /* directory block being compacted; text of a proc link */
        char out[SCRATCH_OUT];      /* getdents records, computed files */
        struct inode inode[SCRATCH_INODES];
        unsigned next_inode, paths;
};
struct vfs_scratch *vfs_scratch(void); /* NULL: no memory, at a CPU's first use only */

/* ---- directories of INODE_FS (posix/fs/dir.c) ---- */
struct dir_entry {
        struct inode *inode;
        uint64_t ino, cookie;
        const char *name;
        uint8_t len, type;
};
#define DIR_COOKIE_FIRST 16ul /* smaller ones: 0 start, 1 after ".", 2 after ".." */
#define DIR_HEIGHT_MAX   8u
struct dir_place { /* where a name is or would be; valid while the directory's lock is held */
        uint64_t key;
        unsigned depth; /* blocks on the path; 0: no root block yet */
        struct {
                struct dir_block *block;
                unsigned at;
        } path[DIR_HEIGHT_MAX];
        bool found;
        struct dir_entry entry; /* when found */
};
void dir_find(struct inode *dir, const char *name, unsigned len, struct dir_place *p);
struct inode *dir_lookup(struct inode *dir, const char *name, unsigned len); /* NULL: no such name */
long dir_room(struct inode *dir, struct dir_place *p,
              unsigned len); /* before the change, name not found: 0 or -ENOSPC */
void dir_insert(struct inode *dir, struct dir_place *p, const char *name, unsigned len,
                struct inode *child); /* after changes(); p is used up */
void dir_remove(struct inode *dir, struct dir_place *p);
void dir_replace(struct inode *dir, struct dir_place *p, struct inode *child); /* the name stands for another inode */
/* First entry with a cookie above `after`. */
bool dir_next(struct inode *dir, uint64_t after, struct dir_entry *e);
/*
 * The same over copies of blocks, whose contents are not trusted: block() gives the copy of a block by its address, PAGE_SIZE bytes, or NULL. entry.inode is an
 * address as it stands there. find: 0, -ENOENT, -EIO (not a directory as we know it). next: false at the end, and where nothing can be read.
 */
struct dir_reader {
        const void *root; /* NULL: no name */
        const void *(*block)(void *arg, const void *at);
        void *arg;
};
long dir_read_find(const struct dir_reader *d, const char *name, unsigned len, struct dir_entry *e);
bool dir_read_next(const struct dir_reader *d, uint64_t after, struct dir_entry *e);
struct space_visitor;
void dir_walk_pages(struct inode *dir, const struct space_visitor *v); /* P12 */
void dir_free(struct inode *dir);                                      /* the last block of an empty directory */

/* ---- inodes (posix/fs/inode.c) ---- */
struct inode *inode_new(uint32_t dev, enum inode_kind kind, uint32_t mode, uint32_t uid,
                        uint32_t gid);  /* nlink 0, refs 1; after changes() */
void inode_link(struct inode *i);       /* one more name; the first takes a reference of its own */
void inode_unlink(struct inode *i);     /* one name less */
bool inode_link_again(struct inode *i); /* unless the last name is gone */
void inode_nameless(struct inode *i);   /* the last name went */
static inline bool inode_is_volatile(const struct inode *i)
{
        return (uint64_t)i < SPACE_BASE || (uint64_t)i >= SPACE_BASE + SPACE_MAX;
}
void inode_set_symlink(struct inode *i, const char *target, unsigned len); /* after changes() */
struct inode *inode_hold(struct inode *i); /* a counted reference to it, or to its real copy; after changes(), 1 page */
static inline bool inode_is(const struct inode *i, uint32_t type)
{
        return (i->mode & S_IFMT) == type;
}
static inline void inode_touch_times(struct inode *i, bool modified)
{
        int64_t now = (int64_t)time_now_coarse_ns();

        i->ctime_ns = now;
        if (modified)
                i->mtime_ns = now;
        inode_note_change(i);
}
static inline uint8_t mode_to_dtype(uint32_t mode)
{
        return (uint8_t)(mode >> 12 & 15);
}

struct xattr_block { /* all of an inode's extended attributes */
        uint32_t used, n;
        char entries[];
};
#define XATTR_BLOCK_MAX (64u * 1024)
bool xattrs_sound(const struct xattr_block *b); /* of a copy: its entries fill it exactly */

/* Operations by inode->kind. Missing ones: -EPERM for changes, -ENOTDIR for lookups. */
struct inode_ops {
        /*
         * Next component. dir is a directory and may be searched. *out: borrowed, real or from the scratch. 0, -ENOENT..., or, also of readlink and refresh, what
         * the call returns to wait.
         */
        long (*lookup)(struct call *c, struct inode *dir, const char *name, unsigned len, struct inode **out);
        struct inode *(*parent)(struct inode *dir);
        /* Symlink target: a pointer good to the section's end, *len; or a magic link: *jump and perhaps *magic. */
        long (*readlink)(struct call *c, struct inode *i, const char **target, uint32_t *len, struct inode **jump,
                         struct file **magic);
        /* First entry after `cookie` ("." and ".." are the caller's). False: end. */
        bool (*next)(struct inode *dir, uint64_t cookie, struct dir_entry *e);
        enum file_type directory_type, regular_type;
        int (*path)(struct inode *i, char *buf,
                    size_t len); /* name below the mount's root, "/a/b"; NULL: by parents' entries */
        /* Where attributes are not in inode->xattrs: a copy of them; NULL: none, or *error. NULL: they are there. */
        const struct xattr_block *(*xattrs)(struct call *c, struct inode *i, long *error);
        bool changeable; /* names may be made and removed, modes changed */
        long (*refresh)(struct call *c,
                        struct inode *i); /* before attributes are looked at: computed sizes, owners. 0; may be NULL */
        void (*changed)(
                struct
                inode *i); /* mode, owner or times of a computed inode were set: keep them where it comes from. NULL: -EPERM */
};
extern const struct inode_ops *const inode_ops_table[INODE_KINDS];
static inline const struct inode_ops *inode_ops(const struct inode *i)
{
        return inode_ops_table[i->kind];
}

/* The attributes of i, which was found by a name or a descriptor, are to be today's. 0, an error, or what the call returns to wait. */
static inline long inode_refresh(struct call *c, struct inode *i)
{
        return unlikely(inode_ops(i)->refresh != NULL) ? inode_ops(i)->refresh(c, i) : 0;
}

/* ---- regular files (posix/fs/regular.c) ---- */
/* Sets the size in one section: pages beyond go to an inode of their own, whose end takes them apart. Ends the section's locks on i. May fail before its change. */
long inode_truncate(struct call *c, struct inode *i, uint64_t size);
/* The step that changes, for callers with a change of their own: LOCK_INODE held, after changes() and inode_truncate_room(). Drops the lock. */
long inode_truncate_room(struct inode *i, uint64_t size);
void inode_truncate_now(struct inode *i, uint64_t size);
/* Owner field: 0 when nobody else works on i in pieces; else what the call returns (CALL_WAIT, CALL_RETRY, -EINTR on a kill). LOCK_INODE held. */
long inode_wait_owner(struct call *c, struct inode *i);
long file_wait_pos(struct call *c, struct file *f); /* the same for f->pos_owner; LOCK_FILE held */
/* lseek in `size` bytes, in which holes are not told apart. LOCK_FILE is held. */
long file_seek_within(struct call *c, struct file *f, int64_t off, int whence, uint64_t size);
void owners_release(struct call *c, struct file *f,
                    struct inode *i); /* those that are ours; may be the section's first change */
/* Pages that a write of [pos, pos + len) needs, len <= PIECE_MAX; touches what exists. */
uint64_t inode_write_room(struct inode *i, uint64_t pos, size_t len);
size_t inode_write_kernel(struct inode *i, uint64_t pos, const void *src, size_t len); /* after changes(), room asked */
void inode_clear_privileges(struct inode *i); /* a write by others takes set-id bits away; after changes() */
long regular_write_locked(struct call *c, struct file *f, bool positional, uint64_t pos);
bool inode_is_empty_from(struct inode *i, uint64_t page);

/* ---- durability (posix/vfs/sync.c) ---- */
/* The fsync of what is in the space. Of every fsync operation: c->pos is the epoch to be durable; run again at each dispatch. */
long space_fsync(struct call *c, struct file *f, bool data_only);

/* ---- mounts (posix/vfs/mount.c) ---- */
enum fs_type { FS_ROOT, FS_TMPFS, FS_DEVTMPFS, FS_PROC, FS_SYSFS, FS_DEVPTS, FS_SNAPSHOT, FS_FUSE, FS_TYPES };
long snap_root(uint64_t epoch, uint32_t dev, struct inode *root); /* posix/fs/snapfs.c */
struct mount {
        struct object obj;
        struct mount *next;  /* FIELD_REF: list in order of mounting */
        struct inode *root;  /* FIELD_REF */
        struct inode *point; /* FIELD_REF: covered directory; NULL: the root file system */
        uint32_t dev, id, parent_id, type;
        uint64_t flags;     /* MS_* */
        char *source;       /* FIELD_OWN */
        uint64_t max_bytes; /* tmpfs size= */
        uint64_t spare[2];
};
struct fs_state {
        struct mount *mounts; /* FIELD_REF */
        struct inode *devpts; /* FIELD_REF: root of /dev/pts */
        struct inode *dev;    /* FIELD_REF: root of /dev */
        uint64_t next_ino;
        uint64_t hash_seed; /* [I] of names in directories */
        uint32_t next_dev, next_mount;
        uint64_t any_flags; /* union of all mounts' flags: says quickly that no mount is read-only */
        struct inode *anon; /* FIELD_REF: what has no place of its own */
        uint64_t inotify_watches;
        uint32_t proc_dev, sys_dev, pts_dev, pad;
        uint64_t overcommit, spare[6];
};
static inline struct fs_state *fs_state(void)
{
        return posix_root()->fs_state;
}
struct mount *mount_of(const struct inode *i);
struct mount *mount_make(enum fs_type type, const char *source, struct inode *root, struct inode *point,
                         uint64_t flags);
struct inode *mount_new_root(enum inode_kind kind, uint32_t mode);
static inline bool inode_read_only(const struct inode *i)
{
        struct mount *m;

        if (likely(!(fs_state()->any_flags & 1 /* MS_RDONLY */)))
                return false;
        m = mount_of(i);
        return m && m->flags & 1;
}

/* ---- descriptors ---- */
long fdtable_prepare(struct fdtable *t, uint64_t fd); /* before the change: fd will be set or taken; 0 or -ENOMEM */
void fdtable_set(struct fdtable *t, uint64_t fd, struct file *f, bool cloexec);
struct file *fdtable_take(struct fdtable *t, uint64_t fd); /* the caller has the reference now */
bool fdtable_cloexec(const struct fdtable *t, uint64_t fd);
void fdtable_set_cloexec(struct fdtable *t, uint64_t fd, bool on);
void file_flush(struct file *f, struct fdtable *t);
void file_close(struct file *f, struct fdtable *t); /* after changes(), file_touch() before: what close(2) does */
void fdtable_release_touch(void *o);
bool fdtable_release(void *o);
void fdnode_release_touch(void *o);
bool fdnode_release(void *o);
void fdchunk_release_touch(void *o);
bool fdchunk_release(void *o);
void file_release_touch(void *o);
bool file_release(void *o);
void inode_release_touch(void *o);
bool inode_release(void *o);
void mount_release_touch(void *o);
bool mount_release(void *o);

long fdtable_unshare(struct call *c);
long fd_dup(struct call *c, struct file *f, uint64_t min, bool cloexec);

/* ---- devices (posix/fs/devices.c) ---- */
enum file_type device_type(uint32_t mode, uint32_t rdev); /* FILE_NONE: no such device */
uint32_t device_seekable(enum file_type type);            /* FMODE_PREAD or 0 */
long block_open_check(uint32_t rdev, uint32_t flags);     /* 0, -ENXIO (gone), -EROFS, -EBUSY */

/* ---- file locks (posix/vfs/locks.c) ---- */
long flock_fcntl(struct call *c, struct file *f, unsigned cmd, uint64_t arg); /* F_{GET,SET}LK*, F_OFD_* */
void flock_posix_close(struct file *f, struct fdtable *t);
void flock_file_release(struct file *f); /* last reference: flock and OFD locks */
void flock_touch(struct inode *i);       /* all lock records of i */

#define INODE_LINKABLE 0x80000000u /* iflags: made by O_TMPFILE, may get a first name */
void notify_name(struct inode *dir, uint32_t mask, const char *name, unsigned len,
                 uint32_t cookie); /* an event of a name in dir */
void inode_creation(struct inode *dir, uint32_t *mode,
                    uint32_t *gid); /* owner group and set-gid of what is made in dir */

/* ---- extended attributes, inotify: what an inode's end needs ---- */
void xattrs_touch(struct inode *i);
void xattrs_free(struct inode *i);
/*
 * Before the change: what an event will write. _self: the inode's own watches; the other also its directory's, and takes that one's lock: no LOCK_INODE held then,
 * neither at notify_event(), which tells both.
 */
extern bool notify_active;
#define INOTIFY_BYTES 72u /* sizes of inotify.c's structs, asserted there */
#define WATCH_BYTES   48u
void watches_touch_self(struct inode *i);
void watches_touch(struct inode *i);
void notify_self(struct inode *i, uint32_t mask);
void inotify_boot(void);
void inotify_release_touch(void *o);
bool inotify_release(void *o);
void watches_inode_gone(struct inode *i); /* IN_DELETE_SELF, IN_IGNORED, and the watches end */

/* ---- checks shared by the calls ---- */
static inline struct cred *cred_current(void)
{
        return thread_current()->cred;
}
static inline struct fs *fs_current(void)
{
        return process_current()->fs;
}
static inline bool inode_owner_or_capable(const struct inode *i)
{
        return cred_current()->fsuid == i->uid || capable(CAP_FOWNER);
}
long decode_dirfd(struct call *c, int dirfd, struct inode **start); /* directory a relative path starts at */
long path_copy(struct call *c, uint64_t user_path, char **buf);     /* length, -Exxx or CALL_FAULT */
struct inode *scratch_inode(void);                                  /* for a computed inode; NULL: no memory */
long inode_readlink(struct call *c, struct inode *i, const char **target, uint32_t *len, struct inode **jump,
                    struct file **magic);
int inode_permission_as(const struct cred *cr, struct inode *i, unsigned may);
void cred_real(struct cred *as);
/* Room for the objects a small change makes (inodes, files, list pages): asked by every call that allocates a few objects. */
#define SMALL_CHANGE 8u

struct statfs;
void statfs_fill(struct inode *i, struct statfs *s);
#define ENOIOCTLCMD 515

/* Signals that files raise. After changes(). */
void send_sigxfsz(void);
