#!/usr/bin/env python3
"""check.py - the short proof: every stage of `make check`, two QEMUs at a time, and one line at the end.

    check.py [STAGE...]      names as `check.py -l` lists them; none: all

Each stage prints how it went and how long it took; the last line is `N passed, N failed`. Exit status 1 if anything failed. The longer
proofs are `make soak` and its kin (make help).
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

import qemu
from qemu import TOP

SUITES = os.path.join(TOP, "tests/tools/suites.py")
TOTAL = re.compile(r"^\S+ \(.*\): (\d+) passed, (\d+) failed", re.M)


def output(command, **how):
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **how)
    return done.returncode, done.stdout


def lines(command):
    """A command that prints PASS or FAIL lines."""
    status, text = output(command)
    passed, failed = len(re.findall(r"^PASS ", text, re.M)), len(re.findall(r"^FAIL ", text, re.M))
    if status and not failed:
        failed = 1
    return passed, failed, text if failed else ""


def suite(name, config):
    status, text = output([SUITES, "run", name, config])
    found = TOTAL.search(text)
    if not found:
        return 0, 1, text
    failed = int(found[2])
    return int(found[1]), failed or (1 if status else 0), text if status else ""


WORK = [("echo $((6 * 7))", "42"), ("mkdir /tmp/d && echo hello > /tmp/d/f && cat /tmp/d/* | tr a-z A-Z", "HELLO"),
        ("find / -xdev | sort | md5sum | wc -c", "36"), ("su user -c 'cat /etc/shadow' 2>&1 | grep -c denied", "1"),
        ("(sleep 100 & kill -STOP $!; kill -CONT $!; kill $!; wait $!; echo $?)", "143"),
        ("ps -o pid,comm | awk '$1 == 1 { print $2 }'", "init"), ("vi -c q /etc/motd </dev/null >/dev/null 2>&1; stat -c %F /dev/tty1", "character special file")]


def boot(name, cmdline="", usb=False, **options):
    """Boots to a prompt, does ordinary work, turns the machine off."""
    failed = []
    try:
        with qemu.Guest(name.replace(" ", "-"), qemu.phantom(cmdline, usb=usb), timeout=180, **options) as guest:
            guest.prompt()
            for command, expected in WORK:
                _, text = guest.command(command)
                if not text.rstrip().endswith(expected):
                    failed.append(f"FAIL {command}: {text!r}, not {expected!r}")
            guest.send("poweroff\n")
            guest.wait()
    except qemu.Hang as hang:
        failed.append(f"FAIL {name}: {hang}")
    return len(WORK) + 1 - min(len(failed), len(WORK) + 1), len(failed), "\n".join(failed)


STAGES = {
    "unit": lambda: lines(["make", "--no-print-directory", "-k", "unit"]),
    "boot bios 64M": lambda: boot("bios", memory="64M"),
    "boot uefi 128M": lambda: boot("uefi", memory="128M", uefi=True, smp=2),
    "boot usb": lambda: boot("usb", usb=True, smp=4, cpu="qemu64"),
    "guest": lambda: suite("guest", "plain"),
    "guest chaos": lambda: suite("guest", "chaos"),
    "guest barrier": lambda: suite("guest", "barrier"),
    "busybox": lambda: suite("busybox", "plain"),
    "posix": lambda: suite("posix", "plain"),
}


def run(name):
    begin = time.monotonic()
    passed, failed, text = STAGES[name]()
    if text:
        print(text.rstrip(), flush=True)
    print(f"{'FAIL' if failed else 'ok':5} {name}: {passed} passed, {failed} failed, {time.monotonic() - begin:.0f} s", flush=True)
    return passed, failed


def main():
    if sys.argv[1:] == ["-l"]:
        print("\n".join(STAGES))
        return
    names = sys.argv[1:] or list(STAGES)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for p, f in pool.map(run, names):
            passed, failed = passed + p, failed + f
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
