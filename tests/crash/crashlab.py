#!/usr/bin/env python3
"""crashlab.py - real power cuts: a machine whose block writes are recorded, ended at any moment, its disk cut as a power failure may leave it, booted, looked at, again and again.

    crashlab.py [BOOTS [SEED]]      that many boots from cut images, of two machines at a time: one with two CPUs, one with one
    crashlab.py suite NAME [BOOTS [SEED]]   a guest suite (guest, busybox, posix) that is cut so often, and must end as if nothing had been
    crashlab.py long BOOTS          in parts, each remembered in build/crash: can be interrupted and goes on; then suites
    crashlab.py again FOLDER        boots what a failure left

QEMU's blklogwrites records the writes. A cut takes the disk as it was, all writes before the last FLUSH in front of the cut, and of the later ones any subset, in any order, torn at 512
bytes. (A write that ends while a flush runs is recorded in front of it; the store has none in flight then, store_disk.c waits for all.) QEMU is ended while it boots and recovers, too: the
cut is then one during recovery. The programs of tests/survive run all the time, started once, at the very first boot.

After each boot: pfsck proves the image before anything runs from it; every program goes on and none found anything wrong; what promise.c said on the serial line before the cut holds.
Guests run in real time, so a seed repeats the choices, not the run; what repeats a failure is left in build/failed/crashlab-SEED-N: disk.img as it was booted, serial.log, seed.
"""
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests/tools"))
import blocklog  # noqa: E402  pylint: disable=wrong-import-position
import qemu  # noqa: E402  pylint: disable=wrong-import-position
import suites  # noqa: E402  pylint: disable=wrong-import-position
from qemu import BUILD  # noqa: E402  pylint: disable=wrong-import-position

SURVIVORS = os.path.join(BUILD, "tests/survive")
STORE_MIB = int(os.environ.get("LAB_STORE_MIB", "1024"))  # a small one makes programs wait for the disk all the time
# How far each program must come after a boot.
STEPS = 2


class Lab:
    """A disk that goes from boot to boot. image: what the next boot finds."""

    def __init__(self, name, seed, extra=(), smp=2):
        self.where = os.path.join(BUILD, "crash", name)
        shutil.rmtree(self.where, ignore_errors=True)
        os.makedirs(self.where)
        self.name, self.seed, self.extra, self.smp = name, seed, list(extra), smp
        self.chance = random.Random(seed)
        self.image, self.disk, self.log = (os.path.join(self.where, n) for n in ("booted.img", "disk.img", "log"))
        self.how = "new"

    def format(self):
        with open(self.image, "wb") as f:
            f.truncate(STORE_MIB << 20)
        subprocess.run([os.path.join(BUILD, "mkstore"), self.image, "0", str(STORE_MIB << 20)], check=True, stdout=subprocess.DEVNULL)

    def boot(self, memory="256M"):
        subprocess.run(["cp", "--sparse=always", self.image, self.disk], check=True)
        return qemu.Guest(self.name, blocklog.recorded(self.disk, self.log) + qemu.phantom("panic=exit"), smp=self.smp, memory=memory, disks=self.extra, timeout=240)

    def cut(self, first=0):
        """Behind entry `first` of what the ended machine wrote."""
        self.how = blocklog.cut(blocklog.Log(self.log), self.image, self.chance, first)

    def pfsck(self):
        done = subprocess.run([os.path.join(BUILD, "pfsck"), self.image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise qemu.Hang(f"pfsck: status {done.returncode}\n{done.stdout[-2000:]}")

    def keep(self, number, serial, why):
        where = os.path.join(BUILD, "failed", f"{self.name}-{number}")
        os.makedirs(where, exist_ok=True)
        subprocess.run(["cp", "--sparse=always", self.image, os.path.join(where, "disk.img")], check=True)
        with open(os.path.join(where, "serial.log"), "wb") as f:
            f.write(serial)
        with open(os.path.join(where, "seed"), "w", encoding="utf-8") as f:
            f.write(f"{self.seed}, boot {number}, cut: {self.how}\n{why}\n")
        print(f"  left in {os.path.relpath(where, TOP)}")


class Listener:
    """Reads the serial line, and notes how long the log was when a promise had been read: it was made no later."""

    PROMISE = re.compile(rb"PROMISE (\d+)\r?\n")

    def __init__(self, lab, guest):
        self.lab, self.guest, self.at = lab, guest, 0
        self.promises = []

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.guest.read(min(left, 0.2))
            self.note()

    def note(self):
        length = os.path.getsize(self.lab.log)
        for match in self.PROMISE.finditer(self.guest.log, self.at):
            self.promises.append((int(match[1]), length))
            self.at = match.end()


def look(guest):
    """{program: how far it is}, the last promise that its file has; raises if one found something wrong."""
    _, text = guest.command("cat /s/*")
    text = re.sub(r"\nPROMISE \d+\n", "", text)  # said in the middle of it
    bad = re.findall(r"^.*FAILED.*$", text, re.M)
    if bad:
        raise qemu.Hang("\n".join(bad))
    promised = re.search(r"^(\d+) *\n", text, re.M)
    return {name: int(n) for name, n in re.findall(r"^(\w+) +alive (\d+)", text, re.M)}, int(promised[1]) if promised else 0


def going_on(guest, listener, names, begin):
    """Waits until every program has come further than it was."""
    quiet = 0
    while True:
        listener.listen(0.5)
        now, _ = look(guest)
        listener.note()
        late = [name for name in names if now.get(name, 0) < begin.get(name, 0) + STEPS]
        if not late:
            return
        quiet += 1
        if quiet > 100:
            raise qemu.Hang(f"does not go on: {', '.join(f'{name} at {now.get(name)}' for name in late)}")


def unpack(guest):
    status, text = guest.command("stty -echo; mkdir /s; cd / && tar -xf /dev/vda", timeout=300)
    if status:
        raise qemu.Hang(f"cannot unpack: {text}")


def start(lab, names):
    """The first boot: unpacks the programs and starts them. Returns what they promised, and the first entry of the log behind which a cut finds them running."""
    lab.format()
    guest = lab.boot()
    listener = Listener(lab, guest)
    with guest:
        guest.prompt(total=600)
        unpack(guest)
        guest.command("for p in /survive/*; do setsid $p </dev/null >/dev/console 2>&1 & done; wait")
        going_on(guest, listener, names, {})
        guest.command("sync")
        first = len(blocklog.Log(lab.log).entries) # all of them are there after any later cut
        listener.listen(2)
    return listener.promises, first


def check_boot(lab, names, due, number):
    """Boots the cut image; everything must go on. Returns what was promised meanwhile."""
    lab.pfsck()
    guest = lab.boot()
    listener = Listener(lab, guest)
    try:
        with guest:
            guest.expect(r"store: epoch \d+", timeout=240)
            guest.expect(r"MiB in use", timeout=240)
            guest.send("\n")
            guest.expect(r"# ")
            begin, promised = look(guest)
            missing = [name for name in names if name not in begin]
            if missing:
                raise qemu.Hang(f"gone: {', '.join(missing)}")
            if promised < due:
                raise qemu.Hang(f"promise {due} was given, and what is there is {promised}")
            going_on(guest, listener, names, begin)
            listener.listen(lab.chance.uniform(0, 1))
    except BaseException:
        lab.keep(number, guest.log, sys.exc_info()[1])
        raise
    return listener.promises


def cut_recovery(lab):
    """Boots the image, ends QEMU somewhere on the way, and cuts that."""
    guest = lab.boot()
    with guest:
        guest.expect(r"virtio disk", timeout=240)
        end = time.monotonic() + lab.chance.uniform(0, 2)
        while time.monotonic() < end:
            guest.read(0.05)
    lab.cut()


def run(name, boots, seed, smp):
    """One machine that goes from cut to cut. Returns how many failures there were: none or one."""
    names = sorted(os.listdir(SURVIVORS))
    where = os.path.join(BUILD, "crash")
    os.makedirs(where, exist_ok=True)
    tar = os.path.join(where, f"{name}.tar")
    with tarfile.open(tar, "w", format=tarfile.GNU_FORMAT) as t:
        for program in names:
            t.add(os.path.join(SURVIVORS, program), "survive/" + program)
    lab = Lab(name, seed, [tar], smp)
    begin = time.monotonic()
    done = recoveries = due = 0
    try:
        promises, first = start(lab, names)
        while True:
            lab.cut(first)
            log = blocklog.Log(lab.log)
            at = int(re.match(r"entry (\d+)", lab.how)[1])
            due = max([due] + [n for n, length in promises if log.before(length) <= at])
            first = 0
            if done >= boots:
                break
            if lab.chance.random() < 0.25:
                cut_recovery(lab)
                recoveries += 1
            done += 1
            promises = check_boot(lab, names, due, done)
            print(f"PASS crash-qemu {name} boot {done} ({lab.how})", flush=True)
        failed = 0
    except qemu.Hang as hang:
        print(f"FAIL crash-qemu {name} boot {done} ({lab.how}): {hang}")
        failed = 1
    print(f"  {name}, {smp} CPUs: {done} boots, {recoveries} cuts during recovery, {due} promises kept, {time.monotonic() - begin:.0f} s", flush=True)
    shutil.rmtree(lab.where, ignore_errors=True)
    os.unlink(tar)
    return failed


def run_two(boots, seed):
    """That many boots in all, by two machines at a time: a third by the one with one CPU, where everything takes twice as long. Returns the failures."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda n: run(f"crashlab-{seed + n}", (boots - boots // 3, boots // 3)[n], seed + n, 2 - n), (0, 1)))


def run_suite(name, boots, seed):
    """Hard storm: the suite goes on from cut to cut. Cases that judge by the wall clock, which goes on while the machine is off, are run behind the last one."""
    suite = suites.SUITES[name]()
    where = os.path.join(BUILD, "crash")
    os.makedirs(where, exist_ok=True)
    tar = os.path.join(where, f"suite-{name}.tar")
    clocked = set(suites.read_names(os.path.join(suites.EXPECTED, name + ".alone")))
    suites.pack(suite, suite.cases(), clocked, tar)
    lab = Lab(f"storm-{name}", seed, [tar])
    print(f"  crashlab: suite {name}, seed {seed}", flush=True)
    begin = time.monotonic()
    done = 0
    try:
        lab.format()
        with lab.boot("256M") as guest:
            guest.prompt(total=600)
            unpack(guest)
            nested = "-o " if suite.nested else ""
            guest.command(f"setsid /t/runcases -j 3 -t {4 * suite.seconds} {nested}/t/list >/root/out 2>&1 </dev/null & sync")
            started = len(blocklog.Log(lab.log).entries) # sync has come back: this is there after any later cut
            Listener(lab, guest).listen(lab.chance.uniform(1, 5))
        lab.cut(started)
        while True:
            lab.pfsck()
            with lab.boot("256M") as guest:
                guest.expect(r"MiB in use", timeout=240)
                guest.send("\n")
                guest.prompt()
                done += 1
                over = not guest.command("grep -q '^END ' /root/out")[0]
                if done < boots and not over:
                    Listener(lab, guest).listen(lab.chance.uniform(0.5, 5))
                else:
                    while guest.command("sleep 2; grep -q '^END ' /root/out")[0]:
                        pass
                    if clocked:
                        guest.command(f"/t/runcases -j 1 -t {4 * suite.seconds} {nested}/t/alone >>/root/out 2>&1", timeout=1200)
                    _, text = guest.command("cat /root/out", timeout=240)
                    break
            lab.cut()
        found = suite.results(text)
    except qemu.Hang as hang:
        found = {f"{name}: died": f"after {done} cuts ({lab.how}, seed {seed}): {hang}"}
        lab.keep(f"storm-{name}", b"", hang)
    passed, failed = suites.judge(name, found, complete=True)
    for case, why in failed.items():
        print(f"  FAIL {case}: {why}")
    print(f"{name} ({done} cuts): {passed} passed, {len(failed)} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


def long(boots):
    """In parts of 50 boots, then the suites; what has passed is not run again until kernel or programs change."""
    import check # pylint: disable=import-outside-toplevel
    memory = os.path.join(BUILD, "crash-passed", check.fingerprint())
    os.makedirs(memory, exist_ok=True)
    parts = [(f"boots-{i}", lambda i=i: run_two(min(50, boots - 50 * i), 1000 + 2 * i)) for i in range((boots + 49) // 50)]
    parts += [(f"storm-{name}", lambda name=name: run_suite(name, 40, 7)) for name in ("guest", "busybox", "posix")]
    failed = 0
    for name, part in parts:
        mark = os.path.join(memory, name)
        if os.path.exists(mark):
            print(f"  {name} has passed before")
            continue
        if part():
            failed += 1
        else:
            with open(mark, "w", encoding="ascii"):
                pass
    print(f"crash: {len(parts) - failed} of {len(parts)} parts passed")
    return failed


def again(folder):
    lab = Lab("again", 0)
    shutil.copy(os.path.join(folder, "disk.img"), lab.image)
    with lab.boot() as guest:
        qemu_end = time.monotonic() + 60
        while time.monotonic() < qemu_end:
            guest.read(1)
            sys.stdout.buffer.write(guest.log[guest.at:])
            sys.stdout.flush()
            guest.at = len(guest.log)
    return 0


def main():
    words = sys.argv[1:]
    if words[:1] == ["again"] and len(words) == 2:
        sys.exit(again(words[1]))
    if words[:1] == ["long"] and len(words) == 2:
        sys.exit(1 if long(int(words[1])) else 0)
    is_suite = words[:1] == ["suite"]
    numbers = [int(word) for word in words[2 if is_suite else 0:]]
    boots = numbers[0] if numbers else 20
    seed = numbers[1] if len(numbers) > 1 else int.from_bytes(os.urandom(3), "big")
    sys.exit(run_suite(words[1], boots, seed) if is_suite else run_two(boots, seed))


if __name__ == "__main__":
    main()
