#!/usr/bin/env python3
"""profile.py PROGRAM [ARGUMENT...] - where the instructions of a guest program go, by kernel function.

PROGRAM (static) prints a line `LOOP` and then repeats what is to be profiled for ever. It gets into the guest as a tar on a disk; under
-icount and -singlestep QEMU logs each instruction for --seconds; the histogram counts them by the symbols of the kernel. `per call` divides
by the number of system calls, `per entry` (--per NAME) by the number of times the kernel function NAME was entered.
"""
import argparse
import bisect
import collections
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Guest:
    def __init__(self, work, args):
        self.qmp_path, self.log, self.seen = f"{work}/qmp", f"{work}/log", b""
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-icount", "shift=0,sleep=off", "-accel", "tcg,thread=single", "-singlestep", "-seed", "42",
             "-rtc", "base=2026-01-01,clock=vm", "-cpu", args.cpu, "-m", "128", "-cdrom", f"{args.build}/phantom.iso", "-boot", "d",
             "-display", "none", "-serial", "stdio", "-qmp", f"unix:{self.qmp_path},server,nowait", "-no-reboot", "-net", "none",
             "-drive", f"file={work}/program.tar,if=none,id=d,format=raw,readonly=on", "-device", "virtio-blk-pci,drive=d",
             "-D", self.log], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def wait_for(self, text):
        while text not in self.seen:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                sys.exit(f"the guest ended before it said {text!r}:\n{self.seen.decode(errors='replace')}")
            self.seen += data
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def record(self, seconds):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.qmp_path)
            file = s.makefile("rw")
            file.readline()

            def command(name, **arguments):
                file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
                file.flush()
                file.readline()

            command("qmp_capabilities")
            command("human-monitor-command", **{"command-line": "log exec,nochain"})
            time.sleep(seconds)
            command("human-monitor-command", **{"command-line": "log none"})


def symbols(kernel):
    found = []
    for line in subprocess.check_output(["nm", "-n", kernel], text=True).splitlines():
        address, kind, name = line.split()[:3]
        if kind in "tTwW" and not name.startswith(".L"):
            found.append((int(address, 16), name))
    return found


def histogram(log, names):
    addresses = [a for a, _ in names]
    counts, entries, total = collections.Counter(), collections.Counter(), 0
    pattern = re.compile(r"\[[0-9a-f]+/([0-9a-f]+)/")
    with open(log, errors="replace") as lines:
        for line in lines:
            match = pattern.search(line)
            if not match:
                continue
            total += 1
            pc = int(match.group(1), 16)
            if pc < 1 << 47:
                counts["(user mode)"] += 1
                continue
            i = bisect.bisect_right(addresses, pc) - 1
            counts[names[i][1]] += 1
            if pc == names[i][0]:
                entries[names[i][1]] += 1
    return total, counts, entries


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3, help="how long to log (about 0.2 million instructions each)")
    parser.add_argument("--lines", type=int, default=50)
    parser.add_argument("--per", default="syscall_entry", help="divide by the entries of this kernel function")
    parser.add_argument("--cpu", default="max,-erms")
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("program")
    parser.add_argument("argument", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        subprocess.check_call(["tar", "-cf", f"{work}/program.tar", "-C", os.path.dirname(os.path.abspath(args.program)),
                               os.path.basename(args.program)])
        guest = Guest(work, args)
        try:
            guest.wait_for(b"# ")
            guest.type(f"cd /tmp; tar -xf /dev/vda; ./{os.path.basename(args.program)} {' '.join(args.argument)}")
            guest.wait_for(b"\nLOOP")
            time.sleep(1)
            guest.record(args.seconds)
        finally:
            guest.process.kill()
            guest.process.wait()
        total, counts, entries = histogram(guest.log, symbols(f"{args.build}/kernel.elf"))
    times = entries[args.per]
    print(f"{total} instructions, {times} times {args.per}" + (f", {total / times:.0f} each" if times else ""))
    for name, n in counts.most_common(args.lines):
        print(f"{n * 100 / total:5.1f}% {n / times if times else 0:8.1f} {name}")


if __name__ == "__main__":
    main()
