#!/usr/bin/env python3
"""installtests.py [NAME...] - from the live CD to a disk that starts by itself; `-l` lists the tests; `matrix` stands for what takes longer: all firmwares and
kinds of disk, and figures.

Each test is a function below; its docstring says what it proves. Prints `PASS install NAME` or `FAIL install NAME why`.
"""
import hashlib
import importlib.machinery
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import uuid

import blocklog
import qemu
from qemu import BUILD, TOP, Guest, phantom

TESTS = {}


class Wrong(Exception):
    """A test failed: the system did something else than it should."""


def test(function):
    TESTS[function.__name__] = function
    return function


def expect(condition, message):
    if not condition:
        raise Wrong(message)


def blank(name, mb):
    path = os.path.join(BUILD, f"install-{name}.raw")
    with open(path, "wb") as f:
        f.truncate(mb << 20)
    return path


def untouched(path):
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            if chunk.count(0) != len(chunk):
                return False
    return True


# A session: a variable of the shell, a job that counts, a stopped job, a pipe with something in it, an unlinked open file.
SESSION = ["x=kept; mkfifo /tmp/pipe; exec 5<>/tmp/pipe; echo in the pipe >&5",
           "exec 6<>/tmp/gone; echo unlinked >&6; rm /tmp/gone",
           "(n=0; while :; do n=$((n+1)); echo $n >/tmp/count; done) & true",
           "sleep 10000 & kill -STOP $!; stopped=$!"]


def session_begin(guest):
    for line in SESSION:
        guest.command(line)


def count(guest):
    # The file is empty for a moment each time.
    _, output = guest.command("until n=$(cat /tmp/count) && [ \"$n\" ]; do :; done; echo $n")
    return int(output.split()[-1])


def session_goes_on(guest, at_least):
    """After `at_least` was seen of the counter; true when everything is there, and it counts on."""
    for command, end in [("echo $x", "kept"), ("head -n1 <&5", "in the pipe"), ("cat /proc/self/fd/6", "unlinked"),
                         ("sed -n 's/^State:.\\(.\\).*/\\1/p' /proc/$stopped/status", "T")]:
        _, output = guest.command(command)
        expect(output.rstrip().endswith(end), f"{command}: {output!r}, not {end!r}")
    now = count(guest)
    expect(now >= at_least, f"the counter is at {now}, and was seen at {at_least} before the installation ended")
    guest.command("sleep 1")
    expect(count(guest) > now, "the counter stands still")
    guest.command("echo in the pipe >&5")


def resumed(guest):
    """A shell that goes on prints nothing by itself."""
    guest.expect(r"MiB in use", total=300)
    guest.send("\n")
    guest.prompt(total=120)


# What the first disk of a kind, and its second partition, are called.
NAMES = {"virtio": ("vda", "vda2"), "nvme": ("nvme0n1", "nvme0n1p2"), "ahci": ("sda", "sda2"), "usb": ("sda", "sda2")}


def from_menu(name, disk, uefi, bus):
    """The boot menu comes with Shift, or by UEFI with F4 (Esc is this firmware's own); its last entry is safe mode."""
    # A BIOS that would show a menu of its own waits for a key, of which Shift is none: so it is held down in time, also on a busy machine.
    with Guest(name, [] if uefi else ["-boot", "menu=on,splash-time=4000"], disks=[disk], uefi=uefi, bus=bus) as guest:
        for turn in range(1, 300):
            # Enter seldom: a menu that comes up between the two keys takes it for its first entry.
            keys = ["f4", "end"] if uefi else ["shift+", "end"] if turn > 12 else ["shift+"]
            guest.burst(*keys, *(["ret"] if turn % 5 == 0 and len(keys) == 2 else []))
            if guest.read(0.4) and b"Phantom: " in guest.log:
                break
        guest.expect(r"Phantom: \d+ MiB", total=10)
        guest.expect("safe mode: the store on", total=60)
        guest.kill()


def install_and_boot(name, uefi, bus):
    """Session along, power cut right behind the installer's last word, disk alone."""
    base, disk, log = blank(name, 256), blank(name + "-disk", 256), os.path.join(BUILD, f"install-{name}.log")
    device, esp = NAMES[bus]
    with Guest(name, blocklog.recorded(disk, log, bus) + phantom(), smp=2, uefi=uefi) as guest:
        guest.prompt(total=300)
        session_begin(guest)
        seen = count(guest)
        status, output = guest.command(f"phantom-install --yes --disk /dev/{device}", total=300)
        expect(status == 0 and f"lives on /dev/{device} now" in output, output)
        guest.kill()
    written = blocklog.Log(log)
    blocklog.cut(written, base, random.Random(name), 0, len(written.entries))
    from_menu(name, base, uefi, bus)
    with Guest(name, [], smp=1, disks=[base], uefi=uefi, bus=bus) as guest:
        resumed(guest)
        session_goes_on(guest, seen)
        status, output = guest.command(f"grep -c . /proc/partitions; fsck.fat -n /dev/{esp}; sed -n 's/^store //p' /proc/phantom/status")
        expect(output.rstrip().endswith("1") and esp in output, output)
        guest.kill()
    for path in (base, disk, log):
        os.unlink(path)


@test
def bios():
    """By BIOS, from an AHCI disk: the session runs on from the disk, after a power cut right behind the installation."""
    install_and_boot("bios", False, "ahci")


@test
def uefi():
    """By UEFI, from an NVMe disk: the same."""
    install_and_boot("uefi", True, "nvme")


def figures():
    """What installing the base system costs: instructions (1 ns in which the machine does not wait is one, under -icount), and room in the store; within what was promised."""
    path = blank("figures", 256)
    with Guest("figures", phantom(), icount=True, disks=[path]) as guest:
        guest.prompt(total=600)
        status, output = guest.command("read -r begin idle </proc/uptime; phantom-install --yes --disk vda >/dev/null; r=$?; read -r end now </proc/uptime; sync; echo $begin $idle $end $now;"
                                       " sed -n 's/^store_\\(blocks\\|free\\) //p' /proc/phantom/status; [ $r = 0 ]", timeout=600)
        expect(status == 0, output)
        begin, idle, end, now, blocks, free = map(float, " ".join(re.findall(r"^[\d. ]+$", output, re.M)).split()) # the kernel's log is in between
        guest.kill()
    os.unlink(path)
    instructions, mib = (end - begin - (now - idle)) * 1e9, (blocks - free) / 256
    print(f"  installing: {instructions:.2e} instructions, at most 6e9; in the store {mib:.1f} MiB, at most 64", flush=True)
    expect(instructions <= 6e9 and mib <= 64, "too much")


def matrix():
    """What takes longer: all firmwares and kinds of disk, and the figures: (name, function)."""
    return [("figures", figures)] + [(f"{'uefi' if firmware else 'bios'}-{bus}", lambda firmware=firmware, bus=bus: install_and_boot(f"matrix-{bus}", firmware, bus)) for firmware in (False, True) for bus in NAMES]


@test
def fresh():
    """--fresh: the disk gets a system of its own; the session goes on in memory, and nothing of it is there. The live CD leaves what is installed alone, and says so."""
    path = blank("fresh", 256)
    with Guest("fresh", phantom(), smp=2, disks=[path]) as guest:
        guest.prompt(total=300)
        session_begin(guest)
        status, output = guest.command("echo mine >/root/mine; phantom-install --yes --fresh --disk vda", total=300)
        expect(status == 0 and "fresh Phantom" in output, output)
        session_goes_on(guest, 1)
        guest.kill()
    with Guest("fresh", [], smp=1, disks=[path]) as guest:
        guest.prompt(total=300)
        _, output = guest.command("ls /root; sed -n 's/^store //p' /proc/phantom/status; echo first >/root/first; sync")
        expect("mine" not in output and output.split()[-1] == "1", output)
        guest.kill()
    replace_kernel(path, kernel("existing", other_name))
    with Guest("fresh", phantom(), smp=1, disks=[path]) as guest:
        guest.expect("has a Phantom that is installed", total=300)
        guest.prompt(total=300)
        _, output = guest.command("ls /root; phantom-install --list")
        expect("first" not in output and "an installed Phantom" in output, output)
        existing(guest, path)
        guest.kill()
    safe_mode(path)
    with Guest("fresh", [], smp=1, disks=[path]) as guest:
        guest.expect("Phantom: ", total=300)
        resumed(guest)
        expect("first" in guest.command("ls /root")[1], "what was in the store is gone")
        guest.kill()
    erased(path)
    os.unlink(path)


def erased(path):
    """Installing on a disk with partitions, if `erase` is said: the session that runs takes the place of what was there."""
    with Guest("fresh", phantom(), smp=1, disks=[path]) as guest:
        guest.prompt(total=300)
        status, output = guest.command("echo second >/root/second; phantom-install --yes --erase --disk vda", total=300)
        expect(status == 0 and "lives on /dev/vda now" in output, output)
        guest.kill()
    with Guest("fresh", [], smp=1, disks=[path]) as guest:
        resumed(guest)
        _, output = guest.command("ls /root")
        expect("second" in output and "first" not in output, output)
        guest.kill()


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def menu_entry(path, number):
    """What a disk that is off starts next."""
    with open(os.path.join(TOP, "installer/grub.cfg"), encoding="ascii") as f:
        text = f.read()
    changed = os.path.join(BUILD, "install-grub.cfg")
    with open(changed, "w", encoding="ascii") as f:
        f.write(text.replace("set default=0", f"set default={number}"))
    subprocess.run(["mcopy", "-o", "-i", f"{path}@@{2048 * 512}", changed, "::/PHANTOM/grub.cfg"], check=True)
    os.unlink(changed)


def safe_mode(path):
    """The menu's last entry: a shell, nothing of what is installed runs, and not a byte of the disk is written, even if asked for."""
    menu_entry(path, 3)
    before = digest(path)
    with Guest("safe_mode", [], smp=1, disks=[path]) as guest:
        guest.expect("safe mode: the store on vda3 stays as it is", total=300)
        guest.expect(r"newest state is that of epoch [1-9]\d*; \d+ snapshots are kept", total=300)
        guest.prompt(total=300)
        _, output = guest.command("ls /root; dd if=/dev/zero of=/dev/vda3 bs=4k count=1; dd if=/dev/zero of=/dev/vda bs=4k count=1; echo x >/root/x; sync")
        expect("first" not in output and output.count("busy") == 2 and b"Safe mode: a fresh system" in guest.log, output)
        guest.kill()
    expect(digest(path) == before, "the disk was written to")
    menu_entry(path, 0)


def existing(guest, path):
    """On the live CD, with a Phantom on the disk: it is kept, unless `erase` is said; upgraded, it has this CD's kernel in its second slot."""
    for command, say, code in [("phantom-install --yes --disk vda", "--erase says", 1), ("echo resume | phantom-install --disk vda", "Nothing was changed", 0),
                               ("echo what | phantom-install --disk vda", "none was chosen", 1),
                               ("printf 'erase\\nno\\n' | phantom-install --disk vda", "not agreed", 1)]:
        status, output = guest.command(command, total=120)
        expect(status == code and say in output, f"{command}: {status}, {output!r}")
    expect(environment(path) == {"slot": "a"}, environment(path))
    status, output = guest.command("echo upgrade | phantom-install --disk vda", total=120)
    expect(status == 0 and "goes on with the new kernel" in output, output)
    expect(environment(path) == {"slot": "b", "other": "a"}, environment(path))


@test
def refusals():
    """What cannot be, or was not agreed to, gets a message and status 1, and the disks stay as they are."""
    small, good = blank("small", 16), blank("good", 256)
    with Guest("refusals", phantom(), smp=1, disks=[small, good]) as guest:
        guest.prompt(total=300)
        for command, say, code in [("phantom-install --yes --disk vda", "too small", 1), ("phantom-install --yes --disk vdz", "no disk", 1),
                                   ("phantom-install --yes", "needs --disk", 1), ("phantom-install --what", "usage", 2),
                                   ("phantom-install --disk vdb </dev/null", "nothing was chosen", 1),
                                   ("echo no | phantom-install --disk vdb", "not agreed", 1),
                                   ("echo hostname=a/b >/tmp/c; phantom-install --yes --disk vdb --config /tmp/c", "no host name", 1),
                                   ("echo color=red >/tmp/c; phantom-install --yes --disk vdb --config /tmp/c", "was expected", 1),
                                   ("su user -c 'phantom-install --list' 2>&1", "only root", 1)]:
            status, output = guest.command(command, total=120)
            expect(status == code and say in output, f"{command}: {status}, {output!r}")
        expect(not re.search(r"phantom-install\.", guest.command("ls /tmp")[1]), "files were left in /tmp")
        guest.kill()
    expect(untouched(small) and untouched(good), "a disk was written to")
    os.unlink(small)
    os.unlink(good)


@test
def settings():
    """Host name, password, keyboard and time zone, from the dialogue and from a configuration file, are there before and after; keys give what is printed on the chosen layout."""
    path = blank("settings", 256)
    config = "printf 'hostname=attic\\nkeyboard=xx\\n' >/tmp/bad; printf 'keyboard=de\\ntimezone=CET-1CEST\\n' >/tmp/config"
    look = "hostname; cat /etc/hostname; grep -c '^root:[^:]\\{8\\}' /etc/shadow; cat /etc/profile.d/timezone.sh; cat /proc/phantom/keyboard"
    with Guest("settings", phantom(), smp=1, disks=[path]) as guest:
        guest.prompt(total=300)
        status, output = guest.command(f"{config}; phantom-install --yes --disk vda --config /tmp/bad", total=300)
        expect(status == 1 and "no keyboard layout" in output, output)
        guest.send("phantom-install --disk vda --config /tmp/config; echo STATUS $?\n")
        for question, answer in [("to agree: ", "yes"), ("Host name: ", "attic"), ("password: ", "sesame")]:
            guest.expect(question)
            guest.send(answer + "\n")
        guest.expect("STATUS 0", total=300)
        expect(b"sesame" not in guest.log and b"Keyboard (" not in guest.log, "the password is on the screen, or something was asked that the file says")
        guest.prompt()
        guest.command("sync")
        guest.kill()
    with Guest("settings", [], smp=1, disks=[path]) as guest:
        resumed(guest)
        _, output = guest.command(look)
        expect(output.count("attic") == 2 and "\n1\n" in output and "CET-1CEST" in output and output.endswith("de\n"), output)
        guest.keys("e", "c", "h", "o", "spc", "y", "apostrophe", "alt_r-q", "spc", "shift-less", "spc", "shift-7", "t", "m", "p", "shift-7", "k", "ret")
        _, output = guest.command("until [ -s /tmp/k ]; do :; done; cat /tmp/k")
        expect(output == "zä@\n", output)
        guest.kill()
    os.unlink(path)


def kernel(name, change):
    """A kernel file that change() has changed, sealed again; its path. As a disk it is a device with the file in it."""
    path = os.path.join(BUILD, f"install-{name}.kernel")
    with open(os.path.join(BUILD, "kernel.stripped"), "rb") as f:
        image = bytearray(f.read())
    change(image)
    with open(path, "wb") as f:
        f.write(image.ljust((len(image) + 511) // 512 * 512, b"\0"))
    subprocess.run([os.path.join(TOP, "installer/seal"), path], check=True)
    return path


def other_name(image):
    """Its first line is told from that of the kernel that all tests run on."""
    at = image.index(b"Phantom: %lu MiB of memory")
    image[at:at + 7] = b"PHANTOM"


def poke(image, at, code):
    """Puts code at an address."""
    table, = struct.unpack_from("<Q", image, 32)
    for i in range(struct.unpack_from("<H", image, 56)[0]):
        kind, _, offset, address, physical, size = struct.unpack_from("<IIQQQQ", image, table + i * 56)
        for start in (address, physical):
            if kind == 1 and start <= at < start + size:
                image[offset + at - start:offset + at - start + len(code)] = code


def resets(image):
    """Says X on the serial line, and resets the machine by the keyboard controller, at its first instruction."""
    poke(image, struct.unpack_from("<Q", image, 24)[0], bytes.fromhex("b0 58 66 ba f8 03 ee b0 fe e6 64 f4 eb fd"))


def hangs(image):
    """In its first system call, for ever."""
    symbols = subprocess.run(["nm", os.path.join(BUILD, "kernel.elf")], check=True, capture_output=True, text=True).stdout
    poke(image, int(re.search(r"^(\w+) . call_dispatch$", symbols, re.M)[1], 16), bytes.fromhex("eb fe"))


def knows(image, schema):
    """The schemas in its note."""
    at = image.index(b"Phantom\0\1\0\0\0") + 12
    struct.pack_into("<II", image, at, schema, schema)


def cd_copy():
    """Of the CD, as a disk that can be written: QEMU locks the original for who boots it."""
    path = os.path.join(BUILD, "tests", "install-cd.img")
    shutil.copyfile(os.path.join(BUILD, "phantom.iso"), path)
    return path


def damaged_cd():
    """The live CD's image, with one byte of its boot archive changed, wherever a copy of that is."""
    path = os.path.join(BUILD, "install-damaged.iso")
    with open(os.path.join(BUILD, "phantom.iso"), "rb") as f:
        image = bytearray(f.read())
    with open(os.path.join(BUILD, "rootfs.img"), "rb") as f:
        head = f.read(64)
    at = image.find(head)
    while at >= 0:
        image[at + 5000] ^= 1
        at = image.find(head, at + 1)
    with open(path, "wb") as f:
        f.write(image)
    return path


def environment(path):
    """The loader's environment on an installed disk."""
    text = subprocess.run(["mtype", "-i", f"{path}@@{2048 * 512}", "::/PHANTOM/env"], check=True, capture_output=True, text=True).stdout
    return dict(line.split("=") for line in text.splitlines()[1:] if "=" in line)


def replace_kernel(path, new):
    """In slot A of a disk that is off."""
    os.truncate(new, 4 << 20)
    subprocess.run(["mcopy", "-o", "-i", f"{path}@@{2048 * 512}", new, "::/PHANTOM/kernel.a"], check=True)
    os.unlink(new)


UPGRADE_REFUSALS = [("/dev/vdd", ", and the new kernel knows 99 to 99"), ("/dev/vde", "no room"), ("/etc/passwd", "too short"),
                    ("/bin/busybox", "no kernel of Phantom"), ("/dev/vda", "no kernel, and no image"), ("/nowhere", "No such file"),
                    ("/tmp/flipped", "checksum is wrong"), ("/tmp/short", "ends too soon"), ("/tmp/arm", "another kind of machine"),
                    ("/dev/vdf", "boot archive is damaged"), ("--disk vdb /dev/vdb", "has no Phantom"), ("--archive /etc/passwd /dev/vdb", "no boot archive")]
UPGRADE_FILES = ["dd if=/dev/vdb of=/tmp/flipped bs=64k 2>/dev/null; cp /tmp/flipped /tmp/arm; printf x | dd of=/tmp/flipped bs=1 seek=300000 conv=notrunc 2>/dev/null",
                 "dd if=/dev/vdb of=/tmp/short bs=64k count=5 2>/dev/null; printf '\\267' | dd of=/tmp/arm bs=1 seek=18 conv=notrunc 2>/dev/null"]


@test
def upgrade():
    """phantom-upgrade: what cannot be is refused and changes nothing; a new kernel goes on with the session, and stays; one that resets the machine has three tries, then the one before
    goes on; one that hangs is started anew when its time is over; a CD's image gives kernel and boot archive."""
    path = blank("upgrade", 256)
    disks = [path, kernel("new", other_name), kernel("resets", resets), kernel("schema", lambda image: knows(image, 99)),
             kernel("large", lambda image: image.extend(bytes(5 << 20))), damaged_cd(), cd_copy(),
             kernel("hangs", hangs)]
    with Guest("upgrade", phantom(), smp=2, disks=disks[:6]) as guest:
        guest.prompt(total=300)
        status, output = guest.command("phantom-upgrade /dev/vdb")
        expect(status == 1 and "not installed" in output, output)
        session_begin(guest)
        status, output = guest.command("phantom-install --yes --disk /dev/vda", total=300)
        expect(status == 0, output)
        guest.command("sync")
        guest.kill()
    with Guest("upgrade", [], smp=1, disks=disks) as guest:
        resumed(guest)
        for line in UPGRADE_FILES:
            guest.command(line)
        before = environment(path)
        for words, say in UPGRADE_REFUSALS:
            status, output = guest.command(f"phantom-upgrade {words}")
            expect(status == 1 and say in output, f"{words}: {status}, {output!r}")
        expect(environment(path) == before == {"slot": "a"}, "the environment was changed")
        _, output = guest.command("su user -c 'phantom-upgrade /dev/vdb' 2>&1; phantom-upgrade; rm /tmp/flipped /tmp/arm /tmp/short")
        expect("only root" in output and "usage" in output, output)
        seen = count(guest)
        guest.send("phantom-upgrade /dev/vdb; echo STATUS $?\n")
        guest.wait(120)
    expect(environment(path) == {"slot": "b", "other": "a", "tries": "3"}, environment(path))
    with Guest("upgrade", [], smp=2, disks=disks) as guest:
        guest.expect(r"PHANTOM: \d+ MiB", total=300)
        guest.expect(r"runs on the new kernel now[^$]*STATUS 0", total=300)
        guest.prompt()
        session_goes_on(guest, seen)
        expect(environment(path) == {"slot": "b", "other": "a"}, environment(path))
        _, output = guest.command("cat /proc/phantom/watchdog; dmesg | grep -o 'watchdog=[0-9]*'")
        expect(output.split() == ["0", "watchdog=300"], output)
        guest.send("phantom-upgrade /dev/vdc; echo STATUS $?\n")
        guest.wait(120)
    for tries in "210":
        with Guest("upgrade", [], disks=disks) as guest:
            guest.wait(120)
            expect(guest.log.endswith(b"X"), guest.tail())
        expect(environment(path) == {"slot": "a", "other": "b", "tries": tries}, environment(path))
    with Guest("upgrade", [], smp=1, disks=disks) as guest:
        guest.expect(r"PHANTOM: \d+ MiB", total=300)
        guest.expect(r"did not come up[^$]*STATUS 3", total=300)
        guest.prompt()
        session_goes_on(guest, seen)
        expect(environment(path) == {"slot": "b"}, environment(path))
        status, output = guest.command("phantom-upgrade --no-reboot /dev/vdg", total=120)
        expect(status == 0 and environment(path) == {"slot": "a", "other": "b"}, f"{output}, {environment(path)}")
        guest.send("phantom-upgrade /dev/vdh; echo STATUS $?\n")
        guest.wait(120)
    subprocess.run(["mcopy", "-o", "-i", f"{path}@@{2048 * 512}", "-", "::/PHANTOM/options.cfg"], input=b"set patience=3\n", check=True)
    with Guest("upgrade", [], smp=1, disks=disks) as guest:
        guest.expect("watchdog: nobody said in time", total=120)
        guest.wait(30)
    expect(environment(path) == {"slot": "b", "other": "a", "tries": "2"}, environment(path))
    with open(os.path.join(BUILD, "rootfs.img"), "rb") as f:
        archive = f.read()
    slot = subprocess.run(["mtype", "-i", f"{path}@@{2048 * 512}", "::/PHANTOM/rootfs.a"], check=True, capture_output=True).stdout
    expect(slot[:len(archive)] == archive, "the boot archive on the disk is not the CD's")
    for disk in disks:
        os.unlink(disk)


OTHERS = [(2048, 262143, "shared"), (655360, 720895, "data")] # first and last sector


def disk_of_others(name):
    """384 MiB with an EFI system partition that has somebody's files, and a partition full of data; sector 0 starts nothing."""
    path, fat, random_file = blank(name, 384), os.path.join(BUILD, f"install-{name}.fat"), os.path.join(BUILD, f"install-{name}.random")
    make = importlib.machinery.SourceFileLoader("mkdisk", os.path.join(TOP, "installer/mkdisk")).load_module() # pylint: disable=deprecated-method,no-value-for-parameter
    head, tail = make.gpt(384 << 11, [(make.TYPE_ESP, *OTHERS[0]), (uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4"), *OTHERS[1])])
    with open(random_file, "wb") as f:
        f.write(random.Random(1).randbytes(300000))
    with open(fat, "wb") as f:
        f.truncate((OTHERS[0][1] + 1 - OTHERS[0][0]) * 512)
    subprocess.run(["/sbin/mkfs.fat", "-F", "32", fat], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mmd", "-i", fat, "::/EFI", "::/EFI/BOOT", "::/EFI/OTHER"], check=True)
    for to in ("BOOT/BOOTX64.EFI", "OTHER/SYSTEM.BIN"):
        subprocess.run(["mcopy", "-i", fat, random_file, "::/EFI/" + to], check=True)
    with open(path, "r+b") as f, open(fat, "rb") as esp:
        f.seek(440) # a disk signature, and one entry that protects the table
        f.write(struct.pack("<IHBBBBBBBBII", 0x12345678, 0, 0, 0, 2, 0, 0xee, 255, 255, 255, 1, (384 << 11) - 1).ljust(70, b"\0") + b"\x55\xaa")
        f.write(head)
        f.seek((384 << 20) - len(tail))
        f.write(tail)
        f.seek(OTHERS[0][0] * 512)
        f.write(esp.read())
        f.seek(OTHERS[1][0] * 512)
        f.write(random.Random(2).randbytes((OTHERS[1][1] + 1 - OTHERS[1][0]) * 512))
    os.unlink(fat)
    os.unlink(random_file)
    return path


def of_others(path):
    """What must not change on such a disk."""
    files = [subprocess.run(["mtype", "-i", f"{path}@@{OTHERS[0][0] * 512}", "::/EFI/" + name], check=True, capture_output=True).stdout
             for name in ("BOOT/BOOTX64.EFI", "OTHER/SYSTEM.BIN")]
    with open(path, "rb") as f:
        f.seek(440)
        rest_of_sector_0 = f.read(72)
        f.seek(1024)
        entries = f.read(256)
        f.seek(OTHERS[1][0] * 512)
        return files, rest_of_sector_0, entries, f.read((OTHERS[1][1] + 1 - OTHERS[1][0]) * 512)


@test
def beside():
    """In the free space of a disk with other systems: their partitions, files and table entries stay, byte for byte; the EFI system partition is shared; the session goes on from there."""
    path, small = disk_of_others("beside"), blank("beside-small", 64)
    before = of_others(path)
    with Guest("beside", phantom(), smp=2, disks=[path, small]) as guest:
        guest.prompt(total=300)
        session_begin(guest)
        for command, say in [("--yes --beside --disk vdb", "no whole partition table"), ("--upgrade --disk vda", "no Phantom that could be upgraded"),
                             ("--yes --beside --erase --disk vda", "usage")]:
            status, output = guest.command(f"phantom-install {command}")
            expect(status and say in output, output)
        expect(of_others(path) == before and untouched(small), "a refusal changed a disk")
        status, output = guest.command("printf 'beside\\nyes\\n' | phantom-install --disk vda", total=300)
        expect(status == 0 and "EFI\\PHANTOM" in output, output)
        seen = count(guest)
        guest.command("sync")
        guest.kill()
    expect(of_others(path) == before, "something of the other systems was changed")
    with Guest("beside", [], smp=1, disks=[path]) as guest:
        resumed(guest)
        session_goes_on(guest, seen)
        status, output = guest.command("fsck.fat -n /dev/vda1 && phantom-upgrade --confirm && phantom-install --list && cat /proc/partitions")
        expect(status == 0 and "5 partitions" not in output and "4 partitions, an installed Phantom: shared, data, BIOS boot, Phantom store" in output, output)
        guest.kill()
    expect(of_others(path) == before, "something of the other systems was changed")
    os.unlink(path)
    os.unlink(small)


def failing_disk(name, sector):
    """A disk that does not take writes to one sector: QEMU's arguments for it, its path, its rules."""
    path, rules = blank(name, 256), os.path.join(BUILD, f"install-{name}.conf")
    with open(rules, "w", encoding="ascii") as f:
        f.write(f'[inject-error]\nevent = "write_aio"\nsector = "{sector}"\nerrno = "5"\nonce = "off"\n')
    return ["-drive", f"file=blkdebug:{rules}:{path},format=raw,if=none,id={name},werror=report", "-device", f"virtio-blk-pci,drive={name},disable-legacy=on"], path, rules


@test
def failing():
    """The disk fails while it is written, in the boot partition or in the store: a message, no system on the disk, and the session goes on in memory; it can go to another disk then."""
    boot, boot_path, boot_rules = failing_disk("failing-boot", 5000)
    store, store_path, store_rules = failing_disk("failing-store", 2048 + 131072 + 8)
    good = blank("failing-good", 256)
    with Guest("failing", phantom() + boot + store, smp=2, disks=[good]) as guest:
        guest.prompt(total=300)
        session_begin(guest)
        for disk, say in (("vdb", r"mcopy failed|the disk did not keep /PHANTOM/kernel.a"), ("vdc", "the store cannot be made")):
            status, output = guest.command(f"phantom-install --yes --disk {disk}", total=300)
            expect(status == 1 and re.search(say, output), output)
            session_goes_on(guest, 1)
        status, output = guest.command("phantom-install --yes --disk vda && sync; ls /tmp", total=300)
        expect(status == 0 and "lives on /dev/vda now" in output and "phantom-install." not in output, output)
        session_goes_on(guest, 1)
        guest.kill()
    for path in (boot_path, store_path):
        with open(path, "rb") as f:
            start = f.read(520)
        expect(start == bytes(520), f"{path}: something could be started from it")
        os.unlink(path)
    for path in (boot_rules, store_rules, good):
        os.unlink(path)


@test
def moves():
    """The disk goes from machine to machine: other processor, other disk controller, other number of processors, other memory; the session goes on. Where the processor lacks what programs
    have seen, it says so, and the next good machine goes on."""
    path = os.path.join(BUILD, "install-moves.raw")
    subprocess.run([os.path.join(TOP, "installer/mkdisk"), path, *(os.path.join(BUILD, name) for name in ("install", "mkstore")),
                    "--mb", "256", "--cmdline", "panic=exit", "--new"], check=True, stdout=subprocess.DEVNULL)
    with Guest("moves", [], disks=[path], smp=1, cpu="qemu64", memory="256M", bus="nvme") as guest:
        guest.prompt(total=300)
        session_begin(guest)
        seen = count(guest)
        guest.command("sync")
        guest.kill()
    with Guest("moves", [], disks=[path], smp=4, cpu="max", memory="512M", bus="ahci") as guest:
        resumed(guest)
        session_goes_on(guest, seen)
        seen = count(guest)
        guest.command("sync")
        guest.kill()
    with Guest("moves", [], disks=[path], smp=1, cpu="qemu64") as guest:
        guest.expect("this processor lacks what the programs that go on have seen on the last one: [a-z]", total=300)
        guest.wait(120)
    with Guest("moves", [], disks=[path], smp=2, cpu="max", memory="128M") as guest:
        resumed(guest)
        session_goes_on(guest, seen)
        guest.kill()
    os.unlink(path)


def main():
    if sys.argv[1:] == ["-l"]:
        print("\n".join(TESTS))
        return
    more = dict(matrix())
    tests = more if sys.argv[1:] == ["matrix"] else {name: {**more, **TESTS}[name] for name in sys.argv[1:] or TESTS}
    failed = 0
    for name, function in tests.items():
        bus = name.split("-")[-1]
        if bus in NAMES and bus not in qemu.BUSES:
            print(f"SKIP install {name}: there is no driver for such disks yet", flush=True)
            continue
        try:
            function()
            print(f"PASS install {name}", flush=True)
        except (Wrong, qemu.Hang) as why:
            print(f"FAIL install {name} {why}", flush=True)
            failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
