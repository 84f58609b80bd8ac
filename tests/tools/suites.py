#!/usr/bin/env python3
"""suites.py - test suites in the guest: pack, boot, run, compare with what Linux gave.

    suites.py run SUITE [CONFIG]        on our system; exit status 1 if a case fails
    suites.py reference SUITE           on Debian's Linux; writes tests/guest/expected/SUITE

Programs travel as a raw tar on a virtio disk (on Linux: in its initramfs); runcases runs them several at a time.
Cases in expected/SUITE.alone judge time by the wall clock or need a CPU to themselves: they run one by one, behind the others.
expected/SUITE lists the cases that pass on Linux. expected/SUITE.except lists those that need not pass here, each with
a reason, `name -- reason`. Both come with the tree; `check` runs only our system.

SUITE may end in /N-M: only the N-th of M parts of the cases (posix/2-5); CONFIG names one
of qemu.py's configurations.
"""
import collections
import os
import re
import subprocess
import sys
import tarfile
import time

import bench
import qemu
from qemu import BUILD, TOP

sys.path.append(os.path.join(TOP, "tests/plc"))
import run as plc_tests  # noqa: E402

EXPECTED = os.path.join(TOP, "tests/guest/expected")
TESTS = os.path.join(BUILD, "tests")
PORTS = os.path.join(BUILD, "ports")


class Suite:
    """One suite: the cases of runcases' list, the files they need, and how results are read from what it prints."""

    seconds = 60     # per line of the list
    jobs = 4
    memory = "256M"
    judges_time = False  # many cases measure by the wall clock: what fails in the crowd is run again alone
    yields = frozenset()  # these take for granted that a sched_yield or two let all others run, which a CPU that this machine does not run for a while breaks: for them alone means on one CPU
    disk = False     # wants one to write to, of which the last sector says so
    nested = False   # the commands are runners themselves
    files = ()       # (path on this machine, path in the guest below /t)

    def cases(self):
        """[(name, command)]"""
        raise NotImplementedError

    def results(self, text):
        """{name: None if it passed, else why not}"""
        found = {}
        for line in text.splitlines():
            match = re.match(r"(PASS|FAIL) (\S+) ?(.*)", line)
            if match:
                found[match[2]] = None if match[1] == "PASS" else match[3] or "failed"
        return found


class GuestSuite(Suite):
    """Our own programs, tests/guest/*.c: each prints PASS, FAIL or SKIP for each of its tests."""

    nested = True
    seconds = 120
    judges_time = True
    disk = True

    def __init__(self):
        self.programs = sorted(os.listdir(os.path.join(TESTS, "guest")))
        self.files = [(os.path.join(TESTS, "guest"), "guest")]

    def cases(self):
        return [(program, f"/t/guest/{program}") for program in self.programs]

    def results(self, text):
        found = super().results(text)
        for name in re.findall(r"^SKIP (\S+)", text, re.M):
            found[name] = None
        # A program that failed without saying which test: that counts; one that said so counts only as its tests.
        return {name: why for name, why in found.items()
                if name not in self.programs or why and (not why.startswith("status") or
                not any(other.startswith(name + ".") and found[other] for other in found))}


class BusyBoxSuite(Suite):
    """BusyBox's own test suite, one line of the list for each applet."""

    nested = True
    seconds = 400

    def __init__(self):
        where = os.path.realpath(os.path.join(PORTS, "busybox"))
        names = set()
        with open(os.path.join(where, "links"), encoding="ascii") as f:
            applets = {os.path.basename(line.strip()) for line in f} | {"busybox"}
        for name in os.listdir(os.path.join(where, "testsuite")):
            if name.endswith(".tests") or os.path.isdir(os.path.join(where, "testsuite", name)):
                names.add(name.removesuffix(".tests"))
        self.applets = sorted(name for name in names if name in applets)
        self.files = [(os.path.join(where, "testsuite"), "busybox/testsuite"),
                      (os.path.join(where, "config"), "busybox/.config"),
                      (os.path.join(where, "bin/busybox"), "busybox/busybox"),
                      (os.path.join(TOP, "tests/tools/busybox-case"), "busybox-case")]

    def cases(self):
        return [(applet, f"/t/busybox-case /t/busybox {applet}") for applet in self.applets]

    def results(self, text):
        found = {}
        seen = collections.Counter()
        applet = ""
        for line in text.splitlines():
            match = re.match(r"OUTPUT (\S+)|(PASS|FAIL): (.*)|FAIL (\S+) (timeout|signal.*)", line)
            if not match:
                continue
            if match[1]:
                applet = match[1]
            elif match[2]:
                name = f"{applet}: {match[3].strip()}"
                seen[name] += 1
                if seen[name] > 1:
                    name += f" ({seen[name]})"
                found[name] = None if match[2] == "PASS" else "failed"
            else:
                found[f"{match[4]}: whole"] = match[5]
        return found


class PosixSuite(Suite):
    """posixtestsuite's conformance programs."""

    memory = "512M"
    jobs = 8
    judges_time = True

    def __init__(self):
        self.where = os.path.realpath(os.path.join(PORTS, "posixtestsuite"))
        missing = set(read_names(os.path.join(self.where, "not-built")))
        self.names = [name for name in read_names(os.path.join(self.where, "list")) if name not in missing]
        self.yields = frozenset(read_names(os.path.join(self.where, "yields")))
        self.files = [(os.path.join(self.where, "bin"), "posix")]

    def cases(self):
        return [(name, f"/t/posix/{name}") for name in self.names]


class NativeSuite(Suite):
    """Programs of the object machine, compiled and run on the system, in each way that there is to run them."""

    seconds = 300

    sources = {"run": "tests/plc/run", "lib": "pvm/lib/tests", "programs": "tests/plc/programs"}

    def __init__(self):
        self.files = [(os.path.join(TOP, where), f"native/{kind}") for kind, where in self.sources.items()]
        self.files.append((os.path.join(TOP, "tests/tools/native-case"), "native-case"))

    def cases(self):
        found = [(f"native.{kind}_{name[:-3]}", f"/t/native-case {kind} {name[:-3]}") for kind, where in self.sources.items()
                 for name in sorted(os.listdir(os.path.join(TOP, where))) if name.endswith(".ph")]
        return found + [(f"native.programs_{name}", f"/t/native-case programs {name} {' '.join(words)}") for name, words in plc_tests.PROGRAMS.items()]


class FuzzSuite(Suite):
    """Random system calls, and malformed programs; FUZZ_SECONDS each. The seed is printed, FUZZ_SEED sets it."""

    nested = True
    jobs = 1

    def __init__(self):
        self.duration = int(os.environ.get("FUZZ_SECONDS", "60"))
        self.seconds = 2 * self.duration + 120
        self.files = [(os.path.join(TESTS, "fuzz"), "fuzz"), (os.path.join(TESTS, "bench/tsc"), "small")]

    def cases(self):
        seed = os.environ.get("FUZZ_SEED") or str(int.from_bytes(os.urandom(3), "big"))
        print(f"  fuzz: FUZZ_SEED={seed}", flush=True)
        return [("run.sysfuzz", f"/t/fuzz/sysfuzz {self.duration} {seed}"),
                ("run.elffuzz", f"/t/fuzz/elffuzz {self.duration} {seed} /t/small")]


SUITES = {"guest": GuestSuite, "busybox": BusyBoxSuite, "posix": PosixSuite, "native": NativeSuite, "fuzz": FuzzSuite}
# Suites whose every case must pass, on Linux or not.
OWN = ("guest", "native", "fuzz")


def pack(suite, cases, alone, path):
    """The raw tar that the guest unpacks into /t. Cases named in `alone` get a list of their own."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    lists = []
    for name, wanted in (("list", False), ("alone", True)):
        lists.append((f"{path}.{name}", name))
        with open(lists[-1][0], "w", encoding="utf-8") as f:
            f.writelines(f"{case} {command}\n" for case, command in cases if (case in alone) == wanted)

    def owner(info):
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info

    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for source, name in (*suite.files, (os.path.join(TESTS, "runcases"), "runcases"), *lists):
            tar.add(source, "t/" + name, filter=owner)


def spare_disk(path):
    """For tests/guest/block.c."""
    with open(path, "wb") as f:
        f.truncate(16 << 20)
        f.seek(-512, os.SEEK_END)
        f.write(b"disk for tests/guest/block.c")
    return path


MODULES = bench.DISKS["virtio"][1] + " fuse"  # what Debian's Linux needs for it, and for tests of file servers


def boot(name, config, linux, tar, memory, disks=()):
    """A guest with the tar unpacked in /t."""
    options = qemu.config(config)
    cmdline = options.pop("cmdline", "")
    if linux:
        cpio = qemu.archive(tar + ".cpio", os.path.dirname(tar), ["dir /t 755 0 0", "file /t/tar 644 0 0 " + os.path.basename(tar)])
        guest = qemu.Guest(name, qemu.linux("quiet", [cpio]), memory="1G", disks=disks, **options)
        source = "/t/tar"
    else:
        guest = qemu.Guest(name, qemu.phantom(f"panic=exit {cmdline}".strip()), memory=memory, disks=[tar, *disks], **options)
        source = "/dev/vda"
    try:
        guest.prompt(total=600)
        status, output = guest.command(f"cd / && tar -xf {source}", timeout=300)
        if status:
            raise qemu.Hang(f"{name}: cannot unpack {source}: {output}")
        if linux and disks:
            guest.command("/t/insmod " + " ".join(f"/t/modules/{module}.ko" for module in MODULES.split()) + "; until [ -b /dev/vda ]; do sleep 1; done")
    except BaseException:
        guest.__exit__(*sys.exc_info())
        raise
    return guest


def judged(name):
    """The cases of a suite that pass on Linux, but for the exceptions."""
    return set(read_names(os.path.join(EXPECTED, name))) - {line.rsplit(" -- ", 1)[0] for line in read_names(os.path.join(EXPECTED, name + ".except"))}


def crowded_out(name, found):
    """Cases of a suite that judges wall-clock time that failed while eight ran on two emulated CPUs: judged by a run alone, if they are few."""
    expected = judged(name)
    again = sorted(case for case, why in found.items() if why and case in expected)
    return again if len(again) <= 12 else []


def run(suite, name, config="plain", linux=False, part=None):
    """Runs a suite; {case: None or why it failed}. A guest that dies or hangs is a failed case `NAME: died`."""
    cases = suite.cases()
    if not linux and name not in OWN and not suite.nested:
        # The others say nothing, and some of them hang until their time is over.
        wanted = judged(name)
        cases = [case for case in cases if case[0] in wanted]
    if part:
        cases = cases[part[0] - 1::part[1]]
    label = f"{name}-{'linux' if linux else config}"
    tar = os.path.join(TESTS, f"{label}.tar")
    alone = set(read_names(os.path.join(EXPECTED, name + ".alone")))
    disks = [spare_disk(os.path.join(TESTS, f"{label}.disk"))] if suite.disk else []
    if linux and disks:
        modules = os.path.join(qemu.CACHE, "linux/modules")
        suite.files = [*suite.files, (os.path.join(TESTS, "bench/insmod"), "insmod"),
                       *((os.path.join(modules, f"{module}.ko"), f"modules/{module}.ko") for module in MODULES.split())]
    pack(suite, cases, alone, tar)
    found = {}
    text = ""
    try:
        with boot(label, config, linux, tar, suite.memory, disks) as guest:
            start = guest.at
            stopped = {}
            try:
                nested = "-o " if suite.nested else ""

                def batch(jobs, cases_file, seconds, more=""):
                    guest.send(f"/t/runcases -j {jobs} -t {seconds} {nested}{more}/t/{cases_file}\n")
                    guest.expect(r"\nEND \d+ \d+\r?\n", timeout=seconds + 120)

                batch(suite.jobs, "list", suite.seconds)
                if alone:
                    batch(1, "alone", 4 * suite.seconds)
                if suite.judges_time:
                    again = crowded_out(name, suite.results(guest.log[start:].decode(errors="replace").replace("\r\n", "\n")))
                    for case in again:
                        print(f"  failed among others, again alone: {case}")
                    again = {case.partition(".")[0] if suite.nested else case for case in again}
                    for file, few, more in (("again", again - suite.yields, ""), ("again1", again & suite.yields, "-1 ")):
                        for case in sorted(few):
                            guest.command(f"grep -h '^{case} ' /t/list /t/alone >> /t/{file}")
                        if few:
                            batch(1, file, 4 * suite.seconds, more)
                if "barrier=" in qemu.config(config).get("cmdline", "") and not linux:
                    count = "grep barriers /proc/phantom/stats"
                    # The next one comes when the machine has run three times as long as the last one took (gate.c).
                    if guest.command(f"{qemu.WAIT_FOR}; {count} >/tmp/before; wait_for '! {count} | cmp -s - /tmp/before'")[0]:
                        stopped = {f"{name}: barriers": "there are none any more"}
            finally:
                text = guest.log[start:].decode(errors="replace").replace("\r\n", "\n")
                found = suite.results(text) | stopped
    except qemu.Hang as hang:
        found[f"{name}: died"] = str(hang)
    os.makedirs(os.path.join(BUILD, "logs"), exist_ok=True)
    with open(os.path.join(BUILD, "logs", label + ".log"), "w", encoding="utf-8") as f:
        f.write(text)
    return found


def read_names(path):
    try:
        with open(path, encoding="utf-8") as f:
            return [line.rstrip("\n") for line in f if line.strip() and not line.startswith("#")]
    except FileNotFoundError:
        return []


def judge(name, found, complete=True):
    """(passed, failed {case: why}) in the light of what Linux gave and of the exceptions."""
    expected = judged(name)
    failed = {}
    passed = 0
    # Of a guest that died, only that and what went wrong before is worth a line.
    complete = complete and not any(case.endswith(": died") for case in found)
    for case in sorted(found.keys() | (expected if complete else set())):
        if case in found and found[case] is None:
            passed += case in expected or name in OWN
        elif case in expected or name in OWN or case.endswith(": died"):
            failed[case] = found.get(case, "no result")
    return passed, failed


def versions():
    with open(os.path.join(qemu.CACHE, "linux/version"), encoding="ascii") as f:
        kernel = " ".join(line.split(": ")[1].strip() for line in f)
    sums = []
    for port in ("musl", "busybox", "posixtestsuite"):
        with open(os.path.join(TOP, "ports", port, "recipe"), encoding="utf-8") as f:
            sums.append(port + " " + re.search(r"^upstream=(.*)", f.read(), re.M)[1])
    return f"{kernel}, {', '.join(sums)}"


def reference(name):
    found = run(SUITES[name](), name, linux=True)
    if f"{name}: died" in found:
        sys.exit(found[f"{name}: died"])
    os.makedirs(EXPECTED, exist_ok=True)
    with open(os.path.join(EXPECTED, name), "w", encoding="utf-8") as f:
        f.write(f"# Cases that pass on Linux; written by `make reference`: {versions()}\n")
        f.writelines(case + "\n" for case in sorted(found) if found[case] is None)
    bad = {case: why for case, why in found.items() if why}
    print(f"  {name}: {len(found) - len(bad)} of {len(found)} pass on Linux")
    for case in sorted(bad):
        print(f"    {case}: {bad[case]}")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("run", "reference"):
        sys.exit(__doc__)
    name, _, part = sys.argv[2].partition("/")
    if sys.argv[1] == "reference":
        reference(name)
        return
    config = sys.argv[3] if len(sys.argv) > 3 else "plain"
    begin = time.monotonic()
    part = tuple(map(int, part.split("-"))) if part else None
    passed, failed = judge(name, run(SUITES[name](), name, config, part=part), complete=not part)
    for case, why in failed.items():
        print(f"  FAIL {case}: {why}")
    print(f"{name} ({config}): {passed} passed, {len(failed)} failed, {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
