"""mutants_list.py - holes in what looks at class files, in the compiler, the interpreter and the collection, for tests/tools/mutants.py. "random/17" is known to be caught by the programs of seed 17."""
import os

from mutants import Suite

ENGINE = [*os.environ["PVM_MACHINE_SRCS"].split(), "tests/pvm/asm.c", "tests/pvm/program.c"]
FLAGS = ["-DPERSIST_HOSTED", "-fno-strict-aliasing", "-ffp-contract=off"]
LIBS = ["-llz4", "-lxxhash", "-lpthread", "-lcmocka"]


def suite(source, everything=(), seed=None):
    return Suite("tests/unit/" + source, ENGINE, FLAGS, LIBS, [], everything, seed)


TESTS = {
    "machine": suite("pvm_machine.c"),
    "programs": suite("pvm_machine.c", ["test_programs"], ["test_programs", "PVM_PROGRAMS=tests/pvm/programs/{}.asm"]),
    "random": suite("pvm_random.c", ["PVM_RANDOM=1200"], ["PVM_RANDOM=6", "PVM_RANDOM_SEED={}"]),
    "fuzz": suite("pvm_fuzz.c", ["PVM_FUZZ_FILES=20000"], ["PVM_FUZZ_FILES=1", "PVM_FUZZ_SEED={}"]),
    "heap": suite("pvm_heap.c"),
    "image": suite("pvm_image.c"),
}
TEST = "random"

# name, file (of pvm), what stands there (once), what stands there instead; the test
FILE = [
    ("magic-unchecked", "file.c", "size < sizeof(*h) || h->magic != PVM_MAGIC", "size < sizeof(*h)"),
    ("cut-in-the-header", "file.c", "size < sizeof(*h) || h->magic", "h->magic"),
    ("size-unchecked", "file.c", "h->size != size || size > PVM_MAX_FILE", "0"),
    ("class-flags-unknown", "file.c", "h->flags & ~PVM_CLASS_FLAGS || h->zero ||", ""),
    ("final-and-abstract", "file.c", "(h->flags & PVM_CLASS_FINAL && h->flags & (PVM_CLASS_INTERFACE | PVM_CLASS_ABSTRACT))", "0"),
    ("members-unbounded", "file.c", "h->nfields > PVM_MAX_MEMBERS || h->nmethods > PVM_MAX_MEMBERS", "h->nfields > PVM_MAX_MEMBERS"),
    ("table-not-aligned", "file.c", "if (offset % align)", "if (0)"),
    ("table-begins-outside", "file.c", "offset > size || count * each > size - offset", "count * each > size - offset"),
    ("table-ends-outside", "file.c", "offset > size || count * each > size - offset", "offset > size"),
    ("pool-ends-outside", "file.c", 'if (!range(c, "pool", h->pool, h->npool, sizeof(struct pvm_file_pool), 8))', "if (0)"),
    ("text-outside", "file.c", 'e->c > PVM_MAX_FILE || !range(c, "text", e->b, e->c, 1, 1)', "0"),
    ("texts-overlap", "file.c", "if (text > c->f->size)", "if (0)"),
    ("text-no-utf8", "file.c", "e->tag == PVM_POOL_UTF8 && !pvm_utf8_ok(", "0 && !pvm_utf8_ok("),
    ("utf8-not-continued", "file.c", "if ((*p & 0xc0) != 0x80)", "if (0)"),
    ("string-of-no-text", "file.c", "if (!is(c, e->a, PVM_POOL_UTF8) || e->b || e->c)", "if (e->b || e->c)"),
    ("int-too-wide", "file.c", "|| (int64_t)e->c != (int32_t)e->c)", ")"),
    ("class-without-a-name", "file.c", "!is(c, e->a, PVM_POOL_UTF8) || !pvm_class_name_ok(", "!pvm_class_name_ok("),
    ("class-name-without-dot", "file.c", "name.len > PVM_MAX_NAME || name.p[0] != '.' ||", "name.len > PVM_MAX_NAME ||"),
    ("class-name-with-two-dots", "file.c", "(i && name.p[i] == '.' && name.p[i - 1] == '.')", "0"),
    ("field-of-no-class", "file.c", "!is(c, e->a, PVM_POOL_CLASS) || !name_ok(c, name) || !type_ok(c, type)", "!name_ok(c, name) || !type_ok(c, type)"),
    ("field-of-no-type", "file.c", "!name_ok(c, name) || !type_ok(c, type)", "!name_ok(c, name)"),
    ("method-of-no-type", "file.c", "!name_ok(c, name) || !method_type_ok(c, type)", "!name_ok(c, name)"),
    ("class-is-no-class", "file.c", "!is(c, h->this_class, PVM_POOL_CLASS) ||", ""),
    ("parent-is-no-class", "file.c", "(h->parent && !is(c, h->parent, PVM_POOL_CLASS))", "0"),
    ("interface-is-no-class", "file.c", "if (!is(c, f->interfaces[i], PVM_POOL_CLASS))", "if (0)"),
    ("interface-has-a-parent", "file.c", "if (h->flags & PVM_CLASS_INTERFACE && h->parent)", "if (0)"),
    ("interface-has-fields", "file.c", "if (c->f->h->flags & PVM_CLASS_INTERFACE && !(d->flags & PVM_STATIC))", "if (0)"),
    ("interface-has-bodies", "file.c", "if (interface && !(m->flags & (PVM_STATIC | PVM_ABSTRACT)))", "if (0)"),
    ("method-is-public-and-private", "file.c", "(m->flags & PVM_PUBLIC && m->flags & PVM_PRIVATE) ||", ""),
    ("private-with-an-ordinal", "file.c", "if (m->ordinal != PVM_NO_ORDINAL && m->flags & (PVM_STATIC | PVM_PRIVATE))", "if (0)"),
    ("constructor-is-static", "file.c", "? m->flags & (PVM_STATIC | PVM_ABSTRACT) || interface", "? interface"),
    ("static-is-not-static", "file.c", '|| !text_is(desc, "()v") || !(m->flags & PVM_STATIC)', '|| !text_is(desc, "()v")'),
    ("abstract-with-code", "file.c", "if (m->nregs || m->ncode || m->nhandlers || m->nlines)", "if (0)"),
    ("abstract-in-a-whole-class", "file.c", "if (!interface && !(c->f->h->flags & PVM_CLASS_ABSTRACT))", "if (0)"),
    ("code-outside", "file.c", 'range(c, "code", m->code, m->ncode, 4, 4) &&', ""),
    ("handlers-outside", "file.c", 'range(c, "handlers", m->handlers, m->nhandlers, sizeof(struct pvm_file_handler), 4) &&', ""),
    ("instruction-cut-off", "file.c", "return words <= left ? (uint32_t)words : 0;", "return (uint32_t)words;"),
    ("table-cut-off", "file.c", "4 + (uint64_t)code[pc + 2];", "4 + (code[pc + 2] & 0xffff);"),
]
VERIFY = [
    ("register-unbounded", "verify.c", "if (r >= c->m->nregs)", "if (0)"),
    ("register-off-by-one", "verify.c", "if (r >= c->m->nregs)", "if (r > c->m->nregs)"),
    ("register-of-any-type", "verify.c", "if (type != '*' && c->types[r] != type)", "if (0)"),
    ("unused-bits", "verify.c", 'return byte == 0 || bad(c, "unused bits are not zero");', "return true;"),
    ("branch-into-an-instruction", "verify.c", "return pc < c->n && starts[pc / 64] >> pc % 64 & 1;", "return pc < c->n;"),
    ("branch-behind-the-end", "verify.c", "return pc < c->n && starts", "return starts"),
    ("pool-tag-unchecked", "verify.c", "|| c->f->pool[index].tag != tag)", ")"),
    ("pool-unbounded", "verify.c", "if (!index || index >= c->f->h->npool || c->f", "if (!index || c->f"),
    ("text-for-a-type", "verify.c", "return (*machine && p == t.p + t.len) ||", "return true ||"),
    ("constant-of-another-type", "verify.c", 'return t ? reg(c, a, t) : bad(', 'return t ? reg(c, a, \'*\') : bad('),
    ("constant-unbounded", "verify.c", "k && k < c->f->h->npool ? type[", "k ? type["),
    ("field-of-another-type", "verify.c", "return reg(c, a, pvm_type_next(&p, t.p + t.len));", "return reg(c, a, '*');"),
    ("field-of-a-number", "verify.c", "return reg(c, b, 'R') && is_field(c, a, k);", "return is_field(c, a, k);"),
    ("field-static-of-another-type", "verify.c", "return is_field(c, a, word >> 16);", "return entry(c, word >> 16, PVM_POOL_FIELD);"),
    ("new-into-a-number", "verify.c", "entry(c, word >> 16, PVM_POOL_CLASS) && reg(c, a, 'R')", "entry(c, word >> 16, PVM_POOL_CLASS)"),
    ("argument-of-another-type", "verify.c", "types ? types[i] : '*'", "'*'"),
    ("last-argument-unchecked", "verify.c", "if (i >= n ? r != 0 : !reg(", "if (i >= n ? r != 0 : i + 1 < n && !reg("),
    ("too-few-arguments", "verify.c", "if (n != nparams + receiver)", "if (n > nparams + receiver)"),
    ("too-many-for-a-closure", "verify.c", "(n <= nparams || bad(", "(1 || bad("),
    ("result-of-another-type", "verify.c", "return reg(c, a, result) && arguments", "return arguments"),
    ("initializer-is-called", "verify.c", "if (name.p[0] == '.' && !(name_is", "if (0 && !(name_is"),
    ("untyped-without-receiver", "verify.c", "if (n < 1u + (op == PVM_CALLD))", "if (n < 1u)"),
    ("untyped-of-numbers", "verify.c", "        return reg(c, a, 'R') && arguments(c, 2, n, types);\n}", "        return reg(c, a, 'R') && arguments(c, 2, n, NULL);\n}"),
    ("table-is-empty", "verify.c", "if (!w[2])", "if (0)"),
    ("table-beyond-the-ints", "verify.c", "if ((int64_t)(int32_t)w[1] + w[2] - 1 > INT32_MAX)", "if (0)"),
    ("default-anywhere", "verify.c", "if (!target(c, (int32_t)w[3]))", "if (0)"),
    ("case-anywhere", "verify.c", "if (!target(c, (int32_t)w[4 + i]))", "if (0)"),
    ("keys-unordered", "verify.c", "(int32_t)w[3 + 2 * i] <= (int32_t)w[1 + 2 * i]", "0"),
    ("moved-to-another-type", "verify.c", "return c->types[a] == c->types[b] ||", "return 1 ||"),
    ("unboxed-to-a-reference", "verify.c", "return c->types[a] != 'R' ||", "return 1 ||"),
    ("divided-by-0", "verify.c", "return cc || bad(", "return 1 || bad("),
    ("another-result-returned", "verify.c", "return reg(c, a, c->result);", "return true;"),
    ("end-is-reached", "verify.c", "if (!ends(last))", "if (0)"),
    ("handler-is-empty", "verify.c", "|| h[i].start >= h[i].end)", ")"),
    ("handler-target-anywhere", "verify.c", "|| !is_start(c, h[i].target) ||", "||"),
    ("handler-ends-outside", "verify.c", "(h[i].end != c->n && !is_start(c, h[i].end)) ||", ""),
    ("handler-register-unchecked", "verify.c", "!reg(c, h[i].reg, 'R') ||", ""),
    ("lines-unordered", "verify.c", "|| (i && l[i].pc <= l[i - 1].pc))", ")"),
    ("register-type-unknown", "verify.c", """if (!c->types[i] || !strchr("ILFDR", c->types[i]))""", "if (0)"),
    ("more-arguments-than-registers", "verify.c", "n + first > c->m->nregs || (first", "(first"),
    ("arguments-of-other-types", "verify.c", "|| memcmp(types, c->types + first, n))", ")"),
    ("receiver-is-a-number", "verify.c", "(first && c->types[0] != 'R') ||", ""),
]

COMPILER = [
    # conditions, widths, numbers
    ("set-less-is-less-or-equal", "jit/compile.c", "{CC_E, CC_NE, CC_L, CC_LE};\n\n                compare(c, i->b, i->c);", "{CC_E, CC_NE, CC_LE, CC_LE};\n\n                compare(c, i->b, i->c);", "random/3"),
    ("set-equal-of-nan", "jit/compile.c", "x_rr(&c->x, which ? 0x0a : 0x22, false, RAX, RCX);", "", "random/22"),
    ("jump-equal-of-nan", "jit/compile.c", "over = x_jcc(&c->x, CC_P);", "over = x_jcc(&c->x, CC_NO);", "random/40"),
    ("jump-not-less-of-equal", "jit/compile.c", "op == PVM_JNLT_D ? CC_BE : CC_B, i->to);", "op == PVM_JNLT_D ? CC_B : CC_B, i->to);", "random/29"),
    ("nan-to-int", "jit/compile.c", "x_imm(&c->x, RAX, 0);\n                x_land(&c->x, end[0], c->x.n);", "x_land(&c->x, end[0], c->x.n);", "random/16"),
    ("large-to-smallest", "jit/compile.c", "below = x_jcc(&c->x, CC_B);", "below = x_jcc(&c->x, CC_A);", "random/36"),
    ("long-as-large-as-int", "jit/compile.c", "k.wide ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX", "(uint64_t)INT32_MAX", "programs/arithmetic-1"),
    ("saturation-unnoticed", "jit/compile.c", "x_ri(&c->x, 7, false, RAX, INT32_MIN);", "x_ri(&c->x, 7, false, RAX, INT32_MAX);", "random/16"),
    ("smallest-by-minus-one", "jit/compile.c", "minus = x_jcc(&c->x, CC_E);", "minus = x_jcc(&c->x, CC_O);", "programs/arithmetic-1"),
    ("rest-of-minus-one", "jit/compile.c", "x_imm(&c->x, RDX, 0);\n        x_land(&c->x, end, c->x.n);", "x_land(&c->x, end, c->x.n);", "random/4"),
    ("zero-divides", "jit/compile.c", "x_rr(&c->x, X_TEST, wide, RCX, RCX);\n        leave_if(c, CC_E);", "", "random/2"),
    ("quotient-rounds-down", "jit/compile.c", "x_rr(&c->x, X_ADD, false, RCX, RDX);", "", "random/4"),
    ("shift-of-long-by-int", "jit/compile.c", "x_rr(&c->x, 0xd3, wide, group, RAX);", "x_rr(&c->x, 0xd3, false, group, RAX);", "random/16"),
    ("shift-keeps-the-sign", "jit/compile.c", "{4, 7, 5}", "{4, 7, 7}", "random/16"),
    ("int-to-double-as-long", "jit/compile.c", "op == PVM_L2F || op == PVM_L2D, v,", "true, v,", "random/10"),
    ("difference-turned-round", "jit/compile.c", "                } else {\n                        a = RAX;\n                }", "                }", "random/5"),
    ("quotient-turned-round", "jit/compile.c", "                } else {\n                        a = X0;\n                }", "                }", "random/5"),
    ("minus-of-float-as-double", "jit/compile.c", "wide ? 1ul << 63 : 1ul << 31", "1ul << 63", "random/1"),
    ("switch-by-halves", "jit/compile.c", "less = x_jcc(&c->x, CC_L);", "less = x_jcc(&c->x, CC_LE);", "random/8"),
    # the encoding
    ("r13-needs-a-distance", "jit/x86.h", "(base & 7) != RBP;", "base != RBP;", "random/84"),
    ("r12-needs-a-byte-more", "jit/x86.h", "if ((base & 7) == RSP)", "if (base == RSP)", "random/1"),
    ("index-without-its-bit", "jit/x86.h", "| index >> 3 << 1 |", "|", "random/1"),
    # what is in registers, and what in the frame
    ("dirty-over-jumps", "jit/compile.c", "changed |= join(c, set_of(c, c->dirty, successor(c, i, s)), now);", ";", "random/1"),
    ("dirty-falls-through", "jit/compile.c", "changed |= join(c, set_of(c, c->dirty, k + 1), now);", ";", "random/1"),
    ("exit-unspilled", "jit/compile.c", "if (!k.pop)\n                        spill(c, dirty, live);", "", "random/1"),
    ("call-unspilled", "jit/compile.c", "spill(c, set_of(c, c->dirty, c->now), set_of(c, c->live, c->now));\n        enter(", "enter(", "random/4"),
    ("other-class-unspilled", "jit/compile.c", "arguments(i, args);\n                spill(c, dirty, live);", "arguments(i, args);", "random/4"),
    ("step-unspilled", "jit/compile.c", "spill(c, dirty, set_of(c, c->live, ins));\n        keep", "keep", "random/1"),
    ("step-not-reloaded", "jit/compile.c", "reload(c, set_of(c, c->live, ins + 1), NONE, false);", "", "random/1"),
    ("entry-not-loaded", "jit/compile.c", "reload(c, set_of(c, c->live, ins), NONE, true);\n        emit_tests", "emit_tests", "random/1"),
    ("r11-outlives-c", "jit/compile.c", "return reg == RBP || reg >= R12;", "return reg == RBP || reg >= R11;", "random/2"),
    ("reference-not-in-the-frame", "jit/compile.c", "if (c->home[v] < 0 || (c->type[v] == 'R' && c->slot[v] != NOWHERE))", "if (c->home[v] < 0)", "random/1"),
    ("references-not-null", "jit/compile.c", "if (c->type[v] != 'R' && !has(c->live, v))", "if (!has(c->live, v))", "random/2"),
    ("ranges-may-touch", "jit/compile.c", "range[r].from <= range[best].to &&", "range[r].from < range[best].to &&", "random/1"),
    ("handlers-want-nothing", "jit/compile.c", "if (i->pc < h[j].start || i->pc >= h[j].end)", "if (1)", "random/1"),
    ("handler-ends-early", "jit/compile.c", "i->pc >= h[j].end)\n                                        continue;", "i->pc + 1 >= h[j].end)\n                                        continue;", "random/18"),
    ("unwanted-division", "jit/compile.c", "        if (i->op >= PVM_DIV_I && i->op <= PVM_REM_I)\n                return false;\n", "", "random/4"),
    # splits
    ("split-over-a-way-in", "jit/compile.c", "if (i->target || jumps_on(i - 1))\n                        return false;", "", "random/1"),
    ("split-of-an-argument", "jit/compile.c", "                if (named)\n                        return false;\n", "", "random/2"),
    ("split-wanted-by-a-handler", "jit/compile.c", "c->type[r] == 'R' || has(caught, r) ||", "c->type[r] == 'R' ||", "random/2"),
    # what is known
    ("facts-at-a-way-in", "jit/compile.c", "if (is_entry(c, n))\n                        forget_facts(c, n);", "if (n == 0)\n                        forget_facts(c, n);", "random/5"),
    ("nothing-is-null", "jit/compile.c", "if (!c->fact[v].there && !(v == 0 && c->self)) {", "if (0) {", "random/1"),
    ("receiver-of-any-class", "jit/compile.c", "return v == 0 && c->self && class_is(c->m->class, f->class);", "return v == 0 && c->self;", "random/2"),
    ("field-of-any-class", "jit/compile.c", "if (!is_self(c, i->b, f) && !(fact", "if (0 && !(fact", "random/2"),
    ("guard-of-any-class", "jit/compile.c", "if (c->fact[i->b].class != i->to) {", "if (0) {", "random/10"),
    ("box-of-any-class", "jit/compile.c", "if (c->fact[i->b].class != box_class(t)) {", "if (0) {", "random/6"),
    ("immutable-field", "jit/compile.c", "if (put && !fact->writable) {", "if (0) {", "programs/immutable-1"),
    ("immutable-array", "jit/compile.c", "put ? (int32_t)(OBJ_ARRAY | OBJ_IMMUTABLE) : (int32_t)OBJ_ARRAY", "(int32_t)OBJ_ARRAY", "programs/immutable-1"),
    ("array-of-any-kind", "jit/compile.c", "x_ri(&c->x, 7, false, RDX, (int32_t)ARRAY_BITS(kind));", "x_rr(&c->x, X_CMP, false, RDX, RDX);", "random/2"),
    ("index-off-by-one", "jit/compile.c", "beyond = step_if(c, CC_AE);", "beyond = step_if(c, CC_A);", "random/3"),
    ("room-off-by-one", "jit/compile.c", "full = x_jcc(&c->x, CC_AE);", "full = x_jcc(&c->x, CC_A);", "random/3"),
    ("block-is-full-unnoticed", "jit/compile.c", "(int32_t)size);\n        x_rm(&c->x, X_CMP, true, RCX, R15, JIT_WORKER(end));\n        step = step_if(c, CC_A);", "(int32_t)size);\n        x_rm(&c->x, X_CMP, true, RCX, R15, JIT_WORKER(end));\n        step = step_if(c, CC_O);", "random/1"),
    ("stack-is-full-unnoticed", "jit/compile.c", "k->from[k->nfrom++] = x_jcc(&c->x, CC_A);\n        /* From here", "k->from[k->nfrom++] = x_jcc(&c->x, CC_O);\n        /* From here", "programs/young-1"),
    ("frame-wants-more", "jit/compile.c", "leave_if(c, CC_NE);\n        c->cold[c->ncold - 1].kind = COLD_LEAVE; /* no guess: the", "leave_if(c, CC_O);\n        c->cold[c->ncold - 1].kind = COLD_LEAVE; /* no guess: the", "random/6"),
    # cards
    ("card-of-a-field", "jit/compile.c", "if (c->type[i->a] == 'R' && !fact->young) {", "if (0) {", "random/1"),
    ("card-of-a-static", "jit/compile.c", "if (t == 'R')\n                        mark_card(c, RCX);\n                return;", "return;", "random/1"),
    ("card-of-an-element", "jit/compile.c", "if (t == 'R')\n                        mark_element(c, from, at);\n        } else {", "} else {", "programs/young-1"),
    ("card-of-an-appended", "jit/compile.c", "if (c->type[i->a] == 'R')\n                mark_element(c, from, at);", "", "random/14"),
    # loops
    ("invariant-not-tested", "jit/compile.c", "outside ? l->tests : c->label[c->jumps[n].ins]", "c->label[c->jumps[n].ins]", "random/1"),
    ("fallen-into-untested", "jit/compile.c", "if (l && !(has(l->body, n - 1) && !jumps_on(&c->ins[n - 1]))) {", "if (l && (l->tests = c->x.n, 0)) {", "random/1"),
    ("entry-untested", "jit/compile.c", "emit_tests(c, NULL, ins);", "", "random/1"),
    ("hoist-over-calls", "jit/compile.c", "if (!has(l->body, k) || l->calls || (best", "if (!has(l->body, k) || (best", "random/12"),
    ("store-not-loaded-again", "jit/compile.c", "load_hoists(c, ins, NULL, true);", "", "random/5"),
    # strips
    ("strip-beyond-the-end", "jit/compile.c", "x_rr(&c->x, X_CMOV + CC_G, false, RAX, end);", "", "random/56"),
    ("strip-of-the-one-before", "jit/compile.c", "x_imm(&c->x, RAX, (uint32_t)INT32_MIN);", "x_imm(&c->x, RAX, INT32_MAX);", "programs/loops-1"),
    ("end-changes", "jit/compile.c", "if ((!immediate && writes(i) && i->a == last->b) ||", "if (", "programs/loops-2"),
    ("strip-ends-a-turn-late", "jit/compile.c", "i->op == PVM_JLTI_I ? PVM_JGEI_I : PVM_JGTI_I;", "PVM_JGTI_I;", "random/101"),
    ("strip-ends-a-turn-early", "jit/compile.c", "i->op = i->op == PVM_JLT_I ? PVM_JLE_I : PVM_JLT_I;", "i->op = PVM_JLE_I;", "programs/loops-1"),
    ("last-turn-of-a-strip", "jit/compile.c", "end.op == PVM_JGEI_I || end.op == PVM_JLE_I ? PVM_JLT_I : PVM_JLE_I;", "PVM_JLE_I;", "programs/loops-1"),
    # methods in place of their calls
    ("inlined-writes-arguments", "jit/compile.c", "                        mine[file[pc] >> 8 & 0xff] = (uint16_t)NONE;\n                if (op", "                        ;\n                if (op", "random/3"),
    ("field-not-learnt", "jit/compile.c", "((op == PVM_GETF || op == PVM_SETF) && !field_known(&body)) ||", "", "random/1"),
    ("folded-but-wanted", "jit/compile.c", "               (next->a == i->a || !has(set_of(c, c->live, k + 2), i->a));", "               1;", "random/5"),
    # code
    ("dropped-code-is-called", "jit/code.c", "if (m->native_code)\n                m->native_code = area + jit_stubs.call;", "", "random/2"),
    ("returned-to-another", "jit/code.c", "__builtin_offsetof(struct frame, prev) - sizeof(struct frame)));", "__builtin_offsetof(struct frame, prev) - sizeof(struct frame)));\n        x_ri(x, 0, true, RCX, 1);", "random/1"),
    # what was found before a loop, or before what is stored, and is not so any more
    ("invariant-is-written", "jit/compile.c", "if (!has(written, i->b) && has(set_of", "if (has(set_of", "programs/loops-3"),
    ("hoist-is-stored-to", "jit/compile.c", "if (f ? (l->stored & place_of(f)) || !(is_self", "if (f ? !(is_self", "programs/loops-3"),
    ("hoist-behind-the-next-value", "jit/compile.c", "if (writes(i) && i->a == r)\n                        break;\n        }", "}", "programs/loops-3"),
    ("hoist-behind-a-way-in", "jit/compile.c", "has(loop_of(c, v)->body, k) && !is_entry(c, k) && !jumps_on", "has(loop_of(c, v)->body, k) && !jumps_on", "programs/loops-3"),
    ("inlined-leaves-behind-a-store", "jit/compile.c", "c->failed |= c->ins[c->now].stored;", "", "programs/inline-1"),
    ("inlined-wants-no-arguments", "jit/compile.c", "n += arguments(&call, v + n);", ";", "programs/inline-1"),
]
MACHINE = [
    ("fast-immutable-field", "interp.c", "o->info & OBJ_IMMUTABLE, 0))\n                goto op_SETF;\n        ((int32_t *)o)[C] = R[A].i;", "0, 0))\n                goto op_SETF;\n        ((int32_t *)o)[C] = R[A].i;", "programs/immutable-1"),
    ("fast-immutable-array", "interp.c", "(o->info & (OBJ_ARRAY | OBJ_IMMUTABLE)) != ARRAY_BITS(KIND), 0))", "(o->info & OBJ_ARRAY) != ARRAY_BITS(KIND), 0))", "programs/immutable-1"),
    ("fast-index-off-by-one", "interp.c", "if (__builtin_expect(at >= s->len, 0))                                                                 \\\n                        goto array_load;", "if (at > s->len) goto array_load;", "programs/immutable-1"),
    ("fast-card-of-a-field", "interp.c", "*(slot *)((int32_t *)o + C) = R[A];\n        heap_wrote(o);", "*(slot *)((int32_t *)o + C) = R[A];", "random/1"),
    ("fast-card-of-an-element", "interp.c", "CASE_ARRAY(R, ARRAY_R, SETR, r, heap_wrote)", "CASE_ARRAY(R, ARRAY_R, SETR, r, NO_REFERENCE)", "programs/young-1"),
    ("interpreted-card-of-a-field", "interp.c", "                        heap_wrote(o);\n", "                        ;\n", "random/1"),
    ("interpreted-card-of-a-static", "interp.c", "heap_wrote(d->address);", ";", "random/1"),
    ("interpreted-card-of-a-new-element", "interp.c", "        if (kind == ARRAY_R)\n                heap_wrote(&s->r[index]);\n", "", "random/14"),
    ("card-of-a-longer-array", "object.c", "        heap_wrote(a);\n", "", "random/3"),
    ("interpreted-rest-of-minus-one", "interp.c", "R[C].FIELD == -1 ? 0 : R[B].FIELD % R[C].FIELD", "R[B].FIELD % R[C].FIELD", "random/28"),
    ("roots-are-old", "collect.c", "mark_from_threads();\n        mark_roots();", "mark_from_threads();", "random/1"),
    ("weak-and-dead", "collect.c", "if (mark.weak[i]->target && !is_old(mark.weak[i]->target))", "if (0)", "programs/young-2"),
    ("last-line-is-free", "collect.c", "map[last / 64] |= 1ul << last % 64;", "", "random/1"),
]

TAMPERED = {
    "too-many-for-a-closure": "machine/test_refused", "initializer-is-called": "machine/test_refused", "unboxed-to-a-reference": "machine/test_refused", "divided-by-0": "machine/test_refused",
    "another-result-returned": "machine/test_refused", "end-is-reached": "machine/test_refused", "receiver-is-a-number": "machine/test_refused"}

MUTANTS = [(m[0], "pvm/" + m[1], m[2], m[3], TAMPERED.get(m[0], "machine/test_tampered")) for m in FILE + VERIFY] + [(m[0], "pvm/" + m[1], *m[2:]) for m in COMPILER + MACHINE]
