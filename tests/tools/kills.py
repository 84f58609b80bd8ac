#!/usr/bin/env python3
"""kills.py - a suite runs on a machine with a store, whose QEMU is killed again and again; it must end as if nothing had been.

    kills.py SUITE [KILLS [SEED]]

runcases runs in the background of the guest and writes to a file there. After each kill the machine is booted again, and nobody starts anything: what was running goes on. Unflushed
writes are not lost when QEMU is killed; cutting them is another test's (crash_sim). Cases that judge by the wall clock (expected/SUITE.alone) are left out: it goes on while the machine is off.
"""
import os
import random
import subprocess
import sys
import time

import qemu
import suites
from qemu import BUILD


def disk(path, mib):
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    subprocess.run([os.path.join(BUILD, "mkstore"), path, "0", str(mib << 20)], check=True)
    return path


def boot(disks):
    return qemu.Guest("kills", qemu.phantom("panic=exit"), disks=disks, smp=2, memory="256M")


def run_for(guest, seconds):
    """Lets it run; raises Hang if it dies by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        guest.read(0.2)


def resumed(disks):
    """Boots and finds the shell that was there."""
    guest = boot(disks)
    try:
        guest.expect(r"store: epoch \d+", timeout=120)
        guest.expect(r"MiB in use", timeout=120)
        guest.send("\n")
        guest.prompt()
    except BaseException:
        guest.__exit__(*sys.exc_info())
        raise
    return guest


def main():
    name = sys.argv[1]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int.from_bytes(os.urandom(3), "big")
    chance = random.Random(seed)
    suite = suites.SUITES[name]()
    tar = os.path.join(BUILD, "tests", f"{name}-kills.tar")
    clocked = set(suites.read_names(os.path.join(suites.EXPECTED, name + ".alone")))
    suites.pack(suite, suite.cases(), clocked, tar)
    disks = [disk(os.path.join(BUILD, "tests", f"{name}-kills.img"), 1024), tar]
    begin = time.monotonic()
    done = 0
    print(f"  kills: seed {seed}", flush=True)
    try:
        guest = boot(disks)
        with guest:
            guest.prompt(total=600)
            guest.command("cd / && tar -xf /dev/vdb", timeout=300)
            nested = "-o " if suite.nested else ""
            guest.command(f"setsid /t/runcases -j 3 -t {4 * suite.seconds} {nested}/t/list >/root/out 2>&1 </dev/null & sync")
            run_for(guest, chance.uniform(1, 5))
        while True:
            with resumed(disks) as guest:
                done += 1
                status, _ = guest.command("grep -q '^END ' /root/out")
                if done < kills and status:
                    run_for(guest, chance.uniform(0.5, 5))
                    continue
                while guest.command("sleep 2; grep -q '^END ' /root/out")[0]:
                    pass
                _, text = guest.command("cat /root/out", timeout=120)
                break
        found = suite.results(text)
    except qemu.Hang as hang:
        found = {f"{name}: died": f"after {done} kills: {hang}"}
    passed, failed = suites.judge(name, found, complete=True)
    failed = {case: why for case, why in failed.items() if case not in clocked}
    for case, why in failed.items():
        print(f"  FAIL {case}: {why}")
    print(f"{name} ({done} kills): {passed} passed, {len(failed)} failed, {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
