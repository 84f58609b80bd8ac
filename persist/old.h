/*
 * old.h - reading the space as it was: pages of a kept snapshot, as volatile read-only copies.
 *
 * Addresses of that time are numbers here, never followed: a page is asked for by (epoch, page number), an object by its old address, and what comes is a copy
 * outside the space, good to the end of the section. Contents are not trusted: type, version, size and bounds are checked, NULL is the answer to everything that
 * is not as this kernel's own structures are.
 * A page whose copy is not here yet abandons the section, like any absent page: so before its first change only. The dispatcher then calls old_fetch, and when that
 * has come, runs the call again.
 */
#pragma once
#include "persist/space.h"

/* Where copies come from; the kernel's is kernel/glue/old_pages.c. */
struct old_source {
        /* In a section. The page's copy, which stays as long as the section; NULL and *error: 0 not here yet, or why it cannot be had. */
        const void *(*find)(uint64_t epoch, ppn_t ppn, int *error);
        /* Outside sections; may wait for other CPUs' sections, never for the disk. Sees to it that the page comes; then sleepers on old_key() are woken. */
        void (*fetch)(uint64_t epoch, ppn_t ppn);
        /* Somebody needs this snapshot (it is mounted), or no longer: while one does, it is not dropped. -ENOENT: no such snapshot; -EMFILE: too many are in use. */
        int (*use)(uint64_t epoch, bool on);
};
void old_source_register(const struct old_source *s);
const void *old_key(void);
int old_use(uint64_t epoch, bool on);

const void *old_page(uint64_t epoch, ppn_t ppn);
/* Reading ahead: true when the page is here, or never will be; else it is noted, and old_wait abandons the section for all that were noted (at most OLD_WANT_MAX). */
#define OLD_WANT_MAX 16u
bool old_want(uint64_t epoch, ppn_t ppn);
void old_wait(void);

/* All of these: in a section, before its first change. */
const void *old_root(uint64_t epoch, enum root_slot slot); /* old address; NULL: none, or a layout that is not ours */
const void *old_object(uint64_t epoch, const void *at, unsigned type); /* a live object of that type in its slab */
const void *old_bytes(uint64_t epoch, const void *at, size_t len);     /* len bytes that lie in one page */
bool old_copy(uint64_t epoch, const void *at, void *to, size_t len);   /* any len */

/*
 * The dispatcher's, after a section was abandoned. old_pending: was it for old pages? Then old_fetch, outside sections; then, the thread being queued on old_key(),
 * old_arrived says whether there is still something to wait for.
 */
bool old_pending(void);
void old_fetch(void);
bool old_arrived(void);
