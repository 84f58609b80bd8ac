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
    "posix": suite("posix", "plain"),
    "crash-qemu": command(f"{TOP}/tests/crash/crashlab.py", "20"),
    "lint": make("lint"),
    "unit": make("-k", "unit"),
    "plc": make("-s", "check-plc"),
    "crash-sim": make("crash-sim"),
    "pvm": make("check-pvm"),
    "busybox": suite("busybox", "plain"),
    "busybox-all": suite("busybox", "all"),
    "guest": suite("guest", "plain"),
    "guest-chaos": suite("guest", "chaos"),
    "guest-barrier": suite("guest", "barrier"),
    "guest-absent": suite("guest", "absent"),
    "guest-storm": suite("guest", "storm"),
    "guest-kills": command(f"{TOOLS}/kills.py", "guest", "4"),
    "fuzz": suite("fuzz", "all"),
    "boot": command(f"{TOOLS}/boottests.py"),
    "install": command(f"{TOOLS}/installtests.py"),
    "install-cuts": command(f"{TOOLS}/installcuts.py", "10"),
    "bench": command(f"{TOOLS}/bench.py", "check"),
}

SOAK = {f"{name}-{smp}-{cpu}-{mode}": suite(name, f"{smp}-{cpu}-{mode}")
        for name in ("guest", "busybox", "posix")
        for mode in ("plain", "chaos", "barrier", "storm", "all")
        for smp in (1, 2, 4)
        for cpu in ("qemu64", "max")}
SOAK |= {f"{name}-kills": command(f"{TOOLS}/kills.py", name, "40") for name in ("guest", "busybox", "posix")}
SOAK |= {f"fuzz-{config}": suite("fuzz", config, FUZZ_SECONDS="600")
         for config in ("1-qemu64-plain", "4-max-plain", "4-max-all")}


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

    def one(name):
        return run(name, stages[name], os.path.join(memory, name) if memory else None)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one, names or stages))
    failed = sum(result[1] for result in results)
    print(f"{sum(result[0] for result in results)} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
