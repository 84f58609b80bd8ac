"""benchpersist.py - `bench.py persist [PART...]`: what persistence costs, each figure beside its goal (persistence.md, goals).

Guests run under TCG and -icount shift=0, where one tick of the time stamp counter is one instruction (or 1 ns, while the machine waits), with one CPU and a store on a virtio disk.
PARTS names the parts. How fast the host's disk answers is in what waits for it, as in `bench.py disk`: rate and resume are worse on a loaded host.
A line that cannot be measured, and a goal that is missed, make the status 1.
"""
import os
import re
import statistics
import subprocess
import sys
import time

import bench
import qemu
from qemu import BUILD

STORE_GIB = 8  # a sparse file
SNAPSHOTS = 1000
TRANSACTIONS = 500
EXT4 = bench.DISKS["virtio"][1] + " crc16 crc32c_generic mbcache jbd2 ext4"

missed = 0


def row(what, value, goal=None, unit="", note=""):
    """Prints a figure, and whether it is at most its goal; a goal that is a string is at least that."""
    global missed  # pylint: disable=global-statement
    least = isinstance(goal, str)
    reached = goal is None or (value >= float(goal) if least else value <= goal)
    missed += not reached

    def number(x):
        return f"{x:,.0f}" if x >= 100 or x == int(x) else f"{x:.2f}"

    text = "" if goal is None else f"{'>=' if least else '<='} {number(float(goal))}"
    verdict = "" if goal is None else "reached" if reached else "MISSED"
    print(f"{what:66}{number(value):>14} {unit:13}{text:>13}  {verdict:8}{note}".rstrip(), flush=True)


def disk(name="store", formatted=True):
    path = os.path.join(BUILD, f"bench/{name}.img")
    with open(path, "wb") as f:
        f.truncate(STORE_GIB << 30)
    if formatted:
        subprocess.run([os.path.join(BUILD, "mkstore"), path, "0", str(STORE_GIB << 30)], check=True, stdout=subprocess.DEVNULL)
    return path


def phantom(name, image, cmdline="", plugin=(), **options):
    boot = bench.image("persist", cmdline, "persist.img") + list(plugin)
    return qemu.Guest(f"persist-{name}", boot, timeout=600, disks=[image], **{"memory": "512M", "icount": True, **options})


def run_in(guest, line):
    """Runs a command that must succeed; returns what it printed."""
    status, text = guest.command(line)
    if status:
        raise qemu.Hang(f"`{line}` ended with {status}: {text[-500:]}")
    return text


def numbers(text):
    return {name: int(value) for name, value in re.findall(r"^(\w+) (-?\d+)$", text, re.M)}


def status(guest):
    return numbers(run_in(guest, "cat /proc/phantom/status"))


def interval(guest, ms):
    run_in(guest, f"echo interval {ms} >/proc/phantom/control")


def write(guest, pages, commits, how="write"):
    """What `persist write` counted."""
    grown = numbers(run_in(guest, f"/bench/persist {how} {pages} {commits}"))
    if grown.get("commits", 0) < commits:
        raise qemu.Hang(f"only {grown.get('commits')} of {commits} commits")
    return grown


def hold(guest, mib, threads):
    """A program that has so much, beside the shell."""
    guest.send(f"/bench/persist hold {mib} {threads} &\n")
    guest.expect(r"HELD\r?\n")
    guest.send("\n")
    guest.prompt()


def pause():
    """A program writes to 240 pages all the time; every snapshot since the machine started is in the figures of /proc/phantom/status."""
    for smp in (1, 4):
        with phantom("pause", disk(), smp=smp) as guest:
            guest.prompt()
            interval(guest, 2)
            grown = write(guest, 240, SNAPSHOTS)
            now = status(guest)
        pages = grown["committed_pages"] / grown["commits"]
        note = f"{now['pauses']} snapshots of {pages:.0f} pages; half <= {now['pause_p50_ns']:,}, longest {now['pause_max_ns']:,}"
        if pages > 256:
            raise qemu.Hang(f"{pages:.0f} pages an epoch are too many")
        row(f"pause, 240 pages written an epoch, -smp {smp}: p99", now["pause_p99_ns"], 40000 if smp == 1 else None, "instructions", note)


def big():
    """An epoch never has more than 64 MiB dirty, but for the first of a store that is attached to a running space: then all is."""
    with phantom("big", disk()) as guest:
        guest.prompt()
        interval(guest, 20)
        write(guest, 240, 20)
        small = status(guest)["pause_p50_ns"]
        interval(guest, 0)
        pauses = []
        for _ in range(5):
            run_in(guest, "/bench/dirty 15000 0 1; sync")
            now = status(guest)
            pauses.append(now["pause_last_ns"])
        row("pause, 15,000 pages (59 MiB) dirty", statistics.median(pauses), 2 * small, "instructions", f"median of 5, twice that of 240 pages ({small:,})")
    image = disk(formatted=False)
    with phantom("big", image, "nostore", memory="2560M") as guest:
        guest.prompt()
        run_in(guest, "echo 100 >/proc/phantom/barrier_hz; sleep 1; echo 0 >/proc/phantom/barrier_hz")  # what was dirty since the boot is not
        hold(guest, 1024, 0)
        before = status(guest)
        run_in(guest, f"echo attach vda 0 {STORE_GIB << 21} >/proc/phantom/control")
        now = status(guest)
    row(f"pause, 1 GiB dirty ({now['attach_total']:,} pages: a store is attached)", now["pause_max_ns"], 2 * small, "instructions",
        f"longest of {now['pauses'] - before['pauses']}; marking all dirty beforehand not counted")


def rate():
    """By the clock, which cannot be set finer than to 1 ms; and as fast as it goes. A program runs all the time, so no time passes but by its instructions and the kernel's."""
    with phantom("rate", disk()) as guest:
        guest.prompt()
        interval(guest, 1)
        clock = write(guest, 16, 2000)
        guest.send("/bench/spin 1 1000000000 &\n")
        guest.prompt()
        asked = write(guest, 16, 2000, "sync")
    for how, grown, goal in (("every 1 ms", clock, None), ("one after the other", asked, "1000")):
        pages = grown["committed_pages"] / grown["commits"]
        row(f"snapshots a second, 16 pages written an epoch, {how}", grown["commits"] * 1e9 / grown["ns"], goal, "", f"{grown['commits']} commits of {pages:.0f} pages")
        if pages < 16:
            raise qemu.Hang(f"{pages:.1f} pages a commit are too few")


def spin(cmdline, ms, pages, rounds):
    """Instructions for the work of spin.c, and commits meanwhile."""
    with phantom("cost", disk(), cmdline) as guest:
        guest.prompt()
        if not cmdline:
            interval(guest, ms)
        before = status(guest)
        ticks = int(re.search(r"BENCH spin (\d+)", run_in(guest, f"/bench/spin {pages} {rounds}"))[1])
        return ticks, status(guest)["commits"] - before["commits"]


def cost():
    for pages, ms, goal, rounds in ((64, 10, 5, 40000), (16, 1, 15, 80000)):
        off, _ = spin("nostore", ms, pages, rounds)
        on, commits = spin("", ms, pages, rounds)
        hz = commits * 1e9 / on
        row(f"cost to a program, {pages} pages an epoch at {1000 // ms} Hz", 100 * (on - off) / off, goal, "%",
            f"{commits} commits, {hz:.0f} a second")
        if hz < 950 / ms:
            raise qemu.Hang(f"{hz:.0f} commits a second, not {1000 // ms}")


def fsync():
    count = 200
    out = os.path.join(BUILD, "bench/fsync.count")
    if os.path.exists(out):
        os.unlink(out)
    plugin = ["-plugin", f"{BUILD}/tests/count.so,entry={bench.entry_address():#x},out={out}"]
    with phantom("fsync", disk(), plugin=plugin) as guest:
        guest.prompt()
        interval(guest, 0)
        grown = numbers(run_in(guest, f"/bench/persist fsync /root/page {count}"))
    with open(out, encoding="ascii") as f:
        marks = [int(line) for line in f]
    if len(marks) != 2 * count or grown.get("commits") != count:
        raise qemu.Hang(f"{len(marks)} marks, {grown.get('commits')} commits for {count} fsyncs")
    costs = [after - before for before, after in zip(marks[::2], marks[1::2])]
    note = f"mean of {count}, checkpoints included"
    row("fsync of one page: instructions", statistics.median(costs), 12000, "", f"median of {count}; p99 {sorted(costs)[count * 99 // 100]:,}; {grown['committed_pages'] / count:.1f} pages are dirty")
    row("fsync of one page: write requests", grown["disk_writes"] / count, None, "", note)
    row("fsync of one page: flushes", grown["disk_flushes"] / count, 1.1, "", note)
    row("fsync of one page: blocks written", grown["disk_written_bytes"] / 4096 / count, 4, "", note)


def written():
    with phantom("written", disk()) as guest:
        guest.prompt()
        for pages, ms, commits in ((256, 4, 300), (4096, 40, 20)):
            interval(guest, ms)
            grown = write(guest, pages, commits)
            dirtied = grown["committed_pages"] * 4096
            row(f"bytes written / bytes dirtied, {pages} pages written an epoch", grown["disk_written_bytes"] / dirtied, 1.10, "",
                f"{grown['commits']} commits of {grown['committed_pages'] / grown['commits']:.0f} pages")


def resumed(name, mib, threads):
    """Instructions from the kernel's entry to the first one of a program, in a machine whose QEMU was killed with that much state."""
    image = disk()
    out = os.path.join(BUILD, f"bench/{name}.count")
    machine = {"memory": "2048M"}
    with phantom(name, image, **machine) as guest:
        guest.prompt()
        hold(guest, mib, threads)
        run_in(guest, "sync")
        used = status(guest)["used_pages"]
    if os.path.exists(out):
        os.unlink(out)
    plugin = ["-plugin", f"{BUILD}/tests/count.so,entry={bench.entry_address():#x},out={out}"]
    with phantom(name, image, plugin=plugin, **machine) as guest:
        end = time.monotonic() + guest.timeout
        while not os.path.exists(out) or not os.path.getsize(out):
            guest.read(0.05)
            if time.monotonic() > end:
                raise qemu.Hang(f"{name}: no program went on\n" + guest.tail())
    with open(out, encoding="ascii") as f:
        return int(f.readline()), used


def resume():
    small, used = resumed("resume-small", 64, 0)
    row("kernel entry to the first instruction of a program, 64 MiB", small, 20e6, "instructions", f"{used:,} pages in use")
    threads = 1000
    many, _ = resumed("resume-threads", 64, threads)
    row(f"the same with {threads:,} more threads", many, 20e6 + 1000 * threads, "instructions", f"{(many - small) / threads:,.0f} each")
    large, used = resumed("resume-large", 1024, 0)
    row("the same, 1 GiB", large, 20e6, "instructions", f"{used:,} pages in use")
    larger, used = resumed("resume-larger", 4096, 0)
    row("4 GiB against 1 GiB", larger / large, 1.2, "", f"{larger:,} instructions, {used:,} pages in use, twice what there is of memory")


def transactions(guest, where):
    """Blocks written and flushes of the disk, as QEMU counts them, for small transactions."""

    def counted():
        run_in(guest, "sync")
        stats = guest.qmp("query-blockstats")
        mine = [s["stats"] for s in stats if s.get("device") == "disk0"][0]
        return mine["wr_bytes"] // 4096, mine["flush_operations"], mine["wr_operations"]

    run_in(guest, f"/bench/sqlite3 {where}/db 'create table t (id integer primary key, name text, value integer)'")
    run_in(guest, f"(echo 'pragma synchronous=full;'; i=0; while [ $i -lt {TRANSACTIONS} ]; do i=$((i+1)); "
                  f"echo \"insert into t (name, value) values ('entry $i', $((i*7919)));\"; done) >/tmp/sql")
    before = counted()
    run_in(guest, f"/bench/sqlite3 {where}/db </tmp/sql")
    after = counted()
    got = run_in(guest, f"/bench/sqlite3 {where}/db 'select count(*) from t'").strip()
    if got != str(TRANSACTIONS):
        raise qemu.Hang(f"{got} of {TRANSACTIONS} transactions are there")
    return [b - a for a, b in zip(before, after)]


def sqlite():
    with phantom("sqlite", disk(), icount=False) as guest:
        guest.prompt()
        mine = transactions(guest, "/root")
    image = disk("ext4", formatted=False)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    modules, load = bench.linux_modules(EXT4)
    with qemu.Guest("persist-linux", bench.linux_boot([modules], "persist.cpio"), memory="512M", disks=[image], timeout=600) as guest:
        guest.prompt()
        run_in(guest, load + " && until [ -b /dev/vda ]; do sleep 1; done && mount -t ext4 -o data=ordered /dev/vda /mnt")
        theirs = transactions(guest, "/mnt")
    os.unlink(image)
    for what, i in (("blocks written", 0), ("flushes", 1)):
        row(f"sqlite3, {TRANSACTIONS} transactions, synchronous=full: {what}", mine[i], theirs[i] / 2, "", f"Linux, ext4 data=ordered: {theirs[i]:,}")
    row("write requests", mine[2], None, "", f"Linux: {theirs[2]:,}")


PARTS = {"pause": pause, "big": big, "rate": rate, "cost": cost, "fsync": fsync, "written": written, "resume": resume, "sqlite": sqlite}


def run(names):
    """Returns how many goals were missed and parts failed."""
    global missed  # pylint: disable=global-statement
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"no part {unknown[0]}; there are {', '.join(PARTS)}")
    for name in names or PARTS:
        try:
            PARTS[name]()
        except (qemu.Hang, qemu.QmpError, subprocess.CalledProcessError, OSError, KeyError, TypeError) as why:
            missed += 1
            print(f"FAIL {name}: {why}", flush=True)
    for left in ("store", "ext4"):
        path = os.path.join(BUILD, f"bench/{left}.img")
        if os.path.exists(path):
            os.unlink(path)
    print(f"{missed} missed or failed" if missed else "all goals reached")
    return missed
