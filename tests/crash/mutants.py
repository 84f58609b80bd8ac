#!/usr/bin/env python3
"""mutants.py - would the tests notice? Each mutant is a bug of order, checksum, flush, freeing, capture or restart, seeded into a copy of one file of persist/; it must compile,
and the test that it is for must fail, or die. "crash/17" is known to be caught by the run with seed 17: that is tried first. -q leaves out those of LONG.
usage: mutants.py BUILD_DIR [-v] [-q] [NAME...]"""
import concurrent.futures
import glob
import os
import subprocess
import sys
import threading
import time

LIMIT_S = 300
CC = ["gcc", "-std=gnu17", "-O1", "-DPERSIST_HOSTED", "-I.", "-w"]
LIBS = ["-llz4", "-lxxhash", "-lpthread", "-lcmocka"]

# The tests: source, what it is compiled with beyond what all is compiled with, that, its arguments.
SMALL = ["-DSTORE_SMALL"]
TESTS = {
    "crash": ("tests/crash/crash_sim.c", [], SMALL, ["-n", "2500", "-c"]),
    "store": ("tests/unit/persist_store.c", [], [], []),
    "snapshot": ("tests/unit/persist_snapshot.c", ["-DCUTS=6u"], [], []),
    "space": ("tests/unit/persist_space.c", [], [], []),
    "section": ("tests/unit/persist_section.c", [], [], []),
}

# Take longer than `make check` has time for.
LONG = set()

# name, file (of persist/store), what stands there (once), what stands there instead; and the test, if it is not "crash"
STORE = [
    # order and flushes
    ("commit-unflushed", "commit.c", "if (!r && !s->chain_broken)\n                r = disk_flush(s);", ""),
    ("flush-before-record", "commit.c", "r = record_write(s, 0);\n        if (!r && !s->chain_broken)\n                r = disk_flush(s);",
     "r = disk_flush(s);\n        if (!r)\n                r = record_write(s, 0);"),
    ("super-unflushed-after", "super.c", "r = disk_write(s, super_place(s, slot), next, 1);\n        if (!r)\n                r = disk_flush(s);",
     "r = disk_write(s, super_place(s, slot), next, 1);"),
    ("checkpoint-unflushed", "super.c", "r = blocks_write(s, next);\n        if (!r)\n                r = disk_flush(s);", "r = blocks_write(s, next);"),
    ("flushed-through-too-new", "commit.c", "h->flushed_through = s->epoch;", "h->flushed_through = s->next_epoch;"),
    ("data-flushed-is-a-lie", "commit.c", "if (!r && !(flags & RECORD_PARTIAL) && s->ndata > BIG_COMMIT) {\n                r = disk_flush(s);",
     "if (!r && !(flags & RECORD_PARTIAL)) {\n                r = 0;"),
    ("data-left-unwritten", "commit.c", "int r = data_flush(s);\n\n        if (!r && !(flags", "int r = 0;\n\n        if (!r && !(flags"),
    # blocks that cannot be written, crumbs, damage
    ("bad-block-forgotten", "disk.c", "r = dead_add_old(s, *block + i, 0, 0, DEATH_BAD | DEATH_UNKEPT);", "r = 0;"),
    ("bad-record-unnoticed", "commit.c", "s->chain_broken = true;", ""),
    ("bad-record-in-one-super", "commit.c", "r = super_again(s);", ";"),
    ("packed-in-bad-record", "commit.c", "recent_find(s, entry_ppn(&e[i]))->block = other;", ";"),
    ("moved-page-forgotten", "commit.c", "recent_find(s, entry_ppn(e))->block = e->where;", ";"),
    ("crumbs-lose-entries", "commit.c", "s->nentries -= n;", "s->nentries = 0;", "store/records_in_crumbs"),
    ("crumbs-are-whole", "commit.c", "flags = RECORD_PARTIAL;\n        }", "}", "store/records_in_crumbs"),
    ("lost-node-is-empty", "map.c", "n->e[i].sum_birth = 1;", "n->e[i].sum_birth = 0;", "store"),
    ("lost-is-zero", "map.c", "return !r && map_lost(m) ? -EIO : r;", "return r;", "store"),
    ("damaged-node-stops", "map.c", "return r == -EIO && make ? node_replace(s, m, level, node) : r;", "return r;", "store"),
    ("dropped-leaf-unwritten", "map.c", "r = node_write(s, child, 0, s->epoch, &n->e[i]);", "r = 0;"),
    ("map-node-unchecked", "map.c", "if (!r && page_sum(n->e) != map_sum(&m)) {", "if (0) {", "store"),
    ("beyond-not-looked", "recover.c", "look_beyond(s, &c, h, &durable);", "", "store"),
    ("evidence-unsaid", "recover.c", "if (durable > s->epoch)\n                s->evidence = durable;", "", "store"),
    # the cleaner
    ("moved-block-leaks", "clean.c", "r = dead_add_old(s, map_block(&page->was), map_birth(&page->was), s->epoch, DEATH_BASE);", "r = 0;"),
    ("moves-unknown-to-replay", "recover.c", "else if (s->fell_back && !map_get(s, entry_ppn(e), &m))", "else if (0)", "store/moved_and_forgotten"),
    ("moved-base-unknown", "recover.c", "if (!known(s, e, p))", "if (!recent_find(s, entry_ppn(e)) || !known(s, e, p))", "store/moved_and_forgotten"),
    ("crumbs-first", "blocks.c", "uint32_t from = s->cursor % GROUP_BLOCKS, least = LONG_RUN, run;", "uint32_t from = s->cursor % GROUP_BLOCKS, least = 1, run;", "store/crumbs_are_cleaned"),
    # superblocks and lives
    ("super-over-the-newest", "super.c", "unsigned slot = !s->slot;", "unsigned slot = s->slot;"),
    ("life-in-one-super", "super.c", "s->life_begun = true;\n        return super_again(s);", "s->life_begun = true;\n        blocks_written(s, true);\n        return dead_settle_old(s);"),
    ("dropped-in-one-super", "super.c", "r = store_checkpoint(s);\n                return r ? r : super_again(s);", "r = store_checkpoint(s);\n                return r;"),
    ("life-epoch-forgotten", "super.c", "s->super.life_epoch = s->epoch;", ""),
    ("epochs-used-again", "recover.c", "s->next_epoch += EPOCH_SKIP;", "s->next_epoch = s->epoch + 1;"),
    ("map-epoch-stays", "super.c", "next->map_epoch = s->epoch;", ""),
    ("chain-not-moved", "super.c", "next->next_block = s->next_block;", ""),
    ("chain-sum-not-moved", "super.c", "next->prev_sum = s->prev_sum;", ""),
    # room
    ("bad-blocks-in-a-row", "blocks.c", "(s->cursor - s->first_data + (1ul << 2 * tries))", "(s->cursor - s->first_data)", "store/forgotten_bad_blocks"),
    ("room-without-packed", "super.c", "+ s->nrecent_packed + nodes", "+ nodes", "store/room_for_the_checkpoint"),
    ("room-without-nodes", "super.c", "nodes = s->ntouched + npages", "nodes = npages", "store/room_for_the_checkpoint"),
    ("memory-of-the-nodes", "map.c", "(nodes + MAP_LEVELS) * node_size(1)", "0", "store/memory_is_known"),
    ("settled-in-one-super", "super.c", "r = super_again(s);\n        for (", ";\n        for (", "snapshot/small_disk_is_used"),
    # checksums
    ("super-unchecked", "recover.c", "if (self_sum(b, &b->sum, sizeof(*b)) != b->sum) {", "if (0) {"),
    ("record-header-unchecked", "commit.c", "record_sum(h) != h->sum ||", ""),
    ("record-body-unchecked", "commit.c", "&& body_sum(s, h) == h->body_sum &&", "&&", "store/record_behind_its_header"),
    ("data-unchecked", "recover.c", "r = record_verify(s, h);", "r = 0;"),
    ("data-sum-unchecked", "recover.c", "if (!r && page_sum(s->run) != (e->sum & MAP_SUM_MASK))", "if (0)"),
    ("no-page-is-verified", "recover.c", "if (c.epoch >= durable) {", "if (0) {"),
    ("prev-sum-unchecked", "recover.c", "h->prev_sum != c->sum ||", "", "store"),
    ("prev-epoch-unchecked", "recover.c", "h->prev_epoch != c->epoch ||", "", "store"),
    ("incarnation-unchecked", "recover.c", ": h->incarnation != s->super.incarnation)", ": 0)", "store"),
    ("earlier-incarnation-unchecked", "recover.c", "? h->incarnation >= s->super.incarnation", "? 0", "store/records_of_two_machines"),
    ("life-sum-unchecked", "recover.c", "if (h->epoch == s->super.life_epoch && !(h->flags & RECORD_PARTIAL) && h->sum != s->super.life_sum)", "if (0)",
     "store/records_of_two_machines"),
    ("uuid-unchecked", "commit.c", "__builtin_memcmp(h->uuid, s->uuid, sizeof(h->uuid)))", "0)", "store"),
    ("extent-unbounded", "commit.c", "x->nblocks > s->end_data - x->block ||", "", "store"),
    ("schema-unchecked", "recover.c", "if (s->super.schema > SPACE_SCHEMA || s->super.schema < SPACE_SCHEMA_OLDEST) {", "if (0) {", "store"),
    ("version-unchecked", "recover.c", "if (b->version < STORE_OLDEST || b->version > STORE_VERSION) {", "if (0) {", "store"),
    ("version-stays", "recover.c", "s->super.version = STORE_VERSION;", "", "store/version_1"),
    ("end-missing-unnoticed", "recover.c", "if (!good[0] && b[0].nblocks > d->nblocks) {", "if (0) {", "store"),
    ("looking-writes", "recover.c", "if (!owner) {\n                s->failed = -EROFS;\n                return 0;", "if (0) {\n                return 0;", "store"),
    ("map-sum-of-child-lost", "map.c", "*m = map_entry(block, epoch, page_sum(n->e));", "*m = map_entry(block, epoch, page_sum(n->e) & ~1ul);"),
    # whose it is
    ("owner-unchecked", "disk.c", "a->owner != s->attempt.owner", "0", "store/two_machines"),
    ("lease-for-ever", "disk.c", "s->lease_ns = now + LEASE_NS;", "s->lease_ns = UINT64_MAX;", "store/two_machines"),
    ("lease-not-for-writes", "disk.c", "int r = lease(s);\n\n        return r ? r : s->disk->write(", "int r = 0;\n\n        return r ? r : s->disk->write(", "store/two_machines"),
    ("lease-not-for-flushes", "disk.c", "s->failed = -EIO;\n        return lease(s);", "s->failed = -EIO;\n        return s->failed;", "store/lease_ends_before_the_flush"),
    ("claim-does-not-wait", "disk.c", "(closed ? 0 : CLAIM_NS)", "0", "store/two_machines"),
    ("chain-went-on-unseen", "disk.c", "r = chain_goes_on(s);", "r = 0;", "store/two_machines_at_once"),
    ("super-changed-unseen", "disk.c", "changed |= block_sum(s->owner_block, STORE_BLOCK) != s->super_seen[i];", ";", "store/two_machines_at_once"),
    ("life-without-claim", "super.c", "int r = claim_settle(s);", "int r = 0;", "store/two_machines_at_once"),
    ("old-chain-believed", "disk.c", "if (s->disk->forget)", "if (0)", "store/two_machines_at_once"),
    ("left-and-written", "disk.c", "r = attempt_write(s);\n        s->failed = -EROFS;", "r = attempt_write(s);", "store/closed_in_order"),
    ("well-is-not-noted", "disk.c", "s->attempt.attempts = 0;\n        return attempt_write(s);", "return attempt_write(s);", "store/closed_in_order"),
    ("checkpoint-before-life", "super.c", "if (!r && s->epoch != s->super.map_epoch && !s->life_begun)\n                r = life_begin(s);", "", "store/checkpoint_begins_a_life"),
    ("life-behind-its-map", "super.c", "s->fell_back && s->epoch != next.map_epoch ? checkpoint(s) : super_write(s, &next);", "super_write(s, &next);", "store/moved_and_forgotten"),
    # discard
    ("discard-in-use", "blocks.c", "all = blocks_used(s, block) == 0;", ";"),
    ("discard-part-of-unit", "blocks.c", "all_free(s, at, unit);", "all_free(s, at, 1);"),
    # freeing
    ("young-left-early", "dead.c", "queue_at(&s->young, 0)->death <= s->last[0]", "queue_at(&s->young, 0)->death <= s->last[COMMITS_KEPT - 1] + 1"),
    ("one-super-asked", "dead.c", "for (unsigned i = 0; i < 2; i++) {\n                uint64_t e = s->slot_epoch[i];", "for (unsigned i = 0; i < 1; i++) {\n                uint64_t e = s->slot_epoch[i];"),
    ("no-super-asked", "dead.c", "if (slot_needs(s, &d))", "if (0)"),
    ("records-freed-at-once", "dead.c", "death_flags(d) & (DEATH_RECORD | DEATH_BASE) ? e < d->death :", "death_flags(d) & (DEATH_RECORD | DEATH_BASE) ? 0 :"),
    ("kept-not-asked", "dead.c", "if (k >= 0)\n                return push", "if (0)\n                return push"),
    ("death-off-by-one", "dead.c", "d->birth <= e && e < d->death)", "d->birth < e && e < d->death)"),
    ("drop-frees-shared", "dead.c", "if (older >= 0)", "if (0)"),
    ("old-block-not-dead", "commit.c", "if (!r && e->old_block && kind != ENTRY_DELTA)\n", "if (0)\n"),
    ("node-not-dead", "map.c", "if (!r && n->block)", "if (0)"),
    ("kept-table-not-dead", "dead.c", "r = queue_push(&s->meta, death_of(block, epoch, 0, DEATH_UNKEPT));\n                next->kept", "next->kept"),
    ("bitmap-in-place", "blocks.c", "home = home_free(e->written ? e->home : HOMES, u->older[i]);", "home = e->written ? e->home : 0;"),
    ("bitmap-over-the-older", "blocks.c", "home_free(e->written ? e->home : HOMES, u->older[i]);", "home_free(e->written ? e->home : HOMES, HOMES);"),
    # replay
    ("replay-takes-nothing", "recover.c", "p.block = e->where;\n                        r = blocks_take(s, p.block);", "p.block = e->where;"),
    ("replay-forgets-extents", "recover.c", "for (uint32_t i = 0; i < h->nextents && !r; i++)\n", "for (uint32_t i = 0; 0;)\n"),
    ("replay-next-block-free", "recover.c", "return r ? r : blocks_take(s, h->next_block);", "return r;"),
    ("partial-is-whole", "recover.c", "if (!(h->flags & RECORD_PARTIAL)) {", "if (1) {"),
    ("none-forgotten", "recover.c", "case ENTRY_NONE:\n                        p.sum = 0;\n                        break;", "case ENTRY_NONE:\n                        continue;"),
    ("packed-offset-forgotten", "recover.c", "p.offset = entry_offset(e);", ""),
    ("last-commits-forgotten", "recover.c", "s->last[i] = s->last[i + 1];", "s->last[i] = c.epoch;", "store/last_commits_outlive_a_boot"),
    ("last-commits-not-counted", "recover.c", "s->last[COMMITS_KEPT - 1] = s->epoch = c.epoch;", "s->epoch = c.epoch;"),
    ("number-of-super-forgotten", "super.c", "next->next_epoch = s->next_epoch;", ""),
    # deltas
    ("base-dies-by-the-delta", "commit.c", "if (!r && e->old_block && kind != ENTRY_DELTA)", "if (!r && e->old_block)"),
    ("base-dies-not", "super.c", "if (!r && p->delta && !p->length)", "if (0)"),
    ("base-not-for-replay", "super.c", "r = dead_add_old(s, p->block, p->birth, epoch, DEATH_BASE);", "r = dead_add_old(s, p->block, p->birth, epoch, 0);", "store/deltas_past_a_checkpoint"),
    ("base-not-for-replay-young", "super.c", "r = dead_add_old(s, p->block, p->birth, epoch, DEATH_BASE);", "r = dead_add_old(s, p->block, p->birth, epoch, DEATH_RECORD);", "store/deltas_and_kept_snapshots"),
    ("base-of-replay-stays", "recover.c", "r = dead_add(s, old.block, old.birth, epoch, 0);", ";", "store/deltas_past_a_checkpoint"),
    ("base-of-the-entry-alone", "recover.c", "if (r)\n                *old = *r;", "if (0)\n                *old = *r;"),
    ("base-out-of-bounds", "recover.c", "if (!p->block || p->block < s->first_data || p->block >= s->end_data)", "if (0)", "store/deltas_of_nothing"),
    ("base-unread", "delta.c", "if (sh->nknown < PAGE_WORDS) {", "if (0) {", "store/deltas"),
    ("base-over-the-delta", "delta.c", "if (!(sh->known[w / 64] >> w % 64 & 1))", "if (1)", "store/deltas"),
    ("base-damaged-stops", "super.c", "} else if (r == -EIO && p->delta && !s->failed) {", "} else if (0) {", "store/base_is_damaged"),
    ("base-for-the-page", "commit.c", "return at->delta ? delta_read(s, at, page) : base_read(s, at, page);", "return base_read(s, at, page);"),
    ("sum-of-the-base", "super.c", "p->delta ? page_sum(s->page) : p->sum", "p->sum"),
    ("same-as-the-base", "commit.c", "old.sum == new.sum && !old.delta && !differs", "old.sum == new.sum && !differs", "store/back_to_the_base"),
    ("differs-by-the-base", "commit.c", "if (!r && now.delta) {", "if (0) {", "store/deltas_and_kept_snapshots"),
    ("delta-not-replayed", "recover.c", "return delta_apply(s, p->ppn, s->body + entry_offset(e), entry_length(e));", "return delta_apply(s, p->ppn, s->body, 0);"),
    ("delta-unchecked", "commit.c", "!delta_valid(s->body + entry_offset(e), entry_length(e)))", "0)", "store/bad_deltas"),
    ("delta-outside-of-the-body", "commit.c", "entry_length(e) > h->nbody - entry_offset(e) ||", "", "store/bad_deltas"),
    ("delta-of-version-1", "commit.c", "if (h->version == 1 || entry_offset", "if (entry_offset", "store/version_1"),
    ("delta-offset-of-partial", "commit.c", "if (entry_kind(e) != ENTRY_PACKED && entry_kind(e) != ENTRY_DELTA)", "if (entry_kind(e) != ENTRY_PACKED)"),
    ("run-over-the-page", "delta.c", "run.nwords > PAGE_WORDS - run.first ||", "", "store/bad_deltas"),
    ("run-in-a-run", "delta.c", "run.first < end ||", "", "store/bad_deltas"),
    ("shadow-stays-behind", "delta.c", "__builtin_memcpy(sh->word + first, new + first, run.nwords * 8);", ";"),
    ("shadow-not-renewed", "delta.c", "__builtin_memcpy(sh->word, page, STORE_BLOCK);\n        sh->nknown", "sh->nknown"),
    ("shadow-not-made", "commit.c", "shadow_set(s, ppn, page, s->small);", ";", "store/deltas"),
    ("shadow-of-a-free-page", "commit.c", "(void)renewed(s, ppn);\n        shadow_drop(s, ppn);", "(void)renewed(s, ppn);", "store/no_deltas"),
    ("shadow-of-replay-stays", "recover.c", "shadow_drop(s, entry_ppn(e));", "", "store/no_deltas"),
    ("shadow-taken-away", "delta.c", "if (sh->pinned)\n", "if (0)\n"),
    ("shadow-not-pinned", "commit.c", "sh->pinned = true;", ""),
    ("shadow-pinned-for-ever", "super.c", "shadows_unpin(s);", "", "store/more_hot_pages_than_shadows"),
    ("zero-page-as-delta", "commit.c", "if (zeroes && is_zero(page))", "if (0)", "store/no_deltas"),
    ("room-without-deltas", "map.c", "s->nrecent_packed += r->length || r->delta;", "s->nrecent_packed += r->length != 0;", "store/deltas"),
    ("packed-offset-of-partial", "commit.c", "recent_find(s, entry_ppn(e))->offset = (uint32_t)e->where;", ";"),
]

# The space: file (of persist/); the test, and which of its functions alone.
SPACE = [
    ("copy-not-made", "capture.c", "__builtin_memcpy(c->data, space_page(ppn), PAGE_BYTES);\n                        bucket_add", "bucket_add", "snapshot/commits_while_running"),
    ("copy-not-noted", "capture.c", "__atomic_fetch_add(&ncopied, 1, __ATOMIC_RELAXED);\n                }\n                persist_host->page_captured(ppn);",
     "__atomic_fetch_add(&ncopied, 1, __ATOMIC_RELAXED);\n                }", "snapshot/time_travel"),
    ("free-by-the-new-record", "capture.c", "else if (!persist_host->page_is_dirty(where))\n", "else\n", "snapshot/freed_while_captured"),
    ("free-by-no-record", "capture.c", "        bool is_free = false;\n        struct copy *c;\n\n        if (ppn < DATA_PPN)", "        bool is_free = false;\n        struct copy *c;\n\n        return ppn >= DATA_PPN;\n        if (ppn < DATA_PPN)", "snapshot/commits_while_running"),
    ("pin-not-noted", "pin.c", "for (const struct space_pins *p = list; p; p = p->next)", "for (const struct space_pins *p = NULL; p; p = p->next)", "snapshot/pinned_page"),
    ("unpin-not-noted", "pin.c", "void space_unpin(struct space_pins *p)\n{\n        if (p->device_writes) {\n                for (unsigned i = 0; i < p->n; i++)\n                        page_note(p->ppn[i]);",
     "void space_unpin(struct space_pins *p)\n{\n        if (p->device_writes) {", "snapshot/pinned_page"),
    ("pinned-page-freed", "defer.c", "unlikely_(page_is_pinned(ppn))", "unlikely_(0)", "snapshot/pinned_page"),
    ("pinned-page-evicted", "snapshot.c", "pinned(ppn) || page_is_pinned(ppn)", "pinned(ppn)", "snapshot/pinned_page"),
    ("copies-outlive-the-set", "capture.c", "                        bucket_empty(word * 64 + (unsigned)__builtin_ctzl(bits));", "                        ;", "snapshot/commits_while_running"),
    ("bucket-not-noted", "capture.c", "__atomic_fetch_or(&filled[i / 64], 1ul << i % 64, __ATOMIC_RELAXED);", "", "snapshot/commits_while_running"),
    ("set-not-open", "snapshot.c", "capture_open = true;", "", "snapshot/commits_while_running"),
    ("epoch-not-raised", "snapshot.c", "freeze ? frozen_epoch + 1 : epoch + 1", "freeze ? frozen_epoch : epoch + 1", "snapshot/commits_while_running"),
    ("durable-too-early", "snapshot.c", "r = commit_pages();", "__atomic_store_n(&durable, frozen_epoch, __ATOMIC_RELEASE);\n        r = commit_pages();", "snapshot/failing_disk"),
    ("failure-forgotten", "snapshot.c", "__atomic_store_n(&failure, r == -ENOSPC ? -ENOSPC : -EIO, __ATOMIC_RELEASE);", "", "snapshot/failing_disk"),
    ("request-not-cleared", "snapshot.c", "__atomic_store_n(&requested, 0, __ATOMIC_SEQ_CST);", "", "snapshot/cadence"),
    ("commit-does-not-wait", "snapshot.c", "wait = store_wait_ns(space_store);", "wait = 0;", "snapshot/waits_for_the_one_before"),
    ("not-left", "snapshot.c", "r = store_leave(space_store);", "r = 0;", "snapshot/leaving"),
    ("due-forgotten", "snapshot.c", "due = now_ns() + wait_ns;", "due = 0;", "snapshot/cadence"),
    ("numbers-of-store-ignored", "snapshot.c", "frozen_epoch = store_next_epoch(space_store);", ";", "snapshot/time_travel"),
    ("clock-of-the-barrier", "snapshot.c", "persist_host->clock(&frozen_clock.mono_ns, &frozen_clock.real_ns);", "", "snapshot/commits_while_running"),
    ("resident-left", "snapshot.c", "if (is_resident(record(ppn)))", "if (0)", "snapshot/commits_while_running"),
    ("owned-slabs-left", "snapshot.c", "if (h->slab[t])", "if (0)", "snapshot/commits_while_running"),
    ("other-base-taken", "snapshot.c", "if (info.base != SPACE_START) {", "if (0) {", "snapshot/other_space"),
    ("lock-at-barrier", "snapshot.c", "must(!s || (!s->active && !s->nheld),", "must(1,", "section/barrier_looks_at_each_cpu"),
    ("owned-slab-evicted", "snapshot.c", "&& !((const struct slab *)space_page(ppn))->owner;", ";", "snapshot/what_may_go"),
    ("unsettled-when-full", "snapshot.c", "reclaim_settle();\n                reclaim_disk();", "reclaim_disk();", "snapshot/small_disk_is_used"),
    ("unreadable-page-taken", "pager.c", "if (r == -ENOENT)\n", "if (r)\n", "snapshot/damaged_page"),
    ("damage-forgotten", "pager.c", "damaged[ndamaged++] = (uint32_t)ppn;", ";", "snapshot/damaged_page"),
    ("absent-is-there", "pager.c", "if (persist_host->page_present(ppn))\n                return 0;\n        frame", "return 0;\n        frame", "snapshot/commits_while_running"),
    ("full-unnoticed", "reclaim.c", "full = !store_room(space_store, most, most);", "full = false;", "snapshot/full_disk"),
    ("dirty-unbounded", "reclaim.c", "persist_host->dirty_count() > reclaim_dirty_max(disk_blocks);", "false;", "snapshot/full_disk"),
    ("hand-stays", "reclaim.c", "                hand++;\n", "", "snapshot/larger_than_memory"),
    ("data-not-rolled-back", "rollback.c", "return e ? e : range(r, DATA_PPN, frontier);", "return e;", "snapshot/time_travel"),
    ("records-not-rolled-back", "rollback.c", "e = range(r, RECORD_PPN + DATA_PPN / RECORDS_PAGE, RECORD_PPN + records_end / RECORDS_PAGE);", ";", "snapshot/time_travel"),
    ("clock-not-rolled-back", "rollback.c", "{clock->mono_ns, clock->real_ns}", "{0, 0}", "snapshot/time_travel"),
    ("rollback-without-room", "rollback.c", "if (!e && !store_room(space_store, r->npages, 0))", "if (0)", "snapshot/rollback_without_room"),
    ("old-bytes-over-the-end", "old.c", "|| len > PAGE_BYTES - addr % PAGE_BYTES)", ")", "snapshot/time_travel"),
    ("old-type-unchecked", "old.c", "!b || b->type != type ||", "!b ||", "snapshot/time_travel"),
    ("old-object-anywhere", "old.c", "(offset - SLAB_FIRST) % ti->size ||", "", "snapshot/time_travel"),
    ("freed-page-clean", "page.c", "if (space_store)\n                        page_note(ppn);\n                return true;", "return true;", "snapshot/full_disk"),
    ("frame-not-ensured", "page.c", "if (frame_ensure(ppn))\n                        own_push", "if (1)\n                        own_push", "snapshot/commits_while_running"),
]


def compiled(path, obj, flags):
    """What the compiler says, if it is not content."""
    done = subprocess.run(CC + flags + ["-c", path, "-o", obj], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


class Test:
    """One of TESTS, built of objects that are compiled once."""

    engine = {}  # by flags: object of each source

    def __init__(self, out, name):
        source, flags, self.flags, _ = TESTS[name]
        self.dir = os.path.join(out, name)
        os.makedirs(self.dir, exist_ok=True)
        if tuple(self.flags) not in Test.engine:
            Test.engine[tuple(self.flags)] = {
                src: self.compile(src, src.replace("/", "_"), self.flags)
                for src in sorted(glob.glob("persist/*.c") + glob.glob("persist/store/*.c") + glob.glob("persist/host/*.c"))}
        self.objects = {**Test.engine[tuple(self.flags)], source: self.compile(source, "test", flags + self.flags)}
        self.plain = self.link("plain", self.objects.values())

    def compile(self, src, name, flags):
        obj = os.path.join(self.dir, name + ".o")
        error = compiled(src, obj, flags)
        if error:
            sys.exit(f"{src}: {error}")
        return obj

    def link(self, name, objects):
        prog = os.path.join(self.dir, name)
        subprocess.run(["gcc", "-o", prog, *objects, *LIBS], check=True)
        return prog

    def build(self, name, src, text):
        """(the program with the mutant, or why there is none)"""
        base = os.path.join(self.dir, name)
        with open(base + ".c", "w", encoding="utf-8") as f:
            f.write(text)
        error = compiled(base + ".c", base + ".o", self.flags)
        if error:
            return None, f"does not compile: {error}"
        return self.link(name, [o for s, o in self.objects.items() if s != src] + [base + ".o"]), ""


def failure(prog, arguments):
    """Why the program failed; "" if it did not, or did not end: on a busy machine that says nothing."""
    try:
        done = subprocess.run([prog] + arguments, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return ""
    if not done.returncode:
        return ""
    lines = [line for line in (done.stdout + done.stderr).strip().split("\n") if "FAILED" in line or "rror" in line or "panic" in line]
    return (lines or [f"ended with {done.returncode}"])[0]


def place(mutant):
    """The test that a mutant is for, and what of it catches it; "": not known."""
    test, _, where = (mutant[5] if len(mutant) > 5 else "crash").partition("/")
    return test, where


def attempts(test, where):
    """Arguments to try in order: what is known to catch it, then all of the test."""
    everything = TESTS[test][3]
    if not where:
        return [everything]
    return [["-n", "1", "-s", where], everything] if test == "crash" else [[where]]


def main():
    args = sys.argv[1:]
    verbose = "-v" in args
    quick = "-q" in args
    out, names = args[0], [a for a in args[1:] if a[0] != "-"]
    mutants = [("persist/store/" + m[1], *m) for m in STORE] + [("persist/" + m[1], *m) for m in SPACE]
    mutants = [m for m in mutants if (not names or m[1] in names) and not (quick and m[1] in LONG)]
    places = sorted({place(m) for m in mutants})
    tests = {name: Test(out, name) for name in sorted({test for test, _ in places})}

    def without(where):
        """Why the test fails as it is: then it says nothing of mutants."""
        return failure(tests[where[0]].plain, attempts(*where)[0])

    def one(mutant):
        """Was it caught?"""
        src, name, _, old, new = mutant[:5]
        test, where = place(mutant)
        with open(src, encoding="utf-8") as f:
            text = f.read()
        if text.count(old) != 1:
            print(f"mutant {name}: {src} has its place {text.count(old)} times", flush=True)
            return False
        begin = time.monotonic()
        prog, error = tests[test].build(name, src, text.replace(old, new))
        why = next(filter(None, (failure(prog, a) for a in attempts(test, where))), "") if prog else ""
        if prog:
            os.remove(prog)
        if not why:
            print(f"mutant {name} {error or 'was not caught by ' + test}", flush=True)
        elif verbose:
            print(f"{name}: {time.monotonic() - begin:.1f} s, {why[:140]}", flush=True)
        return bool(why)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for where, why in zip(places, pool.map(without, places)):
            if why:
                sys.exit(f"{'/'.join(where)} fails without a mutant: {why}")
        caught = sum(pool.map(one, mutants))
    print(f"mutants: caught {caught} of {len(mutants)}")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
