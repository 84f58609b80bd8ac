#!/usr/bin/env python3
"""qemu.py - start QEMU with a system in it and talk to it over the serial line.

As a module: Guest, and what there is to boot: phantom(cmdline) and linux(append). As a program:

    qemu.py run [--no-disk]    boot build/phantom.img, or the live CD, with a terminal on the serial line and a window where there is a display
    qemu.py gdb                the same, stopped, waiting for gdb
    qemu.py accel              say which accelerator `run` takes

Timeouts are for hangs only: they count seconds without any output, and are meant for a slow, loaded machine without
KVM. Tests run under TCG, which is the same everywhere; `run` and `gdb` take KVM if it works. ACCEL=tcg or ACCEL=kvm
is for both.
"""
import hashlib
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD_DIR", "build"))
CACHE = os.environ.get("PHANTOM_CACHE", os.path.join(TOP, "build/cache"))
QEMU = "qemu-system-x86_64"
FIRMWARE = "/usr/share/ovmf/OVMF.fd"
EXACT = ["-icount", "shift=0,sleep=off", "-seed", "42", "-rtc", "base=2026-01-01,clock=vm"]

# Configurations of testing.md, by name; CPUS-MODEL-MODE names all others, 4-qemu64-chaos. The numbers of chaos and
# absent are per mille, barrier is in Hz; check runs the structure checkers at each barrier.
MODES = {"plain": "", "chaos": "chaos=50", "barrier": "barrier=100 check", "absent": "absent=1000 barrier=50",
         "storm": "storm=100",
         "all": "chaos=50 absent=20 barrier=100 check"}
CONFIGS = {
    "plain": dict(smp=2, cpu="max"),
    "chaos": dict(smp=1, cpu="qemu64", cmdline=MODES["chaos"]),
    "barrier": dict(smp=4, cpu="max", cmdline=MODES["barrier"]),
    "absent": dict(smp=2, cpu="max", cmdline=MODES["absent"]),
    "storm": dict(smp=2, cpu="max", cmdline=MODES["storm"]),
    "all": dict(smp=2, cpu="max", cmdline=MODES["all"]),
}


def config(name):
    """The machine and command line that a configuration's name stands for."""
    if name in CONFIGS:
        return dict(CONFIGS[name])
    smp, cpu, mode = name.split("-")
    return dict(smp=int(smp), cpu=cpu, cmdline=MODES[mode])


class QmpError(Exception):
    """QEMU refused a command of its monitor."""


class Hang(Exception):
    """Nothing came for too long, or QEMU ended; the message has the end of the serial log."""


def accelerator():
    """For `make run`: kvm if the live CD comes up over it (a /dev/kvm that opens may still hang, or lack instructions that the kernel uses), else tcg. What was found is remembered until this machine restarts."""
    if os.environ.get("ACCEL"):
        return os.environ["ACCEL"]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        since = f.read().strip()
    remembered = os.path.join(BUILD, "accel")
    if os.path.exists(remembered):
        with open(remembered, encoding="ascii") as f:
            words = f.read().split()
        if len(words) == 2 and words[0] == since:
            return words[1]
    print("  trying KVM", file=sys.stderr, flush=True)
    found = "kvm" if comes_up("kvm") else "tcg"
    with open(remembered, "w", encoding="ascii") as f:
        f.write(f"{since} {found}\n")
    return found


def comes_up(accel):
    """Does the live CD reach its prompt within 10 s?"""
    with subprocess.Popen(machine(smp=2, accel=accel) + phantom() + ["-display", "none", "-serial", "stdio"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        end, log = time.monotonic() + 10, b""
        while b"# " not in log and time.monotonic() < end and process.poll() is None:
            if select.select([process.stdout], [], [], 1)[0]:
                log += os.read(process.stdout.fileno(), 4096)
        process.kill()
    return b"# " in log


# A disk of each kind: its controller, and the disk itself on the drive diskN.
BUSES = {
    "virtio": ([], "virtio-blk-pci,drive=disk{n},disable-legacy=on"),
    "nvme": ([], "nvme,drive=disk{n},serial=NVME{n}"),
    "ahci": (["-device", "ich9-ahci,id=ahci"], "ide-hd,drive=disk{n},bus=ahci.{n},serial=SATA{n}"),
    "usb": (["-device", "qemu-xhci,id=xhci"], "usb-storage,drive=disk{n},bus=xhci.0,id=usbdisk{n},serial=USB{n}"),
}


def machine(smp=1, cpu="max", memory="256M", icount=False, disks=(), uefi=False, bus="virtio", cache="writeback",
            accel=os.environ.get("ACCEL", "tcg")):
    """QEMU's arguments for the machine itself. disks: raw images, which become /dev/vda, /dev/vdb..., or /dev/nvme0n1,
    /dev/nvme1n1..., /dev/sda, /dev/sdb... by bus. cache: `unsafe` does not trouble this machine's disk with flushes; what was written outlives QEMU anyway."""
    args = [QEMU, "-accel", "tcg,thread=single" if icount else accel, "-cpu", cpu + (",-erms" if icount else ""), "-smp", str(smp), "-m", memory,
            "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-nic", "none", "-device", "virtio-rng-pci"]
    args += EXACT if icount else []
    args += ["-bios", FIRMWARE] if uefi else []
    controller, device = BUSES[bus]
    args += controller if disks else []
    for n, disk in enumerate(disks):
        args += ["-drive", f"file={disk},format=raw,if=none,id=disk{n},discard=unmap,cache={cache}", "-device", device.format(n=n)]
    return args


def phantom(cmdline="", usb=False):
    """Arguments that boot our ISO with cmdline on the kernel's command line."""
    iso = os.path.join(BUILD, "phantom.iso")
    if cmdline:
        name = hashlib.sha256(cmdline.encode()).hexdigest()[:12]
        iso = os.path.join(BUILD, "iso", name + ".iso")
        parts = [os.path.join(BUILD, name) for name in ("kernel.stripped", "rootfs.img")]
        if not os.path.exists(iso) or os.path.getmtime(iso) < max(map(os.path.getmtime, parts)):
            os.makedirs(os.path.dirname(iso), exist_ok=True)
            subprocess.run([os.path.join(TOP, "tests/tools/mkiso"), iso, *parts, cmdline], check=True)
    if usb:
        return ["-device", "qemu-xhci", "-drive", f"file={iso},format=raw,if=none,id=stick,readonly=on",
                "-device", "usb-storage,drive=stick,bootindex=0"]
    return ["-cdrom", iso, "-boot", "d"]


def archive(cpio, folder, lines):
    """A cpio archive for linux(), of what the lines of a manifest (rootfs/manifest) name; files are in the folder."""
    with open(cpio + ".manifest", "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)
    subprocess.run([os.path.join(BUILD, "mkrootfs"), "-c", "-t", "0", "-I", folder, "-o", cpio, f.name], check=True)
    return cpio


def linux(append="", initrds=(), rootfs="rootfs.cpio"):
    """Arguments that boot Debian's Linux on the same root file system, or another one, with further cpio archives behind it."""
    parts = (os.path.join(BUILD, rootfs), *initrds)
    initrd = os.path.join(BUILD, "linux-initrd-" + hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12])
    with open(initrd, "wb") as out:
        for part in parts:
            with open(part, "rb") as f:
                shutil.copyfileobj(f, out)
    return ["-kernel", os.path.join(CACHE, "linux/vmlinuz"), "-initrd", initrd,
            "-append", f"console=ttyS0 quiet mitigations=off rdinit=/sbin/init {append}"]


# For a guest's shell: `wait_for COMMAND` is true once the command is, or false after a minute or more.
WAIT_FOR = "wait_for() { n=0; while ! eval $1; do sleep 0.1; n=$((n+1)); [ $n -lt 600 ] || return 1; done; }"


class Guest:
    """A running QEMU. Use it in a `with`; what is left of it is killed at the end, and kept for a look if it failed."""

    def __init__(self, name, boot, timeout=120, **options):
        self.name = name
        self.timeout = timeout
        self.dir = tempfile.mkdtemp(prefix="phantom-")
        self.log = b""
        self.at = 0
        self.qmp_file = None
        monitor = os.path.join(self.dir, "qmp")
        self.command_line = machine(**{"cache": "unsafe", **options}) + boot + [
            "-display", "none", "-chardev", "stdio,id=tty,signal=off", "-serial", "chardev:tty",
            "-qmp", f"unix:{monitor},server=on,wait=off"]
        self.process = subprocess.Popen(self.command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and kind is not KeyboardInterrupt:
            self.keep()
        self.kill()

    # -- the serial line --

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def read(self, timeout):
        """Waits for more output; False if none came in time."""
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        if not ready:
            return False
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            raise Hang(f"{self.name}: QEMU ended\n" + self.tail())
        self.log += data
        return True

    def expect(self, pattern, timeout=None, total=None):
        """Reads until the regular expression matches; goes on behind the match next time. timeout: seconds without
        output; total: seconds at all."""
        regex = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        end = time.monotonic() + total if total else None
        while True:
            match = regex.search(self.log, self.at)
            if match:
                self.at = match.end()
                return match
            if end and time.monotonic() > end or not self.read(timeout or self.timeout):
                raise Hang(f"{self.name}: waited in vain for {pattern!r}\n" + self.tail())

    def prompt(self, **how):
        self.expect(r"# (\x1b\[6n)?$", **how)

    def command(self, line, **how):
        """Runs a shell command; returns (status, output)."""
        # The quotes keep the marks from being found in the echo of the line itself.
        self.send("echo B''EGIN; " + line + "; echo D''ONE $?\n")
        start = self.expect(r"BEGIN\r?\n", **how).end()
        match = self.expect(r"DONE (\d+)\r?\n", **how)
        output = self.log[start:match.start()].decode(errors="replace").replace("\r\n", "\n")
        self.expect("# ", **how)  # what programs behind the shell say may come right after it
        return int(match[1]), output

    def tail(self, lines=40):
        """The last whole lines of what came by the serial line: a panic and what led to it."""
        return "\n".join(self.log.decode(errors="replace").splitlines()[-lines:])

    # -- the machine --

    def qmp(self, command, **arguments):
        if self.qmp_file is None:
            monitor = os.path.join(self.dir, "qmp")
            while not os.path.exists(monitor) and self.process.poll() is None:
                time.sleep(0.05)     # QEMU is starting
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(monitor)
            self.qmp_file = connection.makefile("rw")
            self.qmp_file.readline()
            self.qmp("qmp_capabilities")
        self.qmp_file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp_file.flush()
        while True:
            answer = json.loads(self.qmp_file.readline())
            if "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def screenshot(self, path):
        self.qmp("screendump", filename=os.path.abspath(path), format="png")

    def keys(self, *names):
        """Presses keys one after the other, "a" or "alt-f2" (QEMU's names)."""
        for name in names:
            self.qmp("send-key", keys=[{"type": "qcode", "data": key} for key in name.split("-")])

    def burst(self, *names):
        """Presses keys so fast that nothing can happen between them; "shift+" is not let go of."""
        self.qmp("input-send-event", events=[{"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": name.rstrip("+")}}}
                                             for name in names for down in ([True] if name.endswith("+") else [True, False])])

    def wait(self, timeout=60):
        """Waits for QEMU to end by itself; returns its status: 2v+1 for isa-debug-exit, 0 for power off."""
        end = time.monotonic() + timeout
        try:
            while time.monotonic() < end:
                self.read(1)
        except Hang:
            return self.process.wait()
        raise Hang(f"{self.name}: the machine did not go off\n" + self.tail())

    def keep(self):
        """Leaves serial log, command line and a screenshot in build/failed/NAME."""
        where = os.path.join(BUILD, "failed", self.name)
        os.makedirs(where, exist_ok=True)
        with open(os.path.join(where, "serial.log"), "wb") as f:
            f.write(self.log)
        with open(os.path.join(where, "command"), "w", encoding="utf-8") as f:
            f.write(" ".join(self.command_line) + "\n")
        try:
            self.screenshot(os.path.join(where, "screen.png"))
        except (OSError, ValueError):
            pass
        print(f"  left in {os.path.relpath(where, TOP)}", file=sys.stderr)

    def kill(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def interactive(arguments, extra=()):
    """Replaces this program by QEMU on the terminal."""
    display = ["-display", "gtk"] if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else \
        ["-display", "none"]
    modules = "/usr/lib/x86_64-linux-gnu/qemu/ui-gtk.so"
    if display[1] == "gtk" and not os.path.exists(modules):
        display = ["-display", "sdl"] if os.path.exists(modules.replace("gtk", "sdl")) else ["-display", "none"]
    print("  serial console here; Ctrl-A X ends QEMU", file=sys.stderr)
    command = arguments + display + ["-serial", "mon:stdio", *extra]
    os.execvp(command[0], command)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "accel":
        print(accelerator())
    elif what == "run":
        live = "--no-disk" in sys.argv
        interactive(machine(smp=int(os.environ.get("SMP", "2")), memory=os.environ.get("MEMORY", "256M"), accel=accelerator(),
                            disks=[] if live else [os.path.join(BUILD, "phantom.img")]) + (phantom() if live else []))
    elif what == "gdb":
        interactive(machine(smp=int(os.environ.get("SMP", "1")), memory=os.environ.get("MEMORY", "256M"), accel=accelerator()) + phantom(),
                    ["-S", "-gdb", "tcp:localhost:1234"])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
