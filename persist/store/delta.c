/*
 * delta.c - pages that change a little in every commit: their shadows, and what differs from them.
 *
 * A shadow is the content of a hot page as of the last commit. A small commit writes, of a page that has one, only the runs of words that differ: a DELTA in the record. What it builds on, the
 * page's block or the record that it was last packed in, is its base, and stays; the recent index names it. A page that has deltas since the last checkpoint keeps its shadow: it is pinned, since the page as
 * it is stands nowhere else in one piece. The checkpoint gives such a page a block of its own, and the shadow goes on without being needed. Who finds no shadow that is not pinned is written whole.
 * Recovery reads no bases: it knows the words that deltas name, and the base's others are filled in when the page is asked for. So it does not matter what has become of the base of a page that was
 * written whole later. A replay that begins at the older superblock goes past a checkpoint, and may need more shadows than a life had at once: it alone allocates.
 * Invariant: the shadow of a page, if there is one and it is whole, is what the newest state, or the commit under way, has as that page.
 */
#include "persist/store/internal.h"

struct shadow_chunk {
        struct shadow_chunk *next;
        struct shadow shadow[SHADOW_CHUNK];
};

static struct shadow **bucket_of(struct store *s, uint64_t ppn)
{
        return &s->shadows[(ppn * 0x9e3779b97f4a7c15ul >> 32) % SHADOW_BUCKETS];
}

struct shadow *shadow_find(struct store *s, uint64_t ppn)
{
        struct shadow *sh = *bucket_of(s, ppn);

        while (sh && sh->ppn != ppn + 1)
                sh = sh->link;
        if (sh)
                sh->used = true;
        return sh;
}

int shadows_add(struct store *s)
{
        struct shadow_chunk *c = persist_host->mem_alloc(sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->next = s->shadow_chunks;
        s->shadow_chunks = c;
        for (unsigned i = 0; i < SHADOW_CHUNK; i++) {
                struct shadow *sh = &c->shadow[i];

                sh->ppn = 0;
                sh->pinned = sh->used = false;
                sh->turn = s->shadow_hand ? s->shadow_hand->turn : sh;
                if (s->shadow_hand)
                        s->shadow_hand->turn = sh;
                s->shadow_hand = sh;
        }
        s->nshadows += SHADOW_CHUNK;
        return 0;
}

void shadows_close(struct store *s)
{
        struct shadow_chunk *c;

        while ((c = s->shadow_chunks)) {
                s->shadow_chunks = c->next;
                persist_host->mem_free(c, sizeof(*c));
        }
}

static void shadow_forget(struct store *s, struct shadow *sh)
{
        struct shadow **at = bucket_of(s, sh->ppn - 1);

        while (*at != sh)
                at = &(*at)->link;
        *at = sh->link;
        sh->ppn = 0;
        sh->pinned = sh->used = false;
}

void shadow_drop(struct store *s, uint64_t ppn)
{
        struct shadow *sh = shadow_find(s, ppn);

        if (sh)
                shadow_forget(s, sh);
}

/* One for the page, which has none, of which nothing is known yet; NULL: all are pinned. A clock: who was not used since the hand came by gives way. */
static struct shadow *shadow_take(struct store *s, uint64_t ppn)
{
        for (unsigned i = 0; i < 2 * s->nshadows; i++) {
                struct shadow *sh = s->shadow_hand = s->shadow_hand->turn, **head;

                if (sh->pinned)
                        continue;
                if (sh->used) {
                        sh->used = false;
                        continue;
                }
                if (sh->ppn)
                        shadow_forget(s, sh);
                head = bucket_of(s, ppn);
                sh->ppn = ppn + 1;
                sh->link = *head;
                *head = sh;
                sh->nknown = 0;
                __builtin_memset(sh->known, 0, sizeof(sh->known));
                return sh;
        }
        return NULL;
}

void shadow_set(struct store *s, uint64_t ppn, const void *page, bool take)
{
        struct shadow *sh = shadow_find(s, ppn);

        if (!sh && take)
                sh = shadow_take(s, ppn);
        if (!sh)
                return;
        __builtin_memcpy(sh->word, page, STORE_BLOCK);
        sh->nknown = PAGE_WORDS;
        sh->pinned = false;
}

void shadows_unpin(struct store *s)
{
        for (struct shadow_chunk *c = s->shadow_chunks; c; c = c->next)
                for (unsigned i = 0; i < SHADOW_CHUNK; i++)
                        c->shadow[i].pinned = false;
}

/* ---- deltas ---- */

int delta_make(struct shadow *sh, const void *page, void *delta, uint32_t max, bool *zeroes)
{
        uint64_t lines = persist_host->pages_differ(page, sh->word), any = 0;
        const uint64_t *new = page;
        uint8_t *to = delta;
        uint32_t len = 0;

        for (unsigned w = 0; w < PAGE_WORDS && lines >> w / 8;) {
                struct disk_run run;
                unsigned first;

                if (!(lines >> w / 8 & 1))
                        w = (w / 8 + (unsigned)__builtin_ctzl(lines >> w / 8)) * 8;
                if (new[w] == sh->word[w]) {
                        w++;
                        continue;
                }
                for (first = w; w < PAGE_WORDS && new[w] != sh->word[w]; w++)
                        if (w - first >= max / 8)
                                return -1;
                run = (struct disk_run){.first = (uint16_t)first, .nwords = (uint16_t)(w - first)};
                if (len + sizeof(run) + run.nwords * 8 > max)
                        return -1;
                __builtin_memcpy(to + len, &run, sizeof(run));
                len += sizeof(run);
                __builtin_memcpy(to + len, new + first, run.nwords * 8);
                len += run.nwords * 8;
                __builtin_memcpy(sh->word + first, new + first, run.nwords * 8);
                while (!any && first < w)
                        any = new[first++];
        }
        *zeroes = !any;
        return (int)len;
}

bool delta_valid(const uint8_t *delta, uint32_t len)
{
        struct disk_run run;
        unsigned end = 0;

        if (!len)
                return false;
        for (uint32_t at = 0; at < len; at += run.nwords * 8) {
                if (len - at < sizeof(run))
                        return false;
                __builtin_memcpy(&run, delta + at, sizeof(run));
                at += sizeof(run);
                if (!run.nwords || run.first < end || run.first >= PAGE_WORDS || run.nwords > PAGE_WORDS - run.first ||
                    run.nwords * 8u > len - at)
                        return false;
                end = run.first + run.nwords;
        }
        return true;
}

/* The word is known from now on. */
static void know(struct shadow *sh, unsigned w, uint64_t value)
{
        uint64_t bit = 1ul << w % 64;

        sh->word[w] = value;
        if (sh->nknown < PAGE_WORDS && !(sh->known[w / 64] & bit)) {
                sh->known[w / 64] |= bit;
                sh->nknown++;
        }
}

int delta_apply(struct store *s, uint64_t ppn, const uint8_t *delta, uint32_t len)
{
        struct shadow *sh = shadow_find(s, ppn);
        struct disk_run run;

        if (!sh)
                sh = shadow_take(s, ppn);
        if (!sh) {
                if (shadows_add(s))
                        return -ENOMEM;
                sh = shadow_take(s, ppn);
        }
        for (uint32_t at = 0; at < len;) {
                __builtin_memcpy(&run, delta + at, sizeof(run));
                at += sizeof(run);
                for (unsigned i = 0; i < run.nwords; i++, at += 8) {
                        uint64_t value;

                        __builtin_memcpy(&value, delta + at, 8);
                        know(sh, run.first + i, value);
                }
        }
        sh->pinned = true;
        return 0;
}

int delta_read(struct store *s, const struct recent *at, void *page)
{
        struct shadow *sh = shadow_find(s, at->ppn - 1);
        const uint64_t *base = page;
        int r;

        must(sh, "store: a page with deltas has no shadow");
        if (sh->nknown < PAGE_WORDS) {
                r = base_read(s, at, page);
                if (r)
                        return r;
                for (unsigned w = 0; w < PAGE_WORDS; w++)
                        if (!(sh->known[w / 64] >> w % 64 & 1))
                                sh->word[w] = base[w];
                sh->nknown = PAGE_WORDS;
        }
        __builtin_memcpy(page, sh->word, STORE_BLOCK);
        return 0;
}
