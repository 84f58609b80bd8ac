#!/usr/bin/env python3
"""boottests.py [NAME...] - what a boot must give: firmware, memory, console, damaged images, disks of all kinds, turning off.

Each test is a function below; its docstring says what it proves. Prints `PASS boot NAME` or `FAIL boot NAME why`.
"""
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import time
import zlib

import qemu
from qemu import BUILD, TOP, WAIT_FOR, Guest, phantom

SCREENS = os.path.join(BUILD, "screens")
TESTS = {}


class Wrong(Exception):
    """A test failed: the system did something else than it should."""


def test(function):
    TESTS[function.__name__] = function
    return function


def expect(condition, message):
    if not condition:
        raise Wrong(message)


# Ordinary work: a command, and what its output ends with.
WORK = [("echo $((6 * 7))", "42"),
        ("mkdir /tmp/d && echo hello >/tmp/d/f && cat /tmp/d/* | tr a-z A-Z", "HELLO"),
        ("find / -xdev | sort | md5sum | wc -c", "36"),
        ("su user -c 'cat /etc/shadow' 2>&1 | grep -c denied", "1"),
        ("(sleep 100 & kill -STOP $!; kill -CONT $!; kill $!; wait $!; echo $?)", "143"),
        ("ps | grep -c '^ *1 root'", "1"),
        ("echo :q | vi /etc/motd >/dev/null 2>&1; stat -c %F /dev/tty1", "character special file")]


def works(guest):
    """Reaches a prompt and does ordinary work."""
    guest.prompt(total=300)
    for command, end in WORK:
        _, output = guest.command(command)
        expect(output.rstrip().endswith(end), f"{command}: {output!r}, not {end!r}")


def in_use(guest, ram_kib):
    """KiB of RAM that are not free, the boot archive and the kernel included."""
    _, output = guest.command("grep MemFree /proc/meminfo")
    return ram_kib - int(output.split("MemFree:")[1].split()[0])


# Lists everything below a directory, and what is in it; /tmp/o has the lists themselves.
COMPARE = [
    "mkdir -p /mnt/old /tmp/a/b/many /tmp/o; echo 1 >/tmp/a/f; ln -s a/f /tmp/l; ln -s /tmp/l /tmp/a/ll; chown -h 5:6 /tmp/l",
    "head -c 3000000 /dev/urandom >/tmp/a/big; echo x | dd of=/tmp/a/sparse bs=1 seek=9999999 2>/dev/null",
    "i=0; while [ $i -lt 300 ]; do : >/tmp/a/b/many/name$i; i=$((i+1)); done",
    "walk() { cd $1; find . -path ./proc -prune -o -path ./sys -prune -o -path ./mnt -prune -o -path ./dev -prune -o -path ./phantom -prune"
    " -o -path ./tmp/o -prune -o -name .ash_history -prune -o -print | sort >$2.names; xargs stat -c '%n %a %u %g %s %h %F %Y %N' <$2.names >$2.stat;"
    " find . -xdev -path ./mnt -prune -o -path ./tmp/o -prune -o -name .ash_history -prune -o -type f -print | sort | xargs md5sum >$2.sums; cd /; }",
]


DROP_ALL = "for e in $(psnap list | sed 1d | cut -d' ' -f1); do psnap drop $e; done"


@test
def snapshot_files():
    """The file system of snapshots shows exactly what is there: it reads the running space, and everything in it is compared; absent pages, barriers and chaos change nothing."""
    with Guest("snapshot_files", phantom("absent=20 barrier=20 chaos=20"), smp=2) as guest:
        guest.prompt(total=300)
        for command in COMPARE:
            guest.command(command, timeout=300)
        status, output = guest.command("echo 1 >/proc/phantom/snapshot_live; psnap mount 7 /mnt/old")
        expect(status == 0, output)
        guest.command("walk / /tmp/o/now", timeout=300)
        guest.command("echo 1 >/proc/phantom/snapshot_live; walk /mnt/old /tmp/o/then", timeout=300)
        for kind in ("names", "stat", "sums"):
            status, output = guest.command(f"cmp /tmp/o/now.{kind} /tmp/o/then.{kind} && wc -l </tmp/o/now.{kind}")
            expect(status == 0 and int(output) > 300, f"{kind}: {output}")
        for command, error in (("touch /mnt/old/x", "Read-only"), ("rm -f /mnt/old/etc/passwd", "Read-only"),
                               ("mkdir /mnt/old/tmp/d", "Read-only"), ("chmod 0 /mnt/old/etc", "Read-only"),
                               ("cat /mnt/old/dev/null", "No such device"), ("mount -t tmpfs x /mnt/old/mnt", "denied"),
                               ("mount -o remount,rw /mnt/old; touch /mnt/old/x", "Read-only"),
                               ("su user -c 'cat /mnt/old/etc/shadow'", "denied"), ("cd /mnt/old/tmp; umount /mnt/old", "busy")):
            _, output = guest.command(command)
            expect(error in output, f"{command}: {output!r}")
        _, output = guest.command("pwd; cd /; umount /mnt/old && ls /mnt/old | wc -l")
        expect(output == "/mnt/old/tmp\n0\n", output)


def store_disk(name, mib=256):
    """A fresh disk with an empty store; its path."""
    path = os.path.join(BUILD, "tests", name + ".img")
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    subprocess.run([os.path.join(BUILD, "mkstore"), path, "0", str(mib << 20)], check=True)
    return path


def resumed(guest):
    """A machine that goes on: the shell is where it was, and prints a prompt when asked."""
    guest.expect(r"\d+ CPUs?, \d+ MiB in use", total=120)
    guest.send("\n")
    guest.prompt(total=60)


@test
def time_travel():
    """On a disk: a file that was deleted is got back from a kept snapshot, over a power cut in between; what is mounted is not dropped; then all goes back to that snapshot."""
    disk = store_disk("time_travel")
    with Guest("time_travel", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.prompt(total=300)
        _, sums = guest.command("echo treasure >/root/gold; mkdir /home/user/d; head -c 300000 /dev/urandom >/home/user/d/big; setfattr -n user.a -v b /root/gold"
                                " 2>/dev/null; md5sum /home/user/d/big")
        status, epoch = guest.command("psnap now")
        expect(status == 0 and epoch.strip().isdigit(), epoch)
        epoch = epoch.strip()
        _, output = guest.command(f"rm -r /root/gold /home/user/d; cp /bin/busybox /root/new; sync; psnap mount {epoch} /mnt && cd /mnt/root && cat gold")
        expect(output.endswith("treasure\n"), output)
        guest.command("sync")
    with Guest("time_travel", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        resumed(guest)
        _, output = guest.command(f"pwd; cat gold; ls /root | cat; psnap drop {epoch}; psnap --json list")
        expect(output.startswith("/mnt/root\ntreasure\nnew\npsnap: it is mounted\n"), output)
        listed = json.loads(output.splitlines()[-1])
        expect(any(str(k["epoch"]) == epoch and k["pinned"] and k["mounted"] for k in listed), output)
        _, output = guest.command("md5sum /mnt/home/user/d/big | sed 's,/mnt,,'; cp gold /root; cd /; umount /mnt; cat /root/gold")
        expect(output == sums + "treasure\n", output)
        status, output = guest.command("psnap mount 1 /mnt; psnap drop 1")
        expect(status == 1 and "no snapshot of epoch 1" in output and "no such snapshot" in output, output)
        guest.command("rm /root/gold; psnap now")
        guest.send(f"psnap rollback {epoch} --yes\n")
        guest.wait(60)
    with Guest("time_travel", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        resumed(guest)
        _, output = guest.command("cat /root/gold; md5sum /home/user/d/big; ls /root/new")
        expect(output.startswith("treasure\n" + sums) and "No such file" in output, output)
        guest.command(f"psnap mount {epoch} /mnt; find /mnt >/dev/null; umount /mnt")
        _, output = guest.command(f"{DROP_ALL}; psnap --json list; psnap mount {epoch} /mnt")
        expect("[]\n" in output and "there is no snapshot" in output, output)
    os.unlink(disk)


def refused(name, disk, words):
    """Boots with a store that cannot be used: the machine stops, says why, and writes nothing."""
    with open(disk, "rb") as f:
        before = f.read()
    with Guest(name, phantom("panic=exit"), disks=[disk], smp=1) as guest:
        guest.wait(120)
        text = guest.log.decode(errors="replace")
    for word in words:
        expect(word in text, f"not said: {word}:\n{text[-800:]}")
    expect("nostore" in text and "MiB in use" not in text, f"no way to go on, or it went on:\n{text[-800:]}")
    with open(disk, "rb") as f:
        expect(f.read() == before, "the disk was written to")


@test
def store_refused():
    """A store whose end is missing, and one with no whole superblock, stop the machine by name and with the reason; nothing is written; with `nostore` it starts without."""
    disk = store_disk("store_refused", 8)
    with open(disk, "r+b") as f:
        f.truncate(7 << 20)
    refused("store_refused", disk, ["it has 2048 blocks, the disk only 1792", "the store on vda cannot be used: the disk is smaller than it"])
    disk = store_disk("store_refused", 8)
    with open(disk, "r+b") as f:
        for block in (1, 2047):
            f.seek(block * 4096 + 300)
            f.write(b"damage")
    refused("store_refused", disk, ["the superblock in block 1 is damaged", "the superblock in block 2047 is damaged",
                                    "the store on vda cannot be used: it is damaged"])
    with Guest("store_refused", phantom("nostore"), disks=[disk], smp=1) as guest:
        works(guest)
    os.unlink(disk)


def asked(guest):
    """The menu before recovery stands there; the kept snapshots' epochs by their keys."""
    guest.expect(r"What shall be started", total=120)
    guest.expect(r"  Enter .*\n", total=20)
    time.sleep(1)
    guest.read(1)
    return {key.decode(): epoch.decode() for key, epoch in re.findall(rb"  (\d)      the snapshot of epoch (\d+)", guest.log)}


@test
def sync_comes_back():
    """Without commits by the clock, and with a snapshot kept every second, each sync of several programs at once comes back: none is forgotten that was asked for while the writer waited for the disk."""
    disk = store_disk("sync_comes_back")
    for smp in (1, 2):
        with Guest("sync_comes_back", phantom("panic=exit"), disks=[disk], smp=smp) as guest:
            if smp == 1:
                guest.prompt(total=300)
            else:
                resumed(guest)
            guest.command("echo interval 0 >/proc/phantom/control; echo auto 1 >/proc/phantom/control")
            _, output = guest.command("for j in 1 2 3; do (i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo $i >>/f$j; sync; done) & done; wait; cat /f1 /f2 /f3 | wc -l", total=120)
            expect(output.split()[-1] == str(60 * smp), output)
    os.unlink(disk)


@test
def boot_menu():
    """The menu before recovery: a kept snapshot comes back, what it replaces is kept; the files alone; the newest state for who does not answer. It comes by itself after three failed boots."""
    disk = store_disk("boot_menu")
    how = dict(disks=[disk], smp=2)
    with Guest("boot_menu", phantom("panic=exit"), **how) as guest:
        guest.prompt(total=300)
        guest.command("echo old >/root/f")
        _, epoch = guest.command("psnap now")
        guest.command("echo new >/root/f; (while :; do sleep 1; done) & sync")
    with Guest("boot_menu", phantom("panic=exit menu"), **how) as guest:
        shown = asked(guest)
        keys = [key for key, at in shown.items() if at == epoch.strip()]
        expect(len(keys) == 1, f"epoch {epoch} is not among {shown}")
        guest.send(keys[0])
        guest.wait(60)
    with Guest("boot_menu", phantom("panic=exit menu"), **how) as guest:
        expect(len(asked(guest)) > len(shown), "what was given up is not kept")
        guest.send("\r")
        resumed(guest)
        _, output = guest.command("cat /root/f; sync; (sleep 1000; :) & sync")
        expect(output.startswith("old\n"), output)
    for _ in range(4):
        with Guest("boot_menu", phantom("panic=exit"), **how) as guest:
            guest.expect(r"store: epoch", total=120)
    with Guest("boot_menu", phantom("panic=exit"), **how) as guest:
        asked(guest)
        guest.keys("f")
        guest.prompt(total=120)
        _, output = guest.command("cat /root/f; ps | grep -c '[s]leep 1000'")
        expect(output == "old\n0\n", output)
    os.unlink(disk)


def offered(guest):
    """Behind `p` at the menu: (number, state, name) of the processes on the screen, when the question for one stands there."""
    start = guest.expect(r"Processes, by number, state and name.*\n", total=60).end()
    end = guest.expect(r"Which one shall be stopped\? .*none\. ", total=60).start()
    return [(pid.decode(), state.decode(), name.decode()) for pid, state, name in re.findall(rb"(?m)^ *(\d+) ([A-Z]) (.*?)\r?$", guest.log[start:end])]


def states_of(guest, pid):
    """The letters of all threads of a process, sorted, and how often the slowest part of the program /futex has gone round."""
    _, output = guest.command(f"sed -n 's/^State:.\\(.\\).*/\\1/p' /proc/{pid}/task/*/status | sort | tr -d '\\n'; echo; cat /s/futex")
    expect("FAILED" not in output and "alive" in output, output)
    return output.split()[0], int(output.split()[3])


@test
def boot_menu_stop():
    """The menu stops one process, all its threads in the middle of their calls, before any runs: its parent sees that, SIGCONT continues it and no wake-up is lost. It stays stopped over a power cut. What cannot be stopped is said."""
    disk, tar = store_disk("boot_menu_stop"), os.path.join(BUILD, "tests/boot_menu_stop.tar")
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as t:
        t.add(os.path.join(BUILD, "tests/survive/futex"), "futex")
    how = dict(disks=[disk, tar], smp=2)
    with Guest("boot_menu_stop", phantom("panic=exit"), **how) as guest:
        guest.prompt(total=300)
        guest.command("cd /; tar -xf /dev/vdb; (while :; do echo >>/tmp/count; done) & BUSY=$!; mkfifo /tmp/p; (read x </tmp/p; echo got $x >/tmp/got) & READER=$!")
        guest.command("/futex & sleep 2; for p in $(pidof futex); do [ $(ls /proc/$p/task | wc -l) = 4 ] && PARTS=\"$PARTS $p\"; done")
        _, output = guest.command("echo $BUSY $READER $PARTS; sync")
        busy, reader, *parts = output.split()
        expect(len(parts) == 4, output)
    with Guest("boot_menu_stop", phantom("panic=exit menu"), **how) as guest:
        asked(guest)
        guest.send("p\r\n")
        shown = offered(guest)
        ranks = ["RDSTZ".index(state) for _, state, _ in shown]
        expect(ranks == sorted(ranks) and (busy, "R", "sh") in shown and (reader, "S", "sh") in shown, f"{busy}, {reader}: {shown}")
        for wrong, answer in (("31999", "There is no process 31999"), ("1", "Process 1 is init"), ("init", "There is no process init"), ("99999999999999", "There is no process 9999999999")):
            guest.send(wrong + "\r")
            guest.expect(answer, total=20)
        guest.send("0\r")
        guest.expect("What shall be started", total=20)
        guest.keys("p", "9", "backspace", *busy, "ret")
        guest.expect(f"process {busy} is stopped", total=60)
        resumed(guest)
        _, output = guest.command("wc -l </tmp/count; sleep 2; wc -l </tmp/count; jobs")
        before, after, jobs = output.split("\n", 2)
        expect(before == after and jobs.count("Stopped") == 1, output)
        _, output = guest.command("kill -CONT $BUSY; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; [ $(wc -l </tmp/count) -gt " + after + " ] && break; done; echo $i; kill $BUSY; sync")
        expect(re.fullmatch(r"[1-8]\n", output), output)
    for n, part in enumerate(parts):
        with Guest("boot_menu_stop", phantom("panic=exit menu"), **how) as guest:
            asked(guest)
            guest.send("p")
            offered(guest)
            guest.send(part + "\r")
            resumed(guest)
            expect(states_of(guest, part)[0] == "TTTT", "not all of its threads are stopped")
            guest.command("sync")
        with Guest("boot_menu_stop", phantom("panic=exit" + (" menu" if n == 0 else "")), **how) as guest:
            if n == 0:
                asked(guest)
                guest.send("p")
                offered(guest)
                guest.send(part + "\r")
                guest.expect(f"Process {part} is stopped already", total=20)
                guest.send(reader + "\r")
            resumed(guest)
            letters, before = states_of(guest, part)
            expect(letters == "TTTT", f"the power cut continued it: {letters}")
            guest.command(f"sleep 1; kill -CONT {part}; n=0; while read x y i </s/futex; [ $i -le {before + 2} ] && [ $n -lt 60 ]; do n=$((n+1)); sleep 1; done")
            letters, after = states_of(guest, part)
            expect("T" not in letters and after > before + 2, f"it does not go on: {letters}, {before} and {after}")
            if n == 0:
                _, output = guest.command("jobs | grep -c Stopped; echo me >/tmp/p; kill -CONT $READER; while [ ! -s /tmp/got ]; do sleep 1; done; cat /tmp/got")
                expect(output.endswith("\ngot me\n"), output)
            guest.command("sync") # or the next life may begin in the middle of a line that was typed
    for path in (disk, tar):
        os.unlink(path)


@test
def attempts():
    """Boots are counted until one has run for ten seconds, or was turned off in order: only what fails again and again asks what to start."""
    disk = store_disk("attempts")
    how = dict(disks=[disk], smp=2)

    def counted(guest):
        resumed(guest)
        found = re.search(rb"boot attempt (\d+)", guest.log)
        return int(found.group(1)) if found else 1

    with Guest("attempts", phantom("panic=exit"), **how) as guest:
        guest.prompt(total=300)
        guest.command("sync")
    for n in (2, 3):
        with Guest("attempts", phantom("panic=exit"), **how) as guest:
            expect(counted(guest) == n, f"this is boot {n} after one that was cut")
    with Guest("attempts", phantom("panic=exit"), **how) as guest:
        expect(counted(guest) == 4, "this is boot 4")
        guest.command("sleep 11; sync", total=120)
    with Guest("attempts", phantom("panic=exit"), **how) as guest:
        expect(counted(guest) == 1, "the boot before went well")
    with Guest("attempts", phantom("panic=exit"), **how) as guest:
        expect(counted(guest) == 2, "the boot before was cut")
        guest.send("poweroff\n")
        guest.wait(60)
    with Guest("attempts", phantom("panic=exit"), **how) as guest:
        expect(counted(guest) == 1, "it was turned off in order")
    os.unlink(disk)


@test
def discard():
    """What a deleted file had is given back to the disk, in whole, and what stays is whole, as a scrub finds, too."""
    disk = store_disk("discard")
    with Guest("discard", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.prompt(total=300)
        guest.command("echo auto 0 >/proc/phantom/control; head -c 20000000 /dev/urandom >/big; head -c 3000000 /dev/urandom >/stays; sync")
        held = os.stat(disk).st_blocks * 512
        _, output = guest.command("rm /big; md5sum /stays; told() { sed -n 's/^disk_discarded_bytes //p' /proc/phantom/status; }; "
                                  "until [ $(told) -ge 18000000 ]; do E=$(psnap now); psnap drop $E; sleep 1; done; echo told $(told)", total=300)
        told = int(re.search(r"told (\d+)", output).group(1))
        expect(18000000 <= told <= 60000000, f"of 20,000,000 bytes {told} were given back")
    expect(os.stat(disk).st_blocks * 512 < held - 15000000, "the image did not shrink")
    with Guest("discard", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        resumed(guest)
        _, again = guest.command("md5sum /stays")
        expect(again.split()[0] in output, again)
        status, output = guest.command("psnap scrub | cat; psnap --json scrub; psnap status | grep scrub", total=120)
        expect(re.search(r"[\d.]+ MiB read in \d+ states, 0 damaged pages, of which 0 were written anew\n", output) and '"damaged": 0' in output
               and "scrub       done" in output, output)
    subprocess.run([os.path.join(BUILD, "pfsck"), disk], check=True, stdout=subprocess.DEVNULL)
    os.unlink(disk)


@test
def boot_menu_uefi():
    """By UEFI the menu stands on the screen, and takes answers from the serial line and from a keyboard on USB, the only one there is; what was typed there is not typed again in the shell."""
    os.makedirs(SCREENS, exist_ok=True)
    disk = store_disk("boot_menu_uefi")
    with Guest("boot_menu_uefi", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.prompt(total=300)
        guest.command("echo $$; n=7; for i in 1 2 3 4 5 6 7 8 9; do psnap now; done >/dev/null; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 100000 & done; S=$!; sync")
        _, output = guest.command("echo $S; sync")
        sleeper = output.strip()
    usb = ["-machine", "q35,i8042=off", "-device", "nec-usb-xhci,id=xhci", "-device", "usb-kbd,bus=xhci.0"]
    with Guest("boot_menu_uefi", phantom("panic=exit menu") + usb, disks=[disk], smp=2, uefi=True) as guest:
        asked(guest)
        guest.screenshot(os.path.join(SCREENS, "menu_uefi.png"))
        guest.send("p")
        offered(guest)
        time.sleep(1)
        guest.screenshot(os.path.join(SCREENS, "menu_uefi_processes.png"))
        guest.keys(*sleeper[:-1], "5", "backspace", "kp_" + sleeper[-1])
        time.sleep(1)
        guest.screenshot(os.path.join(SCREENS, "menu_uefi_typed.png"))
        screens = [lit(os.path.join(SCREENS, f"menu_uefi{name}.png")) for name in ("", "_processes", "_typed")]
        expect(2000 < screens[0] < screens[1] < screens[2], f"lit pixels: {screens}")
        guest.keys("ret")
        guest.expect(f"process {sleeper} is stopped", total=60)
        guest.expect(r"\d+ CPUs?, \d+ MiB in use", total=120)
        guest.send("\n")
        guest.prompt(total=60)
        _, output = guest.command("echo $n; jobs | grep -c Stopped; jobs | grep -c Running")
        expect(output == "7\n1\n15\n", output)
    os.unlink(disk)


@test
def bios_cd_64mib():
    """Boots and works from the CD by BIOS in 64 MiB with one CPU of the oldest kind; at most 32 MiB are in use."""
    with Guest("bios_cd_64mib", phantom(), smp=1, cpu="qemu64", memory="64M") as guest:
        works(guest)
        used = in_use(guest, 65536)
        expect(used <= 32768, f"{used} KiB are in use")


@test
def uefi_cd_128mib():
    """Boots and works from the CD by UEFI in 128 MiB."""
    with Guest("uefi_cd_128mib", phantom(), smp=2, memory="128M", uefi=True) as guest:
        works(guest)


@test
def bios_usb():
    """The same image written to a USB stick boots by BIOS."""
    with Guest("bios_usb", phantom(usb=True), smp=2) as guest:
        works(guest)


@test
def uefi_usb():
    """The same image written to a USB stick boots by UEFI."""
    with Guest("uefi_usb", phantom(usb=True), smp=1, uefi=True) as guest:
        works(guest)


@test
def sixteen_cpus():
    """All of 16 CPUs come up."""
    with Guest("sixteen_cpus", phantom(), smp=16) as guest:
        works(guest)
        _, output = guest.command("grep -c ^processor /proc/cpuinfo")
        expect(output.split()[0] == "16", output)


@test
def screen_and_keyboard():
    """A shell stands on the screen without asking; keys reach it, and Alt-F2 changes to another terminal."""
    os.makedirs(SCREENS, exist_ok=True)
    with Guest("screen_and_keyboard", phantom(), smp=2) as guest:
        guest.prompt(total=300)
        time.sleep(2)
        guest.screenshot(os.path.join(SCREENS, "tty1.png"))
        expect(lit(os.path.join(SCREENS, "tty1.png")) > 2000, "the screen is empty")
        guest.keys("e", "c", "h", "o", "spc", "k", "e", "y", "s", "spc", "shift-dot", "slash", "t", "m", "p", "slash", "k", "ret")
        status, output = guest.command("for i in 1 2 3 4 5 6 7 8 9; do [ -s /tmp/k ] && break; sleep 1; done; cat /tmp/k")
        expect(status == 0 and output.startswith("keys"), f"typed on the keyboard, came: {output}")
        guest.screenshot(os.path.join(SCREENS, "typed.png"))
        guest.keys("alt-f2")
        time.sleep(2)
        guest.screenshot(os.path.join(SCREENS, "tty2.png"))
        expect(lit(os.path.join(SCREENS, "tty2.png")) < lit(os.path.join(SCREENS, "typed.png")), "Alt-F2 changed nothing")
        guest.keys("alt-f1")
        time.sleep(2)
        guest.screenshot(os.path.join(SCREENS, "back.png"))
        expect(lit(os.path.join(SCREENS, "back.png")) > 2000, "Alt-F1 did not bring the first terminal back")


def lit(path):
    """How many pixels of a screenshot (PNG, 8 bits a channel) are bright."""
    with open(path, "rb") as f:
        data = f.read()
    at, packed, width, channels = 8, b"", 0, 3
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, channels = struct.unpack(">I", body[:4])[0], {0: 1, 2: 3, 6: 4}[body[9]]
        if kind == b"IDAT":
            packed += body
        at += length + 12
    raw = zlib.decompress(packed)
    stride = width * channels
    previous = bytearray(stride)
    count = 0
    for start in range(0, len(raw), stride + 1):
        line = unfilter(raw[start], bytearray(raw[start + 1:start + 1 + stride]), previous, channels)
        count += sum(value > 100 for value in line[::channels])
        previous = line
    return count


def unfilter(kind, line, previous, channels):
    """Undoes PNG's prediction of one line from its left and upper neighbours."""
    for i, value in enumerate(line):
        left = line[i - channels] if i >= channels else 0
        up = previous[i]
        corner = previous[i - channels] if i >= channels else 0
        if kind == 1:
            value += left
        elif kind == 2:
            value += up
        elif kind == 3:
            value += (left + up) // 2
        elif kind == 4:
            distances = [(abs(up - corner), 0, left), (abs(left - corner), 1, up),
                         (abs(left + up - 2 * corner), 2, corner)]
            value += min(distances)[2]
        line[i] = value & 255
    return line


def ends(name, line):
    """The machine goes off by itself after the command, which kills no program: a trap in a shell is not run."""
    with Guest(name, phantom(), smp=2) as guest:
        works(guest)
        guest.send("(trap 'echo TOLD >/dev/ttyS0' TERM HUP; while :; do sleep 1; done) &\n")
        guest.prompt()
        guest.send(line + "\n")
        status = guest.wait(120)
        expect(status == 0, f"QEMU ended with {status}")
        return b"TOLD\r" in guest.log


@test
def selftest():
    """The machine layer's own tests, workers among them, with one CPU of the oldest kind and with four."""
    for smp, cpu in ((1, "qemu64"), (4, "max")):
        with Guest("selftest", phantom("selftest panic=exit"), smp=smp, cpu=cpu) as guest:
            status = guest.wait(120)
            expect(status == 1 and re.search(rb"SELFTEST [1-9]\d* passed, 0 failed", guest.log),
                   f"{smp} CPUs: QEMU ended with {status}: {guest.tail(8)}")


@test
def poweroff():
    """`poweroff` turns off by reboot(2), and tells no program."""
    expect(not ends("poweroff", "poweroff"), "a program was killed")


@test
def poweroff_fresh():
    """`poweroff --fresh` ends the programs first."""
    expect(ends("poweroff_fresh", "poweroff --fresh"), "the program was not told")


@test
def reboot():
    """`reboot` resets the machine (QEMU is told to end then)."""
    ends("reboot", "reboot")


def boots_with(name, rootfs):
    """Boots the kernel with another boot archive; what came on the serial line until it stopped."""
    iso = os.path.join(BUILD, "iso", name + ".iso")
    os.makedirs(os.path.dirname(iso), exist_ok=True)
    subprocess.run([os.path.join(TOP, "tests/tools/mkiso"), iso, os.path.join(BUILD, "kernel.stripped"), rootfs,
                    "panic=exit"], check=True)
    with Guest(name, ["-cdrom", iso], smp=1) as guest:
        end = time.monotonic() + 60
        try:
            while time.monotonic() < end and b"# " not in guest.log:
                guest.read(5)
        except qemu.Hang:
            pass
        return guest.log.decode(errors="replace")


@test
def damaged_archive():
    """A boot archive with one wrong byte, one that is cut short, and none: each is reported, and no shell starts."""
    good = os.path.join(BUILD, "rootfs.img")
    with open(good, "rb") as f:
        data = f.read()
    bad = bytearray(data)
    bad[len(bad) // 2] ^= 1
    for name, image in (("flipped", bytes(bad)), ("short", data[:len(data) // 2]), ("empty", b"")):
        path = os.path.join(BUILD, f"rootfs-{name}.img")
        with open(path, "wb") as f:
            f.write(image)
        output = boots_with("archive_" + name, path)
        os.unlink(path)
        expect("# " not in output, f"{name}: a shell started")
        expect("archive" in output or "image" in output, f"{name}: not reported:\n{output[-600:]}")


@test
def old_cpu():
    """A machine that lacks what the kernel requires is told so."""
    with Guest("old_cpu", phantom(), smp=1, cpu="qemu64,-cx16") as guest:
        try:
            guest.expect(r"(?i)cx16|cmpxchg16b", total=60)
        except qemu.Hang as hang:
            raise Wrong("nothing is said of a CPU without CX16") from hang


@test
def disks():
    """Two virtio disks are /dev/vda and /dev/vdb; what is written can be read back."""
    paths = []
    for n in range(2):
        path = os.path.join(BUILD, f"disk{n}.raw")
        with open(path, "wb") as f:
            f.truncate((8 + n) << 20)
        paths.append(path)
    with Guest("disks", phantom(), smp=2, disks=paths) as guest:
        works(guest)
        status, output = guest.command("cat /sys/block/vda/size /sys/block/vdb/size && tar -cf /dev/vdb /etc && sync && "
                                       "mkdir /tmp/x && cd /tmp/x && tar -xf /dev/vdb && diff -r /etc /tmp/x/etc")
        expect(status == 0 and output.startswith("16384\n18432\n"), output)
    for path in paths:
        os.unlink(path)


@test
def store_moves():
    """A disk that boots, with a session on it, goes from NVMe to AHCI to USB to virtio and back, the machine killed each time: the session goes on."""
    disk = os.path.join(BUILD, "tests", "store_moves.img")
    subprocess.run([os.path.join(TOP, "installer/mkdisk"), disk, *(os.path.join(BUILD, name) for name in ("install", "mkstore")),
                    "--mb", "256", "--cmdline", "panic=exit", "--new"], check=True, stdout=subprocess.DEVNULL)
    with Guest("store_moves", [], disks=[disk], smp=2, bus="nvme") as guest:
        works(guest)
        guest.command("n=0; head -c 3000000 /dev/urandom >/root/big; md5sum /root/big >/root/sum; sync")
    for turn, (bus, name) in enumerate((("ahci", "sda"), ("usb", "sda"), ("virtio", "vda"), ("nvme", "nvme0n1")), 1):
        with Guest("store_moves", [], disks=[disk], smp=turn, bus=bus) as guest:
            resumed(guest)
            _, output = guest.command(f"n=$((n+1)); echo $n; md5sum -c /root/sum; cat /proc/partitions; dd if=/root/sum of=/dev/{name}; sync")
            expect(output.startswith(f"{turn}\n/root/big: OK\n"), output)
            expect(re.search(rf" {name}p?3\n", output) and "Resource busy" in output, output)
            _, output = guest.command("free >/dev/null; head -c 2000000 /dev/urandom >>/root/big; md5sum /root/big >/root/sum; sync; echo $?")
            expect(output == "0\n", output)
    os.unlink(disk)


FDISK = r"printf 'o\nn\np\n1\n2048\n+40M\nn\ne\n2\n83968\n\nn\nl\n\n+9M\nn\nl\n\n\nt\n1\nc\nw\n' | fdisk /dev/NAME 2>&1"


@test
def partitions_and_fat():
    """On a spare disk of each kind: fdisk makes partitions (also logical ones), they appear; mkfs.fat, mcopy, fsck.fat work on one; what the host reads is the same. A GPT of the host is read, from its backup too."""
    for bus, name, part in (("ahci", "sda", "sda"), ("usb", "sda", "sda"), ("nvme", "nvme0n1", "nvme0n1p"), ("virtio", "vda", "vda")):
        disk = os.path.join(BUILD, "tests", "partitions.img")
        with open(disk, "wb") as f:
            f.truncate(64 << 20)
        with Guest("partitions_and_fat", phantom("panic=exit"), disks=[disk], smp=2, bus=bus) as guest:
            guest.prompt(total=300)
            _, output = guest.command(FDISK.replace("NAME", name))
            expect("WARNING" not in output, output)
            _, output = guest.command(f"cat /sys/block/{name}/{part}[1256]/size /sys/class/block/{part}5/start; ls /dev/{part}[0-9] | wc -l; cd /tmp; grep -c {part}[1256]$ /proc/partitions")
            sizes = list(map(int, output.split()))
            expect(sizes[0] == 81920 and sizes[1] == 2 and sizes[2] == 18432 and sizes[3] > 18000 and sizes[5:] == [4, 4], output)
            expect(83968 < sizes[4] < 84200, output)
            status, output = guest.command(f"mkfs.fat -F 32 -n GUEST /dev/{part}1 && head -c 9999999 /dev/urandom >f && mmd -i /dev/{part}1 ::/dir && mcopy -i /dev/{part}1 f ::/dir/File.bin"
                                           f" && mcopy -i /dev/{part}1 ::/dir/File.bin g && cmp f g && fsck.fat -n /dev/{part}1 && mkfs.fat /dev/{part}5 && fsck.fat /dev/{part}5")
            expect(status == 0, output)
            _, md5 = guest.command("md5sum <f")
            status, output = guest.command(f"printf 'd\n6\nw\n' | fdisk /dev/{name} >/dev/null 2>&1; cat /dev/{part}6; echo /sys/block/{name}/{part}*; sync; blkdiscard /dev/{part}5; dd if=/dev/{part}5 bs=4k count=1 2>/dev/null| tr -d '\\0' | wc -c")
            expect("No such device" in output and output.endswith(f"/{part}5\n0\n"), output)
        done = subprocess.run(["fsck.fat", "-n", "--", part_file(disk, 2048, 81920)], capture_output=True, text=True, check=False)
        expect(done.returncode == 0, done.stdout + done.stderr)
        data = subprocess.run(["mtype", "-i", f"{disk}@@1048576", "::/dir/File.bin"], capture_output=True, check=True).stdout
        expect(hashlib.md5(data).hexdigest() in md5, "the host reads something else")
        os.unlink(disk)
        os.unlink(disk + ".part")


def part_file(disk, first, nsectors):
    """A partition in a file of its own: fsck.fat takes no offset."""
    with open(disk, "rb") as f, open(disk + ".part", "wb") as out:
        f.seek(first * 512)
        out.write(f.read(nsectors * 512))
    return disk + ".part"


def gpt(disk, mib, parts):
    """Writes a GPT with partitions (first, last), primary and backup."""
    sectors = mib << 11
    table = b"".join(struct.pack("<16s16sQQQ72s", b"T" * 16, bytes([n + 1]) * 16, first, last, 0, b"") for n, (first, last) in enumerate(parts))
    table = table.ljust(128 * 128, b"\0")

    def header(at, other, entries):
        fields = [b"EFI PART", 0x10000, 92, 0, 0, at, other, 34, sectors - 34, b"D" * 16, entries, 128, 128, zlib.crc32(table)]
        fields[3] = zlib.crc32(struct.pack("<8sIIIIQQQQ16sQIII", *fields))
        return struct.pack("<8sIIIIQQQQ16sQIII", *fields).ljust(512, b"\0")

    with open(disk, "wb") as f:
        f.truncate(mib << 20)
        f.write(bytes(446) + struct.pack("<B3sB3sII", 0, b"", 0xee, b"", 1, sectors - 1) + bytes(48) + b"\x55\xaa")
        f.write(header(1, sectors - 1, 2) + table)
        f.seek((sectors - 33) * 512)
        f.write(table + header(sectors - 1, 1, sectors - 33))


@test
def partition_tables():
    """GPTs: a good one, one whose primary is damaged, one with both damaged, and one without the mark of a partition table in its first block."""
    disks = [os.path.join(BUILD, "tests", f"gpt{n}.img") for n in range(4)]
    for n, disk in enumerate(disks):
        gpt(disk, 8, [(2048, 4095), (4096, 8191)])
        with open(disk, "r+b") as f:
            for at in ([], [512 + 60], [512 + 60, (8 << 20) - 500], [510])[n]:
                f.seek(at)
                f.write(b"\x77")
    with Guest("partition_tables", phantom("panic=exit"), disks=disks, smp=1, bus="nvme") as guest:
        guest.prompt(total=300)
        _, output = guest.command("cd /sys/block; cat nvme*/nvme*/size | tr '\\n' ' '; ls -d nvme*/nvme* | tr '\\n' ' '; dmesg | grep -c 'at the beginning is damaged'; dmesg | grep -c 'both partition tables'")
        expect(output == "2048 4096 2048 4096 nvme0n1/nvme0n1p1 nvme0n1/nvme0n1p2 nvme1n1/nvme1n1p1 nvme1n1/nvme1n1p2 1\n1\n", output)
    for disk in disks:
        os.unlink(disk)


@test
def cd_drive():
    """The live CD in a SATA drive is /dev/sr0: all of it can be read, nothing written; a drive without a disc says so."""
    iso = os.path.join(BUILD, "phantom.iso")
    with open(iso, "rb") as f:
        md5 = hashlib.md5(f.read()).hexdigest()
    drives = ["-device", "ich9-ahci,id=ahci", "-drive", f"file={iso},format=raw,if=none,id=cd,readonly=on,media=cdrom", "-device", "ide-cd,drive=cd,bus=ahci.0",
              "-device", "ide-cd,bus=ahci.3"]
    with Guest("cd_drive", phantom("panic=exit") + drives, smp=2) as guest:
        guest.prompt(total=300)
        _, output = guest.command("md5sum </dev/sr0; cat /sys/block/sr[01]/removable; dd if=/dev/sr1 count=1; dd if=/dev/zero of=/dev/sr0 count=1; blockdev --getss /dev/sr0; blockdev --getro /dev/sr0")
        expect(output.startswith(md5) and "1\n1\n" in output and output.endswith("2048\n1\n"), output)
        expect("sr1': No medium found" in output and "sr0': Read-only" in output, output)


# Sectors that fail: reads at 8 MiB, writes at 12 MiB.
FAULTS = """[inject-error]
event = "read_aio"
errno = "5"
sector = "16384"
[inject-error]
event = "write_aio"
errno = "5"
sector = "24576"
"""


@test
def failing_disk():
    """Sectors that cannot be read or written give EIO, alone: beside them everything works, before, at the same time and after."""
    disk, rules = os.path.join(BUILD, "tests", "failing.img"), os.path.join(BUILD, "tests", "failing.conf")
    with open(disk, "wb") as f:
        f.truncate(32 << 20)
    with open(rules, "w", encoding="ascii") as f:
        f.write(FAULTS)
    for bus, name in (("ahci", "sda"), ("usb", "sda"), ("nvme", "nvme0n1"), ("virtio", "vda")):
        controller, device = qemu.BUSES[bus]
        extra = controller + ["-drive", f"file=blkdebug:{rules}:{disk},format=raw,if=none,id=disk0", "-device", device.format(n=0)]
        with Guest("failing_disk", phantom("panic=exit") + extra, smp=2) as guest:
            guest.prompt(total=300)
            guest.command("dmesg -n 1")
            guest.command(f"cd /tmp; head -c 4000000 /dev/urandom >f; dd if=f of=/dev/{name} bs=64k 2>/dev/null && sync;"
                          f" (while :; do dd if=/dev/{name} bs=64k count=62 2>/dev/null | head -c 4000000 | cmp - f || echo DIFFERS >>e; done) & sleep 1")
            guest.command(f"for i in 1 2 3 4 5; do dd if=/dev/{name} bs=64k skip=128 count=1 of=/dev/null; dd if=/dev/zero of=/dev/{name} bs=4k seek=3072 count=1; done >>e 2>&1")
            # What QEMU says of it on the same line is behind us.
            _, output = guest.command(f"kill %1; cat e; dd if=/dev/{name} bs=64k skip=129 count=1 2>/dev/null | wc -c; dd if=/dev/zero of=/dev/{name} bs=4k seek=3073 count=1 && echo WRITTEN")
            expect("DIFFERS" not in output and output.count("I/O error") == 10 and output.count("dd: error writing") == 5, output)
            expect("\n65536\n" in output and output.endswith("WRITTEN\n"), output)
            _, output = guest.command("dmesg | grep -c ': [rw][a-z]* of [0-9]* sectors at .* failed'")
            expect(output == ("10\n" if bus != "virtio" else "0\n"), output)
    os.unlink(disk)
    os.unlink(rules)


@test
def working_set():
    """What was asked for in the first second of one life is read ahead in the next."""
    disk = store_disk("working_set")

    def paged(guest):
        """Pages that came from the store after somebody had asked for them, and before."""
        _, output = guest.command("sleep 2; sync; cat /proc/phantom/status", total=120)
        fetched, ahead = (int(re.search(rf"(?m)^{name}_pages (\d+)", output)[1]) for name in ("fetched", "read_ahead"))
        return fetched - ahead, ahead

    with Guest("working_set", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.prompt(total=300)
        guest.command("seq 1 200000 >/root/numbers; (while :; do sort -n /root/numbers | md5sum; find / | md5sum; done) >/dev/null 2>&1 & sleep 1; sync")
    lives = []
    for _ in range(2):
        with Guest("working_set", phantom("panic=exit"), disks=[disk], smp=2) as guest:
            guest.expect(r"\d+ CPUs?, \d+ MiB in use", total=120)
            lives.append(paged(guest))
    (asked, none), (_, ahead) = lives
    expect(asked and not none and ahead, f"asked for, read ahead: {lives}")
    os.unlink(disk)


LARGE = hashlib.md5(b"x" * (200 << 20)).hexdigest()


@test
def larger_than_memory():
    """With a store, its disk is how much there may be: df says so, a program gets more memory than the machine has, in one piece, and what it writes to it comes back."""
    disk = store_disk("larger", 1024)

    def left(guest):
        return int(guest.command("df -m / | awk 'NR == 2 { print $4 }'")[1])

    with Guest("larger", phantom("panic=exit"), disks=[disk], smp=2, memory="128M") as guest:
        guest.prompt(total=300)
        guest.command("sync")
        before = left(guest)
        expect(700 < before < 1024, f"{before} MiB are left")
        guest.command("dd if=/dev/urandom of=/root/random bs=1M count=60 2>/dev/null; sync", total=300)
        after = left(guest)
        expect(58 <= before - after < 70, f"{before} MiB were left, and now {after}")
        for _ in range(2):
            _, output = guest.command("tr '\\0' x </dev/zero | dd bs=200M count=1 iflag=fullblock 2>/dev/null | tee /root/x | md5sum; sync", total=300)
            expect(output.startswith(LARGE), output)
            _, output = guest.command("md5sum </root/x; rm /root/x; sync", total=300)
            expect(output.startswith(LARGE), output)
        guest.command(f"rm /root/random; sync; {DROP_ALL}; sync; sleep 1; sync", total=300)  # one may have been kept meanwhile: each minute one is
        expect(left(guest) > before / 2, f"{before} MiB were left, and now {left(guest)}")
        status, _ = guest.command("dd if=/dev/zero of=/dev/null bs=1100M count=1 2>/dev/null")
        expect(status, "a buffer larger than the disk")
    os.unlink(disk)


TICK = ('package .demo; class tick { int n; int twice( var i : int ) { return 2 * i; } void run( var boot : .internal.bootstrap ) [8] {'
        ' boot.getRoot().put( "tick", this ); while( 1 ) { n++; boot.consolePrint( "n" + n + "\\n" ); boot.sleep( 20 ); } } };')
CHAT = ('package .demo; import .phantom.unix.*; class chat { void run( var boot : .internal.bootstrap ) [8] { var cat : process = new process( boot, "cat".split( " " ) );'
        ' for( var i : int = 1; ; i++ ) { cat.send( "line " + i + "\\n" ); var b : .internal.binary = cat.read(); new file( boot, "/root/chat" ).append( b.text( 0, b.length() ) ); boot.sleep( 20 ); } } };')
AGAIN = ('package .demo; class again { void run( var boot : .internal.bootstrap ) [8] {'
         ' boot.16( "bef" + "ore\\n" ); boot.reboot(); boot.16( "beh" + "ind it\\n" ); } };')
BESIDE = ('package .demo; class beside { int n; int attempts; void run( var boot : .internal.bootstrap ) [8] {'
          ' var bank = boot.getRoot().get( "bank" ); boot.getRoot().put( "beside", this ); for( ;; ) { n++; attempts = bank.attempts(); boot.sleep( 20 ); } } };')
SPOKEN = "awk '$2 != NR { exit 1 } END { print NR }' /root/chat"
BANK = "$BANK/objects/bank"


@test
def native_programs():
    """Programs of the object machine, compiled on the system: what they print, what a wrong one gets, looking into them; they go on after a power cut, those that wait for input too, and one that talks with a Unix program; and behind a reboot of their own."""
    disk = store_disk("native_programs")
    with Guest("native_programs", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.prompt(total=300)
        _, output = guest.command(f"cd; echo '{TICK}' >tick.ph; plc tick.ph && ls demo; echo 'class .wrong {{ int f() {{ return x; }} }};' >wrong.ph; plc wrong.ph; ls")
        expect("tick.pvmc" in output and "wrong.ph:1:33" in output and "wrong.pvmc" not in output, output)
        _, output = guest.command("plc -w /usr/share/phantom/*.ph && pvm run .programs.scheduler 1 >/dev/null; pvm run .demo.absent; pvm run .demo.tick /x 2>&1 | head -n 2")
        expect("absent" in output and "n1\nn2\n" in output, output)
        guest.command("pvm run .programs.start_bank 10 4 100000000 & BANK=$!; while ! pvm call " + BANK + " audit 2>/dev/null; do :; done")
        _, output = guest.command(f"echo '{BESIDE}' >beside.ph; plc beside.ph; BESIDE=$(pvm start $BANK .demo.beside); echo $BESIDE; ! pvm start $BANK .demo.absent", total=120)
        expect(re.search(r"(?m)^\d+/threads/\d+$", output) and "pvm: .demo.absent: no such class" in output, output)
        _, output = guest.command(f"echo '{CHAT}' >chat.ph; plc chat.ph; pvm run .demo.chat & CHAT=$!; while ! [ $({SPOKEN}) -gt 20 ]; do sleep 1; done 2>/dev/null", total=120)
        guest.send("pvm run .demo.tick & TICK=$!\n")
        guest.expect(r"n5\r", total=120)
        guest.send(f"DONE=$(pvm call {BANK} attempts); echo be''fore; sync; echo syn''ced\n")
        guest.expect(r"\nbefore\r", total=120)
        before = max(int(n) for n in re.findall(rb"n(\d+)\r", guest.log[:guest.at]))
        guest.expect(r"\nsynced\r", total=120)
    last = max(int(n) for n in re.findall(rb"n(\d+)\r", guest.log))
    with Guest("native_programs", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.expect(r"\d+ CPUs?, \d+ MiB in use", total=120)
        numbers = [int(guest.expect(r"n(\d+)\r", total=120)[1]) for _ in range(5)]
        expect(before < numbers[0] <= last + 1 and numbers == list(range(numbers[0], numbers[0] + 5)), f"{numbers} after {before}, {last}")
        _, output = guest.command("ps | grep '[d]emo.tick'; pvm ps $TICK; pvm ls $TICK/objects; pvm call $TICK/objects/tick twice 21; su user -c \"pvm inspect $TICK\"; pvm stop $TICK; wait $TICK; echo $?",
                                  total=120)
        for pattern in (r"pvm run \.demo\.tick", r"1 (sleeps|ready) \.demo\.tick", r"tick\t\.demo\.tick", r"(^|\n)42\n", "no such program", r"(^|\n)1\n$"):
            expect(re.search(pattern, output), f"{pattern}: {output}")
        _, output = guest.command(f"pvm call {BANK} audit; echo $?; [ $(pvm call {BANK} attempts) -ge $DONE ] && pvm inspect {BANK}/sum", total=120)
        expect(output == "0\n1000\n", output)
        _, output = guest.command("for i in 1 2; do pvm inspect $BANK/objects/beside/n; pvm inspect $BANK/objects/beside/attempts; sleep 1; done", total=120)
        numbers = [int(n) for n in output.split()]
        expect(len(numbers) == 4 and 0 < numbers[0] < numbers[2] and 0 < numbers[1] < numbers[3], output)
        _, output = guest.command("pvm stop $BESIDE; pvm ps $BANK | grep -c beside", total=120)
        expect(output == "0\n", output)
        _, output = guest.command(f"{SPOKEN}; sleep 1; {SPOKEN}; pvm stop $CHAT 2>/dev/null; wait $CHAT; while pidof cat >/dev/null; do sleep 0.1; done; {SPOKEN}", total=120)
        numbers = [int(n) for n in re.findall(r"(?m)^(\d+)$", output)]
        expect(20 < numbers[0] < numbers[1] <= numbers[2], output)
        guest.command("while sync; do echo in''deed; sleep 1; done & SYNC=$!")
        guest.send("pvm run .programs.phonebook\nadd Ann 123\n")
        guest.expect(r"\nAnn: 123\r", total=60)
        guest.send("add Bob 45\n")
        guest.expect(r"\nBob: 45\r", total=60)
        for _ in range(2):  # the second commit began after the book had Bob
            guest.expect("indeed", total=60)
    with Guest("native_programs", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.expect(r"\d+ CPUs?, \d+ MiB in use", total=120)
        guest.send("list\nquit\n")
        guest.expect(r"\nAnn: 123\r\nBob: 45\r", total=60)
        guest.expect("2 in the book", total=60)
        guest.send("kill $SYNC\n")
        _, output = guest.command(f"pvm call {BANK} audit; echo $?; pvm call {BANK} total; pvm stop $BANK; wait $BANK; echo $?", total=120)
        expect(re.search(r"(^|\n)0\n1000\n(.*\n)*1\n$", output), output)
        guest.command(f"echo '{AGAIN}' >again.ph; plc again.ph; su user -c \"pvm run .demo.again\" >denied 2>&1")
        guest.send("pvm run .demo.again\n")
        status = guest.wait(120)
        expect(status == 0 and b"\nbefore\r" in guest.log, f"QEMU ended with {status}")
    with Guest("native_programs", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.expect(r"\nbehind it\r", total=120)
        _, output = guest.command("cat denied", total=60)
        expect(".internal.error.unavailable: reboot: Operation not permitted" in output and "behind" not in output, output)
    os.unlink(disk)


@test
def phantom_names():
    """/phantom: a native program's objects as files, for root and its user alone; the same after a power cut, and after its end nothing."""
    disk = store_disk("phantom_names")
    with Guest("phantom_names", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        guest.prompt(total=300)
        guest.command(f"cd /home/user; echo '{TICK}' >tick.ph; plc tick.ph; su user -c 'pvm run .demo.tick >/dev/null & echo $! >/tmp/tick'; TICK=$(cat /tmp/tick); cd /phantom")
        _, output = guest.command("while ! [ -d $TICK/objects/tick ]; do sleep 0.1; done; ls /phantom | grep -cx $TICK; ls $TICK $TICK/objects $TICK/objects/tick | cat; stat -c '%U %a %F' $TICK $TICK/objects/tick/n", total=120)
        for pattern in (r"^1\n", r"\nclasses\nobjects\nthreads\n", r":\ntick\n", r":\nn\n", r"user 500 directory\nuser 400 regular file\n$"):
            expect(re.search(pattern, output), f"{pattern}: {output}")
        _, output = guest.command("N=$(cat $TICK/objects/tick/n); sleep 1; [ $(cat $TICK/objects/tick/n) -gt $N ]; echo $?; cat $TICK/objects/tick/.value; find $TICK | wc -l; grep -rl 'demo.tick' $TICK/objects; touch $TICK/x; umount /mnt; ls 77777")
        for pattern in (r"^0\n\.demo\.tick \{ n: \d+ \}\n\d+\n", r"\d+/objects/\.value\n", r"/objects/tick/\.value\n", "x: Read-only file system", "77777: No such file"):
            expect(re.search(pattern, output), f"{pattern}: {output}")
        _, output = guest.command("su user -c 'cat /phantom/*/objects/tick/n'; pvm run -L /home/user .demo.tick >/dev/null & while ! [ -d /phantom/$!/objects/tick ]; do sleep 0.1; done; su user -c \"cat /phantom/$!/objects/tick/n\"; cat /phantom/$!/objects/tick/n; kill $!; sync", total=120)
        expect(re.search(r"\n?\d+\n.*Permission denied\n(.*\n)*\d+\n", output), output)
    with Guest("phantom_names", phantom("panic=exit"), disks=[disk], smp=2) as guest:
        resumed(guest)
        _, output = guest.command("pwd; M=$(cat $TICK/objects/tick/n); [ $M -gt $N ]; echo $?; kill -STOP $TICK; cat $TICK/objects/tick/n; kill -CONT $TICK; sleep 6; cat $TICK/objects/tick/n", total=120)
        expect(re.search(r"^/phantom\n0\n.*: I/O error\n\d+\n$", output), output)
        _, output = guest.command("cd $TICK/objects; kill $TICK; while kill -0 $TICK 2>/dev/null; do sleep 0.1; done; ls /phantom | grep -x $TICK; cat /phantom/$TICK/objects/tick/n; ls; cd /; umount /phantom; ls -A /phantom | wc -l", total=120)
        for pattern in (r"/objects/tick/n': No such file", "Stale", r"\n0\n$"):
            expect(re.search(pattern, output), f"{pattern}: {output}")
    os.unlink(disk)


@test
def native_hostile():
    """A bank of objects under 1,000 barriers a second, pretended recoveries and absent pages; what a program may not do ends the program alone."""
    programs = {"hungry": 'void run() [8] { var all : .internal.object[] = new .internal.object[](); for( var i : int = 0; ; i++ ) all[i] = new .hungry(); }',
                "deep": "int f( var n : int ) { return f( n + 1 ); } void run() [8] { f( 0 ); }",
                "endless": "void run() [8] { while( 1 ) ; }"}
    with Guest("native_hostile", phantom("panic=exit barrier=1000 chaos=50 absent=20"), smp=2) as guest:
        guest.prompt(total=300)
        _, output = guest.command("cd; plc -w /usr/share/phantom/*.ph && pvm run .programs.start_bank 10 4 2000; echo $?", total=300)
        expect(output == "8000 transfers, the sum is 1000, audited meanwhile\n0\n", output)
        for name, body in programs.items():
            status, output = guest.command(f"echo 'class .{name} {{ {body} }};' >{name}.ph; plc -w {name}.ph")
            expect(status == 0, output)
        _, output = guest.command("pvm run --heap 16 .hungry; echo $?; pvm run .deep 2>&1 | head -n 3; timeout 1 pvm run .endless; echo $?", total=300)
        expect("uncaught in thread 1: .internal.error.memory" in output and "(hungry.ph:1)\n1\n" in output, output)
        expect("uncaught in thread 1: .internal.error.stack" in output and output.endswith("\n143\n"), output)


def plug(guest, name, disk, **options):
    """A stick with this disk is put into the port of the controller `xhci`."""
    guest.qmp("blockdev-add", **{"driver": "raw", "node-name": name, "file": {"driver": "file", "filename": disk}})
    guest.qmp("device_add", driver="usb-storage", id=name, drive=name, bus="xhci.0", **options)


def let_go(guest, name):
    """QEMU holds the image of what was taken out until the last write that it began is on it: only then can the same be put in again."""
    for _ in range(600):
        try:
            guest.qmp("blockdev-del", **{"node-name": name})
            return
        except qemu.QmpError:
            time.sleep(0.1)
    raise qemu.Hang(f"{name}: QEMU does not let go of its image")


def goes_away(guest, disk, part, device):
    """QEMU's device is taken out while a partition of it is written to, and open: writes fail with EIO, and it is gone from /dev and /sys. The shell has WAIT_FOR."""
    guest.send(f"exec 3>/dev/{part}; (while dd if=/dev/zero of=/dev/{part} bs=64k count=16; do :; done) >/tmp/o 2>&1 & sleep 1\n")
    guest.prompt()
    guest.qmp("device_del", id=device)
    _, output = guest.command(f"wait; grep 'I/O\\|No such' /tmp/o; echo x >&3; cat /dev/{disk}; exec 3>&-; wait_for '[ ! -e /sys/block/{disk} ]'; echo $?; ls /sys/block/{disk}; grep {disk} /proc/partitions")
    expect("/O error" in output or "No such device" in output, output)
    expect("write error: I/O error" in output and f"/dev/{disk}': No such device" in output and f"\n0\nls: /sys/block/{disk}: No such" in output, output)


@test
def usb_keyboard():
    """A machine whose only keyboard and mouse are on USB, behind a hub, without MSI: keys, repeats, the shift key and Alt-F2 reach the screen; one that is plugged in later works, too."""
    os.makedirs(SCREENS, exist_ok=True)
    extra = ["-machine", "q35,i8042=off", "-device", "nec-usb-xhci,id=xhci,msi=off,msix=off", "-device", "usb-hub,bus=xhci.0,port=1", "-device", "usb-kbd,id=kbd,bus=xhci.0,port=1.2",
             "-device", "usb-mouse,bus=xhci.0,port=2"]
    with Guest("usb_keyboard", phantom("panic=exit") + extra, smp=2) as guest:
        guest.prompt(total=300)
        _, output = guest.command("dmesg | grep -c i8042; dmesg | grep -o 'interrupts by.*\\|speed, keyboard or mouse'")
        expect(output.startswith("0\ninterrupts by a timer\n"), output)
        for turn in range(2):
            guest.keys("e", "c", "h", "o", "spc", "shift-k", "e", "y", "s", "spc", "shift-dot", "slash", "t", "m", "p", "slash", str(turn), "ret")
            status, output = guest.command(f"for i in 1 2 3 4 5 6 7 8 9; do [ -s /tmp/{turn} ] && break; sleep 1; done; cat /tmp/{turn}")
            expect(status == 0 and output.startswith("Keys"), f"typed on the keyboard, came: {output}")
            if turn == 0:
                guest.qmp("device_del", id="kbd")
                guest.command("while ! dmesg | grep -q 'let go of'; do sleep 0.1; done")
                guest.qmp("device_add", driver="usb-kbd", id="kbd2", bus="xhci.0", port="3")
                guest.command("while [ $(dmesg | grep -c 'Keyboard.*speed') != 2 ]; do sleep 0.1; done")
        guest.screenshot(os.path.join(SCREENS, "usb_typed.png"))
        guest.keys("caps_lock", "a", "caps_lock", "alt-f2")
        time.sleep(2)
        guest.screenshot(os.path.join(SCREENS, "usb_tty2.png"))
        expect(lit(os.path.join(SCREENS, "usb_tty2.png")) < lit(os.path.join(SCREENS, "usb_typed.png")), "Alt-F2 changed nothing")


@test
def usb_plug():
    """A stick that is plugged in appears, with its partitions; taken out in the middle of a write it fails with EIO, and is gone; put in again it is the same disk; another one is another."""
    disks = [os.path.join(BUILD, "tests", f"stick{n}.img") for n in range(2)]
    for disk in disks:
        gpt(disk, 16, [(2048, 4095), (4096, 8191)])
    with Guest("usb_plug", phantom("panic=exit") + ["-device", "qemu-xhci,id=xhci"], smp=2) as guest:
        guest.prompt(total=300)
        guest.command(f"dmesg -n 1; {WAIT_FOR}")
        for turn in range(2):
            plug(guest, f"a{turn}", disks[0], serial="ONE")
            status, output = guest.command("wait_for '[ -e /sys/block/sda/sda2 ] && [ -b /dev/sda2 ] && cmp -n 65536 /dev/zero /dev/sda2' && cat /sys/block/sda/sda*/size || { ls /sys/block /dev/sd*; dmesg | tail -n 20; }")
            expect(status == 0 and output == "2048\n4096\n", output)
            goes_away(guest, "sda", "sda2", f"a{turn}")
            let_go(guest, f"a{turn}")
        plug(guest, "b", disks[1], serial="TWO")
        status, output = guest.command("wait_for '[ -b /dev/sdb2 ]' && cat /sys/block/sdb/serial; cat /dev/sda")
        expect(output.startswith("TWO\n") and "No such device" in output, output)
    for disk in disks:
        os.unlink(disk)


@test
def usb_store_taken_out():
    """The disk of the store is taken out while programs run: it is said, programs that need no disk go on, also when commits have stopped, and save what there is on another disk; what waits for it fails or waits, and nothing panics; the machine that is turned off and on with it goes on."""
    disk, other = store_disk("usb_store"), os.path.join(BUILD, "tests/usb_store.other")
    with open(other, "wb") as f:
        f.truncate(4 << 20)
    more = ["-drive", f"file={other},format=raw,if=none,id=other,cache=unsafe", "-device", "virtio-blk-pci,drive=other"]
    with Guest("usb_store", phantom("panic=exit") + more, disks=[disk], smp=2, bus="usb") as guest:
        guest.prompt(total=300)
        guest.command("n=7; echo gold >/root/gold; sync")
        guest.qmp("device_del", id="usbdisk0")
        guest.expect(r"sda: it was taken out", total=60)
        taken_out = guest.at
        guest.send("\n")
        guest.prompt()
        _, output = guest.command("echo $((n * 6)); cat /root/gold")
        expect(output == "42\ngold\n", output)
        guest.send("echo more >/root/more; sync\n")
        guest.at = taken_out  # a commit that nobody asked for may have found out before
        guest.expect("commits have stopped", total=60)
        guest.send("\n")
        guest.prompt()
        _, output = guest.command("cd /root; tar -cf /dev/vda gold more && tar -xOf /dev/vda; for i in 1 2 3 4 5 6 7 8; do (echo $i | cat) & wait; done | wc -l; vi -c q gold </dev/null >/dev/null 2>&1; cd /")
        expect(output.endswith("gold\nmore\n8\n"), output)
    with Guest("usb_store", phantom("panic=exit"), disks=[disk], smp=2, bus="usb") as guest:
        resumed(guest)
        _, output = guest.command("echo $n; cat /root/gold")
        expect(output == "7\ngold\n", output)
    for path in (disk, other):
        os.unlink(path)


@test
def pcie_taken_out():
    """Disks in the slots of PCIe ports are asked for while they are written to: writes fail with EIO, disk and partitions are gone from /dev and /sys, and the slot is off. The one with the store stays, and all goes on."""
    disks = [os.path.join(BUILD, "tests", f"slot{n}.img") for n in range(2)] + [store_disk("slot_store")]
    devices = ["virtio-blk-pci,disable-legacy=on", "nvme,serial=SLOT", "virtio-blk-pci,disable-legacy=on,serial=STORE"]
    extra = ["-machine", "q35", "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
    for n, (disk, device) in enumerate(zip(disks, devices)):
        if n < 2:
            gpt(disk, 16, [(2048, 4095), (4096, 8191)])
        extra += ["-device", f"pcie-root-port,id=port{n},chassis={n + 1},slot={n + 1}", "-drive", f"file={disk},format=raw,if=none,id=slot{n},cache=unsafe",
                  "-device", f"{device},drive=slot{n},bus=port{n},id=dev{n}"]
    with Guest("pcie_taken_out", phantom("panic=exit") + extra, smp=2) as guest:
        guest.prompt(total=300)
        guest.command(f"dmesg -n 1; m=7; echo gold >/root/gold; {WAIT_FOR}")
        for n, name in enumerate(("vda", "nvme0n1")):
            goes_away(guest, name, name + ("p2" if n else "2"), f"dev{n}")
            _, output = guest.command(f"dmesg | grep '{name[:5]}: it was'")
            expect("all requests fail from now on" in output, output)
            for _ in range(600):
                if not any(device["name"] == f"dev{n}" for device in guest.qmp("qom-list", path="/machine/peripheral")):
                    break
                time.sleep(0.1)
            else:
                raise qemu.Hang(f"{name}: the slot was not turned off")
        guest.qmp("device_del", id="dev2")
        _, output = guest.command("wait_for 'dmesg | grep \"slot 3: its device is needed and stays\"'; sync; echo $((m * 6)); cat /root/gold /sys/block/vdb/serial")
        expect("is needed" in output and output.endswith("42\ngold\nSTORE\n"), output)
    for disk in disks:
        os.unlink(disk)


def main():
    if sys.argv[1:] == ["-l"]:
        print("\n".join(TESTS))
        return
    failed = 0
    for name in sys.argv[1:] or TESTS:
        try:
            TESTS[name]()
            print(f"PASS boot {name}", flush=True)
        except (Wrong, qemu.Hang) as why:
            print(f"FAIL boot {name} {why}", flush=True)
            failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
