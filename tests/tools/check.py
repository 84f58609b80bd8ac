#!/usr/bin/env python3
"""check.py - stages of tests, two QEMUs at a time, and one line at the end.

    check.py [STAGE...]         the short proof, or the stages named; `check.py -l` lists them
    check.py soak [STAGE...]    the long ones; each is remembered in build/soak when it has passed, and not run again
                                there until the kernel or its tests change, so that a soak can be interrupted

Each stage prints what failed, how it went and how long it took; the last line is `N passed, N failed`. Exit status 1 if
anything failed.
"""
import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys
import threading
import time

from qemu import BUILD, TOP

TOOLS = os.path.join(TOP, "tests/tools")
TOTAL = re.compile(r"^\S+ \(.*\): (\d+) passed, (\d+) failed", re.M)


def command(*words, **environment):
    """A program that prints PASS and FAIL lines, or a suite that ends with a total: (passed, failed, what to show)."""

    def run():
        done = subprocess.run(words, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", env={**os.environ, **environment}, check=False)
        text = done.stdout
        total = TOTAL.search(text)
        passed, failed = map(int, total.groups()) if total else \
            (len(re.findall(r"^PASS ", text, re.M)), len(re.findall(r"^FAIL ", text, re.M)))
        if done.returncode and not failed:
            failed = 1
        return passed, failed, re.sub(r"^PASS .*\n", "", text, flags=re.M) if failed else ""

    return run


def suite(name, config, **environment):
    return command(f"{TOOLS}/suites.py", "run", name, config, **environment)


def make(*words):
    return command("make", "--no-print-directory", *words)


# The longest first: two at a time then end together.
CHECK = {
    "crash-qemu": command(f"{TOP}/tests/crash/crashlab.py", "20"),
    "boot": command(f"{TOOLS}/boottests.py"),
    "unit": make("-k", "unit"),
    "install": command(f"{TOOLS}/installtests.py"),
    "posix": suite("posix", "plain"),
    "mutants": make("mutants", "MUTANTS=-j1"),
    "fuzz": suite("fuzz", "all"),
    "install-cuts": command(f"{TOOLS}/installcuts.py", "10"),
    "crash-native": make("crash-native"),
    "random-pvm": make("random-pvm"),
    "crash-sim": make("crash-sim"),
    "busybox-all": suite("busybox", "all"),
    "guest-kills": command(f"{TOOLS}/kills.py", "guest", "4"),
    "busybox": suite("busybox", "plain"),
    "guest-barrier": suite("guest", "barrier"),
    "guest-storm": suite("guest", "storm"),
    "guest-absent": suite("guest", "absent"),
    "plc": make("-s", "check-plc"),
    "guest-chaos": suite("guest", "chaos"),
    "native": suite("native", "all"),
    "bench": command(f"{TOOLS}/bench.py", "check"),
    "lint": make("lint"),
    "guest": suite("guest", "plain"),
    "pvm": make("check-pvm"),
}

SOAK = {f"{name}-{smp}-{cpu}-{mode}": suite(name, f"{smp}-{cpu}-{mode}")
        for name in ("guest", "native", "busybox", "posix")
        for mode in ("plain", "chaos", "barrier", "storm", "all")
        for cpu in ("qemu64", "max")
        for smp in (4, 1, 2)}
SOAK |= {f"{name}-kills": command(f"{TOOLS}/kills.py", name, "40") for name in ("guest", "native", "busybox", "posix")}
SOAK |= {f"fuzz-{config}": suite("fuzz", config, FUZZ_SECONDS="600")
         for config in ("1-qemu64-plain", "4-max-plain", "4-max-all")}


SOAK_CPUS = 5  # of all guests that run at once: with many more than this machine has, a guest's CPUs spend their time waiting for each other


class Cpus:
    """Lets stages of a soak run side by side: a row of four CPUs beside one of one."""

    def __init__(self):
        self.free = SOAK_CPUS
        self.changed = threading.Condition()

    def run(self, name, stage, remember):
        match = re.search(r"-([124])-", name)
        cpus = int(match[1]) if match else 2
        with self.changed:
            self.changed.wait_for(lambda: self.free >= cpus)
            self.free -= cpus
        try:
            return run(name, stage, remember)
        finally:
            with self.changed:
                self.free += cpus
                self.changed.notify_all()


def fingerprint():
    """What a soak's results depend on: the image and the test programs."""
    total = hashlib.sha256()
    for root in ("kernel.stripped", "rootfs.img", "tests"):
        path = os.path.join(BUILD, root)
        files = [path] if os.path.isfile(path) else sorted(
            os.path.join(where, name) for where, _, names in os.walk(path) for name in names if "." not in name)
        for name in files:
            with open(name, "rb") as f:
                total.update(f.read())
    return total.hexdigest()[:16]


def run(name, stage, remember):
    begin = time.monotonic()
    if remember and os.path.exists(remember):
        with open(remember, encoding="ascii") as f:
            return int(f.read()), 0
    passed, failed, text = stage()
    if text:
        print(text.rstrip(), flush=True)
    print(f"{'FAIL' if failed else 'ok':5} {name}: {passed} passed, {failed} failed, {time.monotonic() - begin:.0f} s",
          flush=True)
    if remember and not failed:
        os.makedirs(os.path.dirname(remember), exist_ok=True)
        with open(remember, "w", encoding="ascii") as f:
            f.write(str(passed))
    return passed, failed


def main():
    names = sys.argv[1:]
    soak = names[:1] == ["soak"]
    stages = SOAK if soak else CHECK
    names = names[1:] if soak else names
    if names == ["-l"]:
        print("\n".join(stages))
        return
    memory = os.path.join(BUILD, "soak", fingerprint()) if soak else None

    cpus = Cpus()

    def one(name):
        return cpus.run(name, stages[name], os.path.join(memory, name)) if memory else run(name, stages[name], None)

    with concurrent.futures.ThreadPoolExecutor(3 if soak else 2) as pool:
        results = list(pool.map(one, names or stages))
    failed = sum(result[1] for result in results)
    print(f"{sum(result[0] for result in results)} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
