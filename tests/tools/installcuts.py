#!/usr/bin/env python3
"""installcuts.py [N [SEED]] - power cuts of an installation and of an upgrade: N cuts of each (10 if not said), from recorded writes (blocklog.py).

An installation is recorded once, onto an empty disk and onto one with an older Phantom, and cut N times. What a cut leaves is judged as a machine would: without the signature at the end
of sector 0 the BIOS finds nothing to start, without a protective MBR there and a valid partition table (either copy; UEFI 2.10, 5.2.3 and 5.3.2) UEFI finds no partition to start from; neither: cleanly not installed. Otherwise the image must
start, by the firmware that starts it (by turns, where both do), and come to a prompt: with the session once the installer's last flush is behind, else as the disk's older system or the session as it was then.

An upgrade is recorded in two lives: the old kernel's up to the restart, and the new one's until it is confirmed. Whatever a cut of either leaves is started, as often as the machine
starts itself anew, until the upgrade has come to its end; every program of the session is there then, and it is the new kernel that runs.

Prints `PASS install-cuts ...` and `FAIL ...`; a failure leaves the image in build/failed.
"""
import os
import random
import re
import struct
import subprocess
import sys
import time
import zlib

import blocklog
import installtests
import qemu
from installtests import Wrong, expect
from qemu import BUILD, TOP, Guest, phantom

SECTOR = 512
MIB = 256
WHERE = os.path.join(BUILD, "installcuts")


def path(name):
    return os.path.join(WHERE, name)


def copy(source, to):
    subprocess.run(["cp", "--sparse=always", source, to], check=True)


def recorded(name, base, log, boot, **options):
    """A machine on a copy of base, whose writes go to log."""
    copy(base, path("disk.img"))
    return Guest(name, blocklog.recorded(path("disk.img"), log) + boot, **options)


def cut_point(log, first, last, chance):
    """A third of the cuts anywhere, a third around entry `last`, where it all becomes true, a third in a stretch between two flushes, which are of very different length."""
    how = chance.randrange(3)
    if how == 0:
        return chance.randint(first, len(log.entries))
    if how == 1:
        return chance.randint(max(first, last - 40), min(last + 10, len(log.entries)))
    flushes = [first] + [i for i in range(first, len(log.entries)) if log.entries[i][0] & blocklog.FLUSH] + [len(log.entries)]
    i = chance.randrange(len(flushes) - 1)
    return chance.randint(flushes[i], flushes[i + 1])


# ---- what firmware sees ----

def table_is_valid(f, sector):
    """A GPT header, and its entries, as the UEFI specification wants them checked."""
    f.seek(sector * SECTOR)
    header = f.read(SECTOR)
    if header[:8] != b"EFI PART" or zlib.crc32(header[:16] + bytes(4) + header[20:92]) != struct.unpack_from("<I", header, 16)[0]:
        return False
    table, count, size, total = struct.unpack_from("<QIII", header, 72)
    f.seek(table * SECTOR)
    return zlib.crc32(f.read(count * size)) == total


def starts(image):
    """(by BIOS, by UEFI)"""
    with open(image, "rb") as f:
        mbr = f.read(SECTOR)
        signature = mbr[510:] == b"\x55\xaa"
        protective = signature and any(mbr[at + 4] == 0xee for at in range(446, 510, 16))
        return signature, protective and any(table_is_valid(f, sector) for sector in (1, MIB * 2048 - 1))


# ---- installing ----

def install_record(name, base):
    """(log, number of entries when the installer had said that it was done)"""
    log = path(f"{name}.log")
    with recorded(name, base, log, phantom(), smp=2) as guest:
        guest.prompt(total=300)
        installtests.session_begin(guest)
        status, output = guest.command("phantom-install --yes --erase --disk /dev/vda", total=600)
        expect(status == 0, output)
        done = len(blocklog.Log(log).entries)
        guest.command("sync; sleep 1")
        guest.kill()
    return blocklog.Log(log), done


def install_judge(name, image, complete, prefer_uefi):
    bios, uefi = starts(image)
    if complete:
        expect(bios and uefi, "the installer had ended, and the disk does not start")
    if not bios and not uefi:
        return "not installed"
    with Guest(name, [], disks=[image], smp=1, uefi=uefi and (prefer_uefi or not bios)) as guest:
        guest.expect(r"\d+ CPUs?, \d+ MiB in use", total=600)
        guest.send("\n")
        guest.prompt(total=300)
        _, output = guest.command("echo $x")
        if complete or output == "kept\n":
            installtests.session_goes_on(guest, 1)
            return "the session goes on"
        return "an older system is there"


def installing(count, chance):
    bases = {"empty": path("empty.img")}
    with open(bases["empty"], "wb") as f:
        f.truncate(MIB << 20)
    if count > 10:
        bases["older"] = path("older.img")
        subprocess.run([os.path.join(TOP, "installer/mkdisk"), bases["older"], os.path.join(BUILD, "install"), os.path.join(BUILD, "mkstore"), "--mb", str(MIB)], check=True)
    for name, base in bases.items():
        log, done = install_record(f"installcuts-{name}", base)
        for n in range(count // len(bases)):
            copy(base, path("cut.img"))
            end = cut_point(log, 0, done, chance)
            how = blocklog.cut(log, path("cut.img"), chance, 0, end)
            what = install_judge(f"installcuts-{name}-{n}", path("cut.img"), end > done, n % 2 == 1)
            print(f"PASS install-cuts install, disk {name}, cut {n} ({how}): {what}", flush=True)


# ---- upgrading ----

KERNEL = ["-device", "virtio-blk-pci,drive=new,disable-legacy=on"]


def with_kernel(new):
    return ["-drive", f"file={new},format=raw,if=none,id=new,readonly=on", *KERNEL]


def upgrade_record(new):
    """[(base, log, first entry)] of both lives."""
    base, second = path("installed.img"), path("switched.img")
    subprocess.run([os.path.join(TOP, "installer/mkdisk"), base, os.path.join(BUILD, "install"), os.path.join(BUILD, "mkstore"), "--mb", str(MIB)], check=True)
    with recorded("upgradecuts", base, path("old.log"), with_kernel(new), smp=2) as guest:
        guest.prompt(total=300)
        installtests.session_begin(guest)
        guest.send("sh -c 'sync; echo REA\"\"DY; phantom-upgrade /dev/vdb; echo STATUS $?'\n")
        guest.expect("READY", total=300)
        first = len(blocklog.Log(path("old.log")).entries)
        guest.wait(300)
    copy(path("disk.img"), second)
    with recorded("upgradecuts", second, path("new.log"), with_kernel(new), smp=2) as guest:
        guest.expect("STATUS 0", total=600)
        guest.prompt()
        guest.command("sync; sleep 1")
        guest.kill()
    return [(base, blocklog.Log(path("old.log")), first), (second, blocklog.Log(path("new.log")), 0)]


def upgrade_judge(name, image, new):
    """Starts it until the upgrade has ended; what kernels were seen."""
    seen = []
    while len(seen) < 5:
        with Guest(name, with_kernel(new), disks=[image], smp=1) as guest:
            seen.append("new" if guest.expect(r"(Phantom|PHANTOM): \d+ MiB", total=600)[1] == b"PHANTOM" else "old")
            try:
                guest.expect(r"MiB in use", total=600)
                guest.send("\n") # for the shell, if it had all ended before the cut
                guest.expect(r"STATUS \d+|# (\x1b\[6n)?$", total=600)
            except qemu.Hang as hang:
                try:
                    guest.process.wait(5)
                except subprocess.TimeoutExpired:
                    raise hang from None
                continue # it has started itself anew
            guest.send("\n")
            guest.prompt(total=300)
            installtests.session_goes_on(guest, 1)
            expect(seen[-1] == "new" and not re.search(rb"STATUS [^0]", guest.log), f"the upgrade has ended, and kernels were {seen}")
            expect(installtests.environment(image) == {"slot": "b", "other": "a"}, installtests.environment(image))
            return ", ".join(seen)
    raise Wrong(f"no end after {seen}")


def upgrading(count, chance):
    new = installtests.kernel("cuts", installtests.other_name)
    lives = upgrade_record(new)
    for n in range(count):
        base, log, first = lives[n % 2]
        copy(base, path("cut.img"))
        how = blocklog.cut(log, path("cut.img"), chance, first, cut_point(log, first, len(log.entries), chance))
        copy(path("cut.img"), path("judged.img"))
        what = upgrade_judge(f"upgradecuts-{n}", path("judged.img"), new)
        print(f"PASS install-cuts upgrade, {'old' if n % 2 == 0 else 'new'} kernel's life, cut {n} ({how}): {what}", flush=True)
    os.unlink(new)


def main():
    numbers = [int(word) for word in sys.argv[1:]]
    count = numbers[0] if numbers else 10
    seed = numbers[1] if len(numbers) > 1 else int.from_bytes(os.urandom(3), "big")
    failed = 0
    os.makedirs(WHERE, exist_ok=True)
    for name in os.listdir(WHERE):
        os.unlink(path(name))
    print(f"  installcuts: seed {seed}", flush=True)
    for part in (installing, upgrading):
        begin = time.monotonic()
        try:
            part(count, random.Random(seed))
        except (Wrong, qemu.Hang) as why:
            print(f"FAIL install-cuts {part.__name__} (seed {seed}): {why}", flush=True)
            kept = os.path.join(BUILD, "failed", f"installcuts-{part.__name__}.img")
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            if os.path.exists(path("cut.img")):
                copy(path("cut.img"), kept)
                print(f"  left in {os.path.relpath(kept, TOP)}")
            failed = 1
        print(f"  {part.__name__}: {time.monotonic() - begin:.0f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
