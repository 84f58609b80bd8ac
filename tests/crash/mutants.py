#!/usr/bin/env python3
"""mutants.py - would the crash simulation notice? Each mutant is a bug of order, checksum, flush, freeing or restart, seeded into a copy of one file
of persist/store; it must compile, and crash_sim must fail on it (or hang, or die). usage: mutants.py BUILD_DIR [-v] [NAME...]"""
import glob
import os
import subprocess
import sys

STORE = "persist/store/"
STATES = "2500"
LIMIT_S = 120
CC = ["gcc", "-std=gnu17", "-O1", "-DPERSIST_HOSTED", "-DSTORE_SMALL", "-I.", "-w"]

# name, file, what stands there (once), what stands there instead
MUTANTS = [
    # order and flushes
    ("commit-unflushed", "commit.c", "r = record_write(s, 0);\n        if (!r)\n                r = disk_flush(s);", "r = record_write(s, 0);"),
    ("flush-before-record", "commit.c", "r = record_write(s, 0);\n        if (!r)\n                r = disk_flush(s);",
     "r = disk_flush(s);\n        if (!r)\n                r = record_write(s, 0);"),
    ("super-unflushed-after", "super.c", "r = disk_write(s, super_place(s, slot), next, 1);\n        if (!r)\n                r = disk_flush(s);",
     "r = disk_write(s, super_place(s, slot), next, 1);"),
    ("checkpoint-unflushed", "super.c", "r = blocks_write(s, next);\n        if (!r)\n                r = disk_flush(s);", "r = blocks_write(s, next);"),
    ("flushed-through-too-new", "commit.c", ".flushed_through = s->epoch,", ".flushed_through = epoch,"),
    ("data-flushed-is-a-lie", "commit.c", "if (!(flags & RECORD_PARTIAL) && s->ndata > BIG_COMMIT) {\n                r = disk_flush(s);",
     "if (!(flags & RECORD_PARTIAL)) {\n                r = 0;"),
    ("data-left-unwritten", "commit.c", "int r = data_flush(s);\n\n        if (r)\n                return r;\n        if (!(flags", "int r = 0;\n\n        if (r)\n                return r;\n        if (!(flags"),
    # superblocks and lives
    ("super-over-the-newest", "super.c", "unsigned slot = !s->slot;", "unsigned slot = s->slot;"),
    ("super-sequence-stays", "super.c", "next->sequence = s->super.sequence + 1;", "next->sequence = s->super.sequence;"),
    ("older-super-taken", "recover.c", "b[1].sequence > b[0].sequence", "b[1].sequence < b[0].sequence"),
    ("life-epoch-forgotten", "super.c", "next.life_epoch = s->epoch;", ""),
    ("epochs-used-again", "recover.c", "s->next_epoch += EPOCH_SKIP;", "s->next_epoch = s->epoch + 1;"),
    ("map-epoch-stays", "super.c", "next->map_epoch = s->epoch;", ""),
    ("chain-not-moved", "super.c", "next->next_block = s->next_block;", ""),
    ("chain-sum-not-moved", "super.c", "next->prev_sum = s->prev_sum;", ""),
    # checksums
    ("super-unchecked", "recover.c", "self_sum(b, &b->sum, sizeof(*b)) != b->sum ||", ""),
    ("record-header-unchecked", "commit.c", "self_sum(h, &h->sum, sizeof(*h)) != h->sum ||", ""),
    ("record-body-unchecked", "commit.c", "&& block_sum(s->body, h->nbody) == h->body_sum ?", "?"),
    ("data-unchecked", "recover.c", "r = record_verify(s, h);", "r = 0;"),
    ("data-sum-unchecked", "recover.c", "if (!r && page_sum(s->run) != (e->sum & MAP_SUM_MASK))", "if (0)"),
    ("no-page-is-verified", "recover.c", "if (c.epoch >= durable) {", "if (0) {"),
    ("prev-sum-unchecked", "recover.c", "h->prev_sum != c->sum ||", ""),
    ("map-sum-of-child-lost", "map.c", "*m = map_entry(block, epoch, page_sum(n->e));", "*m = map_entry(block, epoch, page_sum(n->e) & ~1ul);"),
    # freeing
    ("young-left-early", "dead.c", "queue_at(&s->young, 0)->death <= s->last[0]", "queue_at(&s->young, 0)->death <= s->last[COMMITS_KEPT - 1] + 1"),
    ("one-super-asked", "dead.c", "for (unsigned i = 0; i < 2; i++) {\n                uint64_t e = s->slot_epoch[i];", "for (unsigned i = 0; i < 1; i++) {\n                uint64_t e = s->slot_epoch[i];"),
    ("no-super-asked", "dead.c", "if (slot_needs(s, &d))", "if (0)"),
    ("records-freed-at-once", "dead.c", "death_flags(d) & DEATH_RECORD ? e < d->death :", ""),
    ("kept-not-asked", "dead.c", "if (k >= 0)\n                return push", "if (0)\n                return push"),
    ("death-off-by-one", "dead.c", "d->birth <= e && e < d->death)", "d->birth < e && e < d->death)"),
    ("drop-frees-shared", "dead.c", "if (older >= 0)", "if (0)"),
    ("old-block-not-dead", "commit.c", "if (!r && e->old_block)\n", "if (0)\n"),
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
    ("packed-offset-forgotten", "recover.c", "p.offset = (uint32_t)e->where;", ""),
    ("last-commits-forgotten", "recover.c", "s->last[i] = s->super.last[i];", ""),
]


def build(out, path, obj):
    return subprocess.run(CC + ["-c", path, "-o", obj], capture_output=True, text=True)


def main():
    args = sys.argv[1:]
    verbose = "-v" in args
    out, names = args[0], [a for a in args[1:] if a != "-v"]
    os.makedirs(out, exist_ok=True)
    objs = {}
    for src in ["tests/crash/crash_sim.c"] + glob.glob("persist/*.c") + glob.glob("persist/store/*.c") + glob.glob("persist/host/*.c"):
        objs[src] = os.path.join(out, src.replace("/", "_") + ".o")
        r = build(out, src, objs[src])
        if r.returncode:
            sys.exit(f"{src}: {r.stderr}")
    caught = tried = 0
    for name, file, old, new in MUTANTS:
        if names and name not in names:
            continue
        tried += 1
        src = STORE + file
        text = open(src).read()
        if text.count(old) != 1:
            print(f"mutant {name}: {src} has its place {text.count(old)} times", flush=True)
            continue
        copy, obj, prog = (os.path.join(out, "mutant" + e) for e in (".c", ".o", ""))
        open(copy, "w").write(text.replace(old, new))
        r = build(out, copy, obj)
        if not r.returncode:
            r = subprocess.run(["gcc", "-o", prog] + [o for s, o in objs.items() if s != src] + [obj, "-llz4", "-lxxhash", "-lpthread"], capture_output=True, text=True)
        if r.returncode:
            print(f"mutant {name} does not compile: {r.stderr}", flush=True)
            continue
        try:
            r = subprocess.run([prog, "-n", STATES, "-c"], capture_output=True, text=True, timeout=LIMIT_S)
            why = "" if not r.returncode else r.stdout.strip().split("\n")[-1] or f"ended with {r.returncode}"
        except subprocess.TimeoutExpired:
            why = ""
        caught += bool(why)
        if not why:
            print(f"mutant {name} was not caught", flush=True)
        elif verbose:
            print(f"{name}: {why[:110]}", flush=True)
    print(f"mutants: caught {caught} of {tried}")
    return 0 if caught == tried else 1


if __name__ == "__main__":
    sys.exit(main())
