"""blocklog.py - the writes of a machine, recorded by QEMU's blklogwrites, and the disks that a power cut may leave of them.

A cut takes the disk as it was, all writes before the last FLUSH in front of the cut, and of the later ones any subset, in any order, torn at 512 bytes.
"""
import os
import struct
import sys

import qemu

SECTOR = 512
MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def recorded(disk, log, bus="virtio"):
    """QEMU's arguments for a disk whose writes are recorded in log, which begins empty. bus: of qemu.BUSES."""
    controller, device = qemu.BUSES[bus]
    with open(log, "wb"):
        pass
    return ["-blockdev", f"driver=file,node-name=d,filename={disk},cache.no-flush=on",
            "-blockdev", f"driver=file,node-name=l,filename={log},cache.no-flush=on",
            "-blockdev", "driver=blklogwrites,node-name=b,file=d,log=l,log-sector-size=512,log-super-update-interval=1",
            *controller, "-device", device.format(n=0).replace("drive=disk0", "drive=b")]


class Log:
    """The writes that blklogwrites recorded: [(flags, sector, offset of the data in the file, sectors)]."""

    def __init__(self, path):
        self.path = path
        self.entries = []
        with open(path, "rb") as f:
            header = f.read(28)
            if len(header) < 28:
                return  # the machine ended before it wrote anything
            magic, version, _, size = struct.unpack("<QQQI", header)
            if magic != MAGIC or version != 1 or size != SECTOR:
                sys.exit(f"{path} is no log of blklogwrites")
            end = os.path.getsize(path)
            at = SECTOR
            # The count in the header is only brought up to date at flushes: read on to the end. What is only half there was not acknowledged.
            while at + SECTOR <= end:
                f.seek(at)
                sector, n, flags, length = struct.unpack("<QQQQ", f.read(32))
                data = at + SECTOR
                at = data + (0 if flags & DISCARD else n * SECTOR)
                if at > end or not (n or flags):
                    break
                if flags & ~(FLUSH | FUA | DISCARD | MARK) or length not in (0, n * SECTOR):
                    sys.exit(f"{path}: entry {len(self.entries)} makes no sense: {sector} {n} {flags} {length}")
                self.entries.append((flags, sector, data, n))

    def before(self, offset):
        """How many entries were in the file when it had offset bytes."""
        return sum(1 for flags, _, data, n in self.entries if data + (0 if flags & DISCARD else n * SECTOR) <= offset)


def cut(log, image, chance, first, end=None):
    """Makes the image, which is the disk before the log's first entry, what a cut at entry `end`, or a random one at or behind entry `first`, leaves. Returns how it was cut."""
    if end is None:
        end = chance.randint(min(first, len(log.entries)), len(log.entries))
    safe = max((i + 1 for i in range(end) if log.entries[i][0] & FLUSH), default=0)
    volatile = [entry for entry in log.entries[safe:end] if entry[3]]
    keep = chance.choice((0, 0.2, 0.5, 0.8, 1))
    pieces = []
    for flags, sector, data, n in volatile:
        if flags & DISCARD:
            if chance.random() < keep:
                pieces.append((flags, sector, data, n))
        elif chance.random() < 0.5: # whole or not at all
            if chance.random() < keep:
                pieces.append((flags, sector, data, n))
        else:
            pieces += [(flags, sector + i, data + i * SECTOR, 1) for i in range(n) if chance.random() < keep]
    chance.shuffle(pieces)
    with open(log.path, "rb") as source, open(image, "r+b") as disk:
        for flags, sector, data, n in log.entries[:safe] + pieces:
            if flags & DISCARD or not n: # discarded blocks may keep their contents, and here they do
                continue
            source.seek(data)
            disk.seek(sector * SECTOR)
            disk.write(source.read(n * SECTOR))
    return f"entry {end} of {len(log.entries)}, {end - safe} behind the last flush, {len(pieces)} pieces of them kept"
