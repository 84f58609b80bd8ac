/*
 * vfs.h - inodes, names, path walk (posix/vfs, posix/fs). The file system is these objects in the space: nothing is mounted to boot.
 * Inodes of kinds that are computed (/proc, /sys, /dev/pts) have their own inode_ops number.
 */
#pragma once
#include "posix/include/file.h"
#include "posix/include/ptree.h"

enum inode_kind {
        INODE_FS = 1,
        INODE_PROC = 2,
        INODE_SYS = 3,
        INODE_DEVPTS = 4,
        INODE_ANON = 5,
        INODE_SHM = 6,
        INODE_SNAP = 7, /* of a kept snapshot */
        INODE_FUSE = 8, /* of a file system that a program serves */
        INODE_KINDS = 16
};

struct inode {
        struct object obj;
        uint64_t ino;  /* [I] */
        uint32_t mode; /* [l LOCK_INODE] type and permissions */
        uint32_t nlink, uid, gid;
        uint8_t kind;            /* [I] enum inode_kind */
        uint8_t inline_data;     /* symlink target or small data stands in `data` */
        uint16_t changes_unseen; /* 1: it may change without changed_epoch; never 0 again */
        uint32_t rdev;           /* major << 8 | minor as dev_t of Linux's new encoding */
        uint32_t dev;            /* st_dev */
        uint32_t iflags;         /* FS_IMMUTABLE_FL ... */
        uint64_t size;
        uint64_t blocks; /* 512-byte units */
        int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
        struct ptree data;         /* pages of a regular file */
        void *dir;                 /* FIELD_OWN: directory's index; posix/fs */
        struct inode *parent;      /* FIELD_BORROW: directory of the name given last, NULL when that name is gone */
        struct object *priv;       /* FIELD_REF: fifo's pipe, bound socket, shm; posix/fuse's own */
        void *locks;               /* FIELD_OWN: flock and POSIX lock lists; LOCK_FLOCK */
        void *xattrs;              /* FIELD_OWN */
        void *watches;             /* inotify; LOCK_NOTIFY */
        struct thread *owner;      /* FIELD_BORROW: owner field of work in pieces (long write, truncate) */
        struct inode *mounted;     /* FIELD_REF: root of what is mounted here */
        struct inode *mount_point; /* FIELD_BORROW: for a mounted root, what it covers */
        uint32_t seals, writers;   /* memfd seals; ETXTBSY count: >0 writers, <0 executing */
        uint64_t proc_key[2];      /* computed kinds: what it shows */
        char *symlink;             /* FIELD_OWN */
        uint64_t generation;       /* of the mapping: bumped by truncate so that faults look again */
        struct inode
                *held; /* FIELD_REF to itself while a name (or a mount) holds it: names are counted by nlink alone */
        uint64_t nentries;      /* directories: names in it, without . and .. */
        uint64_t name_key;      /* cookie of that name in `parent` */
        uint64_t changed_epoch; /* of the last change that fsync makes durable, but for those that are not seen */
        uint64_t spare;
};

/* Path walk. Results borrow. flags: */
#define WALK_FOLLOW    1u /* follow a final symlink */
#define WALK_PARENT    2u /* stop at the parent: result.dir and result.last */
#define WALK_DIRECTORY 4u
#define WALK_EMPTY     8u  /* AT_EMPTY_PATH */
#define WALK_BENEATH   16u /* openat2's RESOLVE_* */
#define WALK_IN_ROOT   32u
#define WALK_NO_MAGIC  64u
#define WALK_NO_LINKS  128u
#define WALK_NO_XDEV   256u
#define WALK_NO_LOOKUP 512u  /* with WALK_PARENT: the last name is not looked up */
#define WALK_REAL_IDS  1024u /* access(2): search permission by the real ids */
#define WALK_NO_WAIT   2048u /* past nothing that must be waited for */
enum walk_last { LAST_NAME, LAST_ROOT, LAST_DOT, LAST_DOTDOT };
struct walk {
        struct inode *
                dir; /* parent (WALK_PARENT, or of the result); NULL: the path is of the root alone, which is the result */
        struct inode *inode; /* result; NULL with WALK_PARENT when the last name is not there */
        struct file *magic;  /* /proc/self/fd link resolved to an open file */
        const char *last;
        uint32_t last_len; /* into the call's path buffer */
        bool trailing_slash;
        uint8_t last_type; /* enum walk_last */
};
/* Copies the path from user memory into a volatile buffer of this section (undo list) and walks from dirfd. 0, -Exxx or CALL_FAULT (return it). */
long path_walk(struct call *c, int dirfd, uint64_t user_path, unsigned flags, struct walk *w);
long path_walk_kernel(struct call *c, struct inode *start, const char *path, unsigned flags, struct walk *w);
int inode_permission(struct inode *i,
                     unsigned may); /* MAY_*: 4 read 2 write 1 exec; fsuid rules; 0 or -EACCES/-EROFS */
int path_of_inode(struct inode *dir, char *buf, size_t len); /* absolute path of a directory; length or -ENOENT */
int path_of_file(struct file *f, char *buf, size_t len);

/* File pages for mmap and exec (posix/mm). offset in pages. 0 = hole beyond size or not there; creates on `write` after room was asked. */
ppn_t inode_page(struct inode *i, uint64_t index);
ppn_t inode_page_create(struct inode *i, uint64_t index); /* after changes(); LOCK_INODE held */
/* Kernel reads of a file (exec headers, populate): bytes read from offset; holes read as zero; may abandon the section. */
size_t inode_read(struct inode *i, uint64_t offset, void *buf, size_t len);
/* posix/mm tells which page-cache pages are mapped where: truncate calls this to drop user mappings of [from, to) pages in all address spaces. */
void mm_unmap_inode(struct inode *i, uint64_t from, uint64_t to);

int vfs_create(void);    /* first boot: empty tree with /dev, /proc, /sys, /tmp mounts; 0 or -ENOMEM */
int fs_populate(void);   /* first boot: unpack the boot archive (rootfs/FORMAT.md); 0 or -Exxx with a message logged */
void vfs_boot(void);     /* every boot: rebuild volatile parts */
void block_forget(void); /* storm: transfers lose their threads */

void inode_accessed(struct file *f); /* atime by relatime; after changes() */
/* inotify/dnotify source: after changes(). mask IN_*. name may be NULL. cookie for renames. */
void notify_event(struct inode *i, uint32_t mask, const char *name, uint32_t cookie);
uint64_t time_now_coarse_ns(void); /* timestamps */
/*
 * After changes(), by whoever changes what fsync makes durable: data, size, attributes, times, the names in a directory. Stores through a mapping are seen by nobody: of a file that was mapped
 * shared and writable once (mm_map_area), or that is older than this field, it is not known when it changed.
 */
static inline void inode_note_change(struct inode *i)
{
        i->changed_epoch = snapshot_epoch();
}
static inline bool inode_change_known(const struct inode *i)
{
        return !i->changes_unseen && i->changed_epoch;
}
