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

/* The run that ends before word `end`. */
static inline void close_run(uint8_t *head, unsigned first, unsigned end)
{
        struct disk_run run = {.first = (uint16_t)first, .nwords = (uint16_t)(end - first)};

        __builtin_memcpy(head, &run, sizeof(run));
}

/* More than max differs, if the first eight lines that do are like all of them. Looked at when there are many: then a delta that would be given up is dear. */
static bool is_dense(uint64_t lines, const uint64_t *new, const uint64_t *old, uint32_t max)
{
        unsigned n = 0, nlines = 0, looked = 0;

        for (uint64_t rest = lines; rest; rest &= rest - 1)
                nlines++;
        if (nlines < 8 || nlines * 64 < 2 * max)
                return false;
        for (; looked < 8; looked++, lines &= lines - 1) {
                unsigned line = (unsigned)__builtin_ctzl(lines) * 8;

                for (unsigned w = line; w < line + 8; w++)
                        n += new[w] != old[w];
        }
        return n * nlines > max;
}

int delta_make(struct shadow *sh, const void *page, void *delta, uint32_t max, bool *zeroes)
{
        uint64_t lines = persist_host->pages_differ(page, sh->word), any = 0;
        unsigned first = 0, end = 0; /* of the run; first == end: there is none */
        const uint64_t *new = page;
        uint8_t *head = delta, *to = delta;

        if (is_dense(lines, new, sh->word, max))
                return -1;
        for (; lines; lines &= lines - 1) {
                unsigned line = (unsigned)__builtin_ctzl(lines) * 8;

                for (unsigned w = line; w < line + 8; w++) {
                        uint64_t now = new[w];

                        if (now == sh->word[w])
                                continue;
                        if (w != end || first == end) {
                                if (first != end)
                                        close_run(head, first, end);
                                if (max < sizeof(struct disk_run))
                                        return -1;
                                max -= sizeof(struct disk_run);
                                first = w;
                                head = to;
                                to += sizeof(struct disk_run);
                        }
                        if (max < 8)
                                return -1;
                        max -= 8;
                        sh->word[w] = now;
                        any |= now;
                        __builtin_memcpy(to, &now, 8);
                        to += 8;
                        end = w + 1;
                }
        }
        if (first != end)
                close_run(head, first, end);
        *zeroes = !any;
        return (int)(to - (uint8_t *)delta);
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
