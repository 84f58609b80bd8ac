#!/usr/bin/env python3
"""mutants.py - would the tests notice? Each mutant is a bug seeded into a copy of one file (tests/crash/mutants_list.py, tests/pvm/mutants_list.py); it must compile, and the test that it is for must fail, or die.
-j1 makes one at a time, not two.
usage: make mutants MUTANTS="[-v] [-jN] [NAME...]", which runs mutants.py BUILD_DIR [-v] [-jN] [NAME...]"""
import concurrent.futures
import os
import resource
import subprocess
import sys
import time
from collections import namedtuple

LIMIT_S = 600
CPU_LIMIT_S = 40  # of processor time: who needs more has no end, however busy the machine is
CC = ["gcc", "-std=gnu17", "-O1", "-w"]

# One test: its source; the sources that it is linked with, which mutants are of; flags of all these; libraries; flags of the test alone; its arguments, for all of it; those for one seed, {}: else what stands
# behind the test's name in a mutant's place is the argument. NAME=VALUE is no argument, but environment.
Suite = namedtuple("Suite", "source engine flags libs own everything seed")
# A list: TESTS, by name; MUTANTS: name, file, what stands there (once), what stands there instead, and the test, "name" or "name/what of it catches the mutant", if it is not TEST.
LISTS = ("tests/crash", "tests/pvm")


def lists():
    """(folder, the module) of each."""
    sys.modules["mutants"] = sys.modules[__name__]
    for folder in LISTS:
        sys.path.insert(0, folder)
        yield folder, __import__("mutants_list")
        del sys.modules["mutants_list"], sys.path[0]


def compiled(path, obj, flags):
    """What the compiler says, if it is not content."""
    done = subprocess.run(CC + flags + ["-I.", "-c", path, "-o", obj], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


class Test:
    """A suite, built of objects that are compiled once."""

    engine = {}  # by flags and sources: object of each source

    def __init__(self, out, name, suite):
        self.suite = suite
        self.dir = os.path.join(out, name)
        os.makedirs(self.dir, exist_ok=True)
        key = (*suite.flags, *sorted(suite.engine))
        if key not in Test.engine:
            Test.engine[key] = {src: self.compile(src, src.replace("/", "_"), suite.flags) for src in sorted(suite.engine)}
        self.objects = {**Test.engine[key], suite.source: self.compile(suite.source, "test", [*suite.own, *suite.flags])}
        self.plain = self.link("plain", self.objects.values())

    def compile(self, src, name, flags):
        obj = os.path.join(self.dir, name + ".o")
        error = compiled(src, obj, flags)
        if error:
            sys.exit(f"{src}: {error}")
        return obj

    def link(self, name, objects):
        prog = os.path.join(self.dir, name)
        subprocess.run(["gcc", *self.suite.flags, "-o", prog, *objects, *self.suite.libs], check=True)
        return prog

    def build(self, name, src, text):
        """(the program with the mutant, or why there is none). A header's stands in a folder that is looked into first, and is for those that include it."""
        base = os.path.join(self.dir, name)
        path = base + ".c"
        sources, flags = {src: path}, self.suite.flags
        if src.endswith(".h"):
            path = os.path.join(base + ".include", src)
            sources = {s: s for s in self.objects if includes(s, src)}
            flags = ["-I" + base + ".include", *flags]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        mine = {}
        for k, (of, copy) in enumerate(sources.items()):
            mine[of] = f"{base}.{k}.o"
            error = compiled(copy, mine[of], flags)
            if error:
                return None, f"does not compile: {error}"
        return self.link(name, {**self.objects, **mine}.values()), ""


def includes(src, header):
    with open(src, encoding="utf-8") as f:
        return f'#include "{header}"' in f.read()


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))


def failure(prog, words):
    """Why the program failed; "" if it did not, or waits: on a busy machine that says nothing."""
    arguments = [w for w in words if "=" not in w]
    environment = dict(w.split("=", 1) for w in words if "=" in w)
    try:
        done = subprocess.run([prog] + arguments, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False, env={**os.environ, **environment}, preexec_fn=limit)
    except subprocess.TimeoutExpired:
        return ""
    if not done.returncode:
        return ""
    lines = [line for line in (done.stdout + done.stderr).strip().split("\n") if "FAILED" in line or "rror" in line or "panic" in line]
    return (lines or [f"ended with {done.returncode}"])[0]


def attempts(suite, where):
    """Words to try in order: what is known to catch it, then all of the test."""
    if not where:
        return [list(suite.everything)]
    return [[w.format(where) for w in suite.seed], list(suite.everything)] if suite.seed else [[where]]


def main():
    args = sys.argv[1:]
    verbose = "-v" in args
    jobs = next((int(a[2:]) for a in args if a.startswith("-j")), 2)
    out, names = args[0], [a for a in args[1:] if a[0] != "-"]
    mutants, suites = [], {}
    for folder, module in lists():
        for m in module.MUTANTS:
            # Where: the test, by folder; what of it.
            test, _, what = (m[4] if len(m) > 4 else module.TEST).partition("/")
            where = os.path.join(os.path.basename(folder), test), what
            suites[where[0]] = module.TESTS[test]
            if not names or m[0] in names:
                mutants.append((*m[:4], where))
    places = sorted({m[4] for m in mutants})
    tests = {name: Test(out, name, suites[name]) for name in sorted({test for test, _ in places})}

    def without(where):
        """Why the test fails as it is: then it says nothing of mutants."""
        return failure(tests[where[0]].plain, attempts(suites[where[0]], where[1])[0])

    def one(mutant):
        """Was it caught?"""
        name, src, old, new, (test, where) = mutant
        with open(src, encoding="utf-8") as f:
            text = f.read()
        if text.count(old) != 1:
            print(f"mutant {name}: {src} has its place {text.count(old)} times", flush=True)
            return False
        begin = time.monotonic()
        prog, error = tests[test].build(name, src, text.replace(old, new))
        why = next(filter(None, (failure(prog, a) for a in attempts(suites[test], where))), "") if prog else ""
        if prog:
            os.remove(prog)
        if not why:
            print(f"mutant {name} {error or 'was not caught by ' + test}", flush=True)
        elif verbose:
            print(f"{name}: {time.monotonic() - begin:.1f} s, {why[:140]}", flush=True)
        return bool(why)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for where, why in zip(places, pool.map(without, places)):
            if why:
                sys.exit(f"{'/'.join(where)} fails without a mutant: {why}")
        caught = sum(pool.map(one, mutants))
    print(f"mutants (that were caught): {caught} passed, {len(mutants) - caught} failed")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
