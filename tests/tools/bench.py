#!/usr/bin/env python3
"""bench.py - instructions: ours beside Debian's Linux, in the same QEMU, counted exactly.

    bench.py             run both, print ours, Linux, ratio for each row, then `geomean R`; write tests/bench/figures
    bench.py check       run ours alone; PASS or FAIL for each row against tests/bench/figures
    bench.py disk [BUS]  run both, print instructions per MiB that dd reads and writes, direct and in sequence, of a disk of each kind
    bench.py persist [PART...]  what persistence costs, beside its goals (benchpersist.py)

Under -icount shift=0 one tick of the time stamp counter is one instruction (or, while the machine waits, 1 ns). Rows are
those of tests/bench/bench.c, and
  first_prompt   from the kernel's first instruction (Linux: behind its decompressor) to the first prompt of the shell on
                 ttyS0, without time that the machine waits; one fork and exec that marks the prompt is in it
  memory_kib     RAM that is not free at that prompt, kernel and boot archive included
  spin_1000hz    ours only: ticks of a program that works, with 1,000 barriers a second, in percent of those without
A row must not be above Linux's, nor 10 % above what was committed.
"""
import math
import os
import re
import struct
import subprocess
import sys

import qemu
from qemu import BUILD, CACHE, TOP

FIGURES = os.path.join(TOP, "tests/bench/figures")
MEMORY_MIB = 256
# What must hold of rows that are not simply compared with Linux.
LIMITS = {"first_prompt": 0.1, "geomean": 0.7}
SPIN_LIMIT = 105
MEMORY_LIMIT = 32768


def entry_address():
    """Physical address of our kernel's first instruction."""
    with open(os.path.join(BUILD, "kernel.stripped"), "rb") as f:
        return struct.unpack_from("<Q", f.read(32), 24)[0] - 0xffffffff80000000


def marks(name, boot, entry, lines=(), **options):
    """Instructions from the one at entry to the first prompt, and to the one behind each of the lines that are typed, counted by a plugin of QEMU."""
    out = os.path.join(BUILD, f"bench/{name}.count")
    if os.path.exists(out):
        os.unlink(out)
    plugin = ["-plugin", f"{BUILD}/tests/count.so,entry={entry:#x},out={out}"]
    with qemu.Guest(f"bench-{name}", boot + plugin, memory=f"{MEMORY_MIB}M", icount=True, timeout=300, **options) as guest:
        guest.expect(r"\d+# $")
        for line in lines:
            at = guest.at
            guest.send(line + " || echo N''O\n")
            guest.expect(r"\d+# $")
            if b"\nNO\r" in guest.log[at:]:
                raise qemu.Hang(f"{name}: {line} failed\n" + guest.tail())
    with open(out, encoding="ascii") as f:
        return [int(line) for line in f]


def first_prompt(name, boot, entry):
    return marks(f"prompt-{name}", boot, entry)[0]


def measure(name, boot, entry):
    """{row: value} of one system."""
    rows = {"first_prompt": first_prompt(name, boot, entry)}
    with qemu.Guest(f"bench-{name}", boot, memory=f"{MEMORY_MIB}M", icount=True, timeout=300) as guest:
        guest.expect(r"\d+# $")
        guest.send("while read n v u; do [ $n != MemFree: ] || echo $n$v; done </proc/meminfo\n")
        rows["memory_kib"] = MEMORY_MIB * 1024 - int(guest.expect(r"MemFree:(\d+)\r")[1])
        guest.expect(r"\d+# $")
        _, text = guest.command("/bench/bench")
        for row, value in re.findall(r"^BENCH (\S+) (\d+)", text, re.M):
            rows[row] = int(value)
        if "BENCH-END" not in text:
            raise qemu.Hang(f"{name}: the bench program did not reach its end\n" + text[-1000:])
        return rows


def image(name, cmdline, rootfs="rootfs.img"):
    """An ISO of ours with the bench programs in it."""
    rootfs = os.path.join(BUILD, "bench", rootfs)
    iso = os.path.join(BUILD, f"bench/{name}.iso")
    subprocess.run([os.path.join(TOP, "tests/tools/mkiso"), iso, os.path.join(BUILD, "kernel.stripped"), rootfs,
                    f"panic=exit {cmdline}"], check=True)
    return ["-cdrom", iso, "-boot", "d"]


def spin(cmdline):
    with qemu.Guest("bench-spin", image("spin", cmdline), memory=f"{MEMORY_MIB}M", icount=True, timeout=300) as guest:
        guest.expect(r"\d+# $")
        _, text = guest.command("/bench/spin")
        return int(re.search(r"BENCH spin (\d+)", text)[1])


def ours():
    rows = measure("phantom", image("bench", ""), entry_address())
    rows["spin_1000hz"] = round(100 * spin("barrier=1000") / spin(""), 1)
    return rows


LINUX_ENTRY = 0x1000000


def linux_boot(initrds=(), rootfs="rootfs.cpio"):
    return qemu.linux("nokaslr", initrds, "bench/" + rootfs)


def linux_modules(names):
    """An archive with modules for Linux, and the command that loads them."""
    files = [f"/modules/{name}.ko" for name in names.split()]
    archive = qemu.archive(os.path.join(BUILD, "bench/modules.cpio"), os.path.join(CACHE, "linux/modules"),
                           ["dir /modules 755 0 0", *(f"file {path} 644 0 0 {os.path.basename(path)}" for path in files)])
    return archive, "/bench/insmod " + " ".join(files)


def read_figures():
    """{row: (ours, linux or None)} as committed."""
    figures = {}
    try:
        with open(FIGURES, encoding="ascii") as f:
            for line in f:
                words = line.split("#")[0].split()
                if words:
                    figures[words[0]] = (float(words[1]), float(words[2]) if words[2] != "-" else None)
    except FileNotFoundError:
        pass
    return figures


def geomean(mine, theirs):
    ratios = [mine[row] / theirs[row] for row in mine if theirs.get(row) and row not in ("first_prompt", "memory_kib")]
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def compare():
    mine, theirs = ours(), measure("linux", linux_boot(), LINUX_ENTRY)
    with open(os.path.join(CACHE, "linux/version"), encoding="ascii") as f:
        kernel = " ".join(line.split(": ")[1].strip() for line in f)
    text = f"# Written by `make bench`. Instructions per operation: row, ours, Linux ({kernel}).\n"
    print(f"{'':22}{'ours':>12}{'Linux':>14}{'ratio':>8}")
    for row, value in mine.items():
        other = theirs.get(row)
        print(f"{row:22}{value:>12,}" + (f"{other:>14,}{value / other:>8.3f}" if other else ""))
        text += f"{row} {value} {other or '-'}\n"
    print(f"geomean {geomean(mine, theirs):.3f}")
    with open(FIGURES, "w", encoding="ascii") as f:
        f.write(text)


def check():
    figures = read_figures()
    mine = ours()
    theirs = {row: figures[row][1] for row in figures if figures[row][1]}
    failed = 0
    for row in figures.keys() | mine.keys():
        value, (before, other) = mine.get(row), figures.get(row, (None, None))
        if value is None:
            why = "no figure"
        elif row == "spin_1000hz":
            why = f"{value} %" if value > SPIN_LIMIT else None
        elif row == "memory_kib":
            why = f"{value} KiB" if value > MEMORY_LIMIT else None
        elif other and value > other * LIMITS.get(row, 1):
            why = f"{value}, Linux {other:.0f}"
        else:
            why = f"{value}, was {before:.0f}" if before and value > before * 1.1 else None
        print(f"FAIL bench {row} {why}" if why else f"PASS bench {row}")
        failed += why is not None
    mean = geomean(mine, theirs) if theirs else 0
    print(f"{'FAIL' if mean > LIMITS['geomean'] else 'PASS'} bench geomean {mean:.3f}")
    sys.exit(1 if failed or mean > LIMITS["geomean"] else 0)


# The modules that Debian's Linux needs for a disk of each kind, in an order in which they can be loaded, and the disk's name.
SCSI = "scsi_common scsi_mod crct10dif_common crc-t10dif crc64 crc64-rocksoft t10-pi sd_mod"
DISKS = {
    "virtio": ("vda", "virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk"),
    "nvme": ("nvme0n1", "crct10dif_common crc-t10dif crc64 crc64-rocksoft t10-pi nvme-core nvme"),
    "ahci": ("sda", SCSI + " libata libahci ahci"),
    "usb": ("sda", SCSI + " usb-common usbcore xhci-hcd xhci-pci usb-storage"),
}
DISK_MIB = 8, 24  # what starting dd costs is in both


def disk_rows(name, boot, entry, bus, first):
    """{"read", "write": instructions per MiB}"""
    device = DISKS[bus][0]
    image = os.path.join(BUILD, "bench/disk.img")
    with open(image, "wb") as f:
        f.write(b"x" * (64 << 20))
    lines = first + [f"until [ -b /dev/{device} ]; do sleep 1; done"]
    for how in (f"if=/dev/{device} of=/dev/null iflag=direct", f"if=/dev/zero of=/dev/{device} oflag=direct conv=notrunc"):
        lines += [f"dd bs=1M count={mib} {how}" for mib in (DISK_MIB[0], *DISK_MIB)]  # the first of them is not counted
    counted = marks(f"{name}-{bus}", boot, entry, lines, disks=[image], bus=bus)
    cost = [after - before for before, after in zip(counted, counted[1:])]
    os.unlink(image)
    return {row: (long - short) // (DISK_MIB[1] - DISK_MIB[0]) for row, short, long in (("read", *cost[-5:-3]), ("write", *cost[-2:]))}


def compare_disks(buses):
    print(f"{'instructions per MiB':22}{'ours':>12}{'Linux':>14}{'ratio':>8}", flush=True)
    for bus in buses:
        modules, load = linux_modules(DISKS[bus][1])
        mine = disk_rows("phantom", image("disk", "nostore"), entry_address(), bus, [])
        theirs = disk_rows("linux", linux_boot([modules]), LINUX_ENTRY, bus, [load])
        for row, value in mine.items():
            print(f"{bus + ' ' + row:22}{value:>12,}{theirs[row]:>14,}{value / theirs[row]:>8.3f}", flush=True)


def main():
    if sys.argv[1:] == ["check"]:
        check()
    elif sys.argv[1:2] == ["disk"]:
        compare_disks(sys.argv[2:] or DISKS)
    elif sys.argv[1:2] == ["persist"]:
        import benchpersist  # pylint: disable=import-outside-toplevel
        sys.exit(1 if benchpersist.run(sys.argv[2:]) else 0)
    else:
        compare()


if __name__ == "__main__":
    main()
