#!/usr/bin/env python3
"""mount.py - `pvm mount` with this test as the kernel, over a socket pair: what is where, what is in it, who ends, who does not answer, and rubbish. Prints PASS and FAIL lines.

PVM_MOUNT_RUBBISH: how many random requests (default 1000); PVM_MOUNT_SEED: which.
"""
import errno
import os
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
PVM, PLC, LIB = (os.path.join(BUILD, "host", name) for name in ("pvm", "plc", "lib"))
LOOKUP, FORGET, GETATTR, READLINK, MKDIR, OPEN, READ, STATFS, RELEASE, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = (
    1, 2, 3, 5, 9, 14, 15, 17, 18, 26, 27, 28, 29, 36, 38, 42)
ROOT = 1
SILENT = (FORGET, INTERRUPT, BATCH_FORGET)
SOURCE = r"""
package .test;
import .internal.*;
class link { link next; link back; link self; int n; void link( var n_ : int ) { n = n_; } };
class counter
{
    int value = 7; long much = -5000000000; double part = 0.5; float some = 1.5; private string name = "a \"b\"\n\u00e4"; void nothing; void boxed; static int made = 3;
    void set( var n : int ) { value = n; }
    int get() { return value; }
    void become( var n : int ) { boxed = null; if( n == 1 ) boxed = new link( 1 ); if( n == 2 ) boxed = "text"; }
};
class shown { void run() { ( new world() ).getMyThread().join(); } };
class watched
{
    void run( var boot : bootstrap ) [8]
    {
        var root : directory = boot.getRoot();
        var numbers : int[] = new int[]();
        for( var i : int = 0; i < 300; i++ ) numbers[i] = i * i;
        root.put( "a/b%", numbers );
        root.put( "null", null ); root.put( "five", 5 ); root.put( ".", "dot" ); root.put( "..", "dots" ); root.put( ".value", "hidden" ); root.put( "", "empty" ); root.put( "tab\tline\n", "odd" );
        root.put( "LONG255", "just" ); root.put( "LONG256", "too long" );
        root.put( "counter", new counter() );
        var a : link = new link( 1 );
        var b : link = new link( 2 );
        a.next = b; b.next = a; b.back = a; a.self = a;
        root.put( "ring", a );
        var first : link = new link( 0 );
        var l : link = first;
        for( var i : int = 1; i < 40; i++ ) { l.next = new link( i ); l.next.back = l; l = l.next; }
        root.put( "list", first );
        var all : link[] = new link[]();
        all[0] = a; all[1] = b; all[2] = null;
        root.put( "all", all );
        var inner : directory = new directory();
        inner.put( "up", root ); inner.put( "me", inner ); inner.put( "class", a.getClass() ); inner.put( "thread", ( new world() ).getMyThread() ); inner.put( "text", "plain" );
        root.put( "inner", inner );
        var bytes : binary = new binary( 70000 );
        for( var i : int = 0; i < 70000; i++ ) bytes.setByte( i, i % 251 );
        root.put( "bytes", bytes );
        root.put( "zzz", "ready" );
        while( 1 ) boot.sleep( 1000000 );
    }
};
""".replace("LONG255", "l" * 255).replace("LONG256", "m" * 256)
failed = False


def report(name, wrong):
    global failed
    failed |= bool(wrong)
    print(f"FAIL mount {name}: {wrong}" if wrong else f"PASS mount {name}", flush=True)


def same(name, got, wanted):
    report(name, "" if got == wanted else f"{got!r}, not {wanted!r}")


class Kernel:
    """The kernel's side of the protocol."""

    def __init__(self, minor=31):
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(60)
        self.server = subprocess.Popen([PVM, "mount", "--fd", str(theirs.fileno())], pass_fds=[theirs.fileno()])  # pylint: disable=consider-using-with
        theirs.close()
        self.unique = 0
        self.known = {}  # node: how often we were told of it
        self.started = self.ask(INIT, 0, struct.pack("<IIII", 7, minor, 131072, 0xffffffff))

    def send(self, opcode, node, body=b"", length=None):
        self.unique += 1
        self.ours.send(struct.pack("<IIQQIIII", 40 + len(body) if length is None else length, opcode, self.unique, node, os.geteuid(), os.getegid(), os.getpid(), 0) + body)

    def receive(self):
        """Negative error, or what came."""
        answer = self.ours.recv(1 << 20)
        length, error, unique = struct.unpack_from("<IiQ", answer)
        if length != len(answer) or unique != self.unique or error > 0 or (error and length != 16):
            raise ValueError(f"bad answer {answer[:64]!r}")
        return error or answer[16:]

    def ask(self, opcode, node, body=b"", length=None):
        self.send(opcode, node, body, length)
        return self.receive()

    def lookup(self, parent, name):
        """(node, attributes) or an error."""
        got = self.ask(LOOKUP, parent, os.fsencode(name) + b"\0")
        if isinstance(got, int):
            return got
        node = struct.unpack_from("<Q", got)[0]
        self.known[node] = self.known.get(node, 0) + 1
        return node, attributes(got[40:])

    def walk(self, path):
        """As the kernel does, but it follows no links; (node, attributes) or an error."""
        found = ROOT, None
        for name in path.split("/"):
            found = self.lookup(found[0], name)
            if isinstance(found, int):
                break
        return found

    def forget(self):
        for node, times in self.known.items():
            self.send(FORGET, node, struct.pack("<Q", times))
        self.known = {}

    def opened(self, opcode, node, flags=0):
        got = self.ask(opcode, node, struct.pack("<II", flags, 0))
        return got if isinstance(got, int) else struct.unpack("<QII", got)[0]

    def read(self, node, piece=4096):
        """What is in a file, or an error."""
        fh = self.opened(OPEN, node)
        if fh < 0:
            return fh
        text = b""
        while part := self.part(READ, node, fh, len(text), piece):
            text += part
        self.ask(RELEASE, node, struct.pack("<QIIQ", fh, 0, 0, 0))
        return text

    def part(self, opcode, node, fh, at, size):
        return self.ask(opcode, node, struct.pack("<QQIIQII", fh, at, size, 0, 0, 0, 0))

    def cat(self, path):
        found = self.walk(path)
        return found if isinstance(found, int) else self.read(found[0])

    def names(self, node, piece=4096):
        """{name: (type, ino)} of a folder, or an error."""
        fh = self.opened(OPENDIR, node)
        if fh < 0:
            return fh
        found, at = {}, 0
        while part := self.part(READDIR, node, fh, at, piece):
            if isinstance(part, int):
                return part
            while part:
                ino, at, length, kind = struct.unpack_from("<QQII", part)
                name = os.fsdecode(part[24:24 + length])
                if name in found:
                    raise ValueError(f"{name} twice")
                found[name] = kind << 12, ino
                part = part[24 + (length + 7) // 8 * 8:]
        self.ask(RELEASEDIR, node, struct.pack("<QIIQ", fh, 0, 0, 0))
        return found

    def ls(self, path):
        found = self.walk(path)
        return found if isinstance(found, int) else sorted(set(self.names(found[0])) - {".", ".."})

    def target(self, path):
        found = self.walk(path)
        return found if isinstance(found, int) else self.ask(READLINK, found[0])

    def find(self, node, path, all_of, here):
        """As find(1): {path: node}; what names and look-ups say must agree, links must lead to a folder or file below here."""
        for name, (kind, ino) in self.names(node).items():
            if name in (".", ".."):
                continue
            child, attr = self.lookup(node, name)
            if stat.S_IFMT(attr["mode"]) != kind or attr["ino"] != ino:
                raise ValueError(f"{path}/{name}: {attr} beside {kind:o} {ino}")
            all_of[path + "/" + name] = child
            if kind == stat.S_IFDIR:
                self.find(child, path + "/" + name, all_of, here)
            elif kind == stat.S_IFREG:
                text = self.read(child)
                if len(text) != attr["size"]:
                    raise ValueError(f"{path}/{name}: {len(text)} bytes, not {attr['size']}")
            else:
                to = os.path.normpath(path + "/" + os.fsdecode(self.ask(READLINK, child)))
                if not to.startswith(here + "/") or isinstance(self.walk(to), int):
                    raise ValueError(f"{path}/{name}: leads to {to}")
        return all_of

    def end(self):
        self.ours.close()
        return self.server.wait(60)


def attributes(raw):
    words = struct.unpack_from("<QQQQQQIIIIIIIIII", raw)
    return {"ino": words[0], "size": words[1], "mode": words[9], "nlink": words[10], "uid": words[11], "gid": words[12]}


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s*(\d+)", f.read())[1])


def pvm(*words):
    return subprocess.run([PVM, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False).stdout


def start(folder):
    program = subprocess.Popen([PVM, "run", "-L", folder, "-L", LIB, ".test.watched"], stdout=subprocess.DEVNULL)  # pylint: disable=consider-using-with
    end = time.monotonic() + 60
    while "ready" not in pvm("inspect", f"{program.pid}/objects/zzz") and time.monotonic() < end:
        time.sleep(0.01)
    return program


def contents(k, pid):
    names = k.ls(pid + "/objects")
    same("names", names, sorted([".value", "a%2fb%25", "null", "five", "%2e", "%2e.", "%2evalue", "tab%09line%0a", "l" * 255, "counter", "ring", "list", "all", "inner", "bytes", "zzz"]))
    same("top", k.ls(pid), ["classes", "objects", "threads"])
    o = pid + "/objects/"
    for name, text in (("five", "5\n"), ("null", "null\n"), ("%2e", "dot\n"), ("%2e.", "dots\n"), ("%2evalue", "hidden\n"), ("tab%09line%0a", "odd\n"), ("l" * 255, "just\n"), ("counter/value", "7\n"),
                       ("counter/much", "-5000000000\n"), ("counter/part", "0.5\n"), ("counter/some", "1.5\n"), ("counter/name", 'a "b"\nä\n'), ("counter/nothing", "null\n"), ("a%2fb%25/299", "89401\n"),
                       ("inner/text", "plain\n"), ("ring/next/n", "2\n")):
        same("content: " + name[:20], k.cat(o + name), text.encode())
    for name in ("", "/counter", "/a%2fb%25", "/ring/next", "/inner"):
        same("printed: " + name, k.cat(pid + "/objects" + name + "/.value"), pvm("inspect", pid + "/objects" + name).encode())
    same("statics", (k.ls(pid + "/classes/.test.counter"), k.cat(pid + "/classes/.test.counter/made"), k.cat(pid + "/classes/.test.counter/.value")),
         ([".value", "made"], b"3\n", b".test.counter { made: 3 }\n"))
    same("threads", k.ls(pid + "/threads"), ["1"])
    same("bytes", k.cat(o + "bytes"), bytes(i % 251 for i in range(70000)))
    same("many", len(k.ls(o + "a%2fb%25")), 301)
    same("in small pieces", sorted(k.names(k.walk(o + "counter")[0], 40)), sorted([".", "..", ".value", "value", "much", "part", "some", "name", "nothing", "boxed"]))
    same("no room for a name", k.names(k.walk(o + "counter")[0], 24), -errno.EINVAL)
    for name, target in (("ring/self", "."), ("ring/next/next", ".."), ("ring/next/back", ".."), ("list/next/next/back", ".."), ("all/0", "../../objects/ring"), ("inner/me", "."), ("inner/up", ".."),
                         ("inner/class", "../../classes/.test.link"), ("inner/thread", "../../threads/1")):
        same("link: " + name, k.target(o + name), target.encode())
    same("not a link", k.target(o + "five"), -errno.EINVAL)
    same("named elsewhere", k.target(o + "all/1/next"), b"../../../objects/ring")
    for name, wanted in (("absent", errno.ENOENT), ("five/x", errno.ENOTDIR), ("m" * 256, errno.ENAMETOOLONG), ("a\nread /objects/five", errno.ENOENT), ("counter/.value/x", errno.ENOTDIR), ("ring/self/n", errno.ENOTDIR),
                         ("m" * 255, errno.ENOENT)):
        same(f"nothing: {name[:20]!r}", k.walk(o + name), -wanted)
    for name in ("1", "0", "x", "-1", "0" + pid, pid + "x", "99999999999999999999", str(os.getpid()), str(k.server.pid)):
        same("no program: " + name, k.lookup(ROOT, name), -errno.ENOENT)
    deep = k.walk(o + "list" + "/next" * 14)[1], k.walk(o + "list" + "/next" * 15)
    same("depth", (deep[0]["mode"], deep[1][1]["mode"], k.read(deep[1][0])), (stat.S_IFDIR | 0o500, stat.S_IFREG | 0o400, b".test.link { next: .test.link, back: .test.link, self: null, n: 15 }\n"))
    same("owner", tuple(k.walk(o + "five")[1][x] for x in ("mode", "uid", "gid", "size")), (stat.S_IFREG | 0o400, os.geteuid(), os.getegid(), 2))
    same("root", attributes(k.ask(GETATTR, ROOT, bytes(16))[16:])["mode"], stat.S_IFDIR | 0o555)
    everything = k.find(k.walk(pid)[0], pid, {}, pid)
    report("find", "" if 400 < len(everything) < 1000 and pid + "/objects/list/.value" in everything else f"{len(everything)} files")
    same("nodes", (k.walk(o + "ring/next")[0], k.walk(pid + "/threads/1")[0]), (everything[o + "ring/next"], everything[pid + "/threads/1"]))


def changes(k, pid):
    counter = pid + "/objects/counter"
    value, boxed = k.walk(counter + "/value")[0], k.walk(counter + "/boxed")[0]
    fh = k.opened(OPEN, value)
    pvm("call", counter, "set", "12345")
    same("as it was when it was opened", k.part(READ, value, fh, 0, 100) + k.part(READ, value, fh, 1, 1), b"7\n\n")
    same("a second time", k.read(value), b"12345\n")
    same("new size", attributes(k.ask(GETATTR, value, bytes(16))[16:])["size"], 6)
    same("behind the end", (k.part(READ, value, fh, 2, 100), k.part(READ, value, fh, 1 << 63, 100), k.part(READ, value, fh, 0, 0)), (b"", b"", b""))
    same("twice released", [k.ask(RELEASE, value, struct.pack("<QIIQ", fh, 0, 0, 0)) for _ in range(2)], [b"", -errno.EBADF])
    same("released", k.part(READ, value, fh, 0, 100), -errno.EBADF)
    folder = k.walk(counter)[0]
    fh = k.opened(OPENDIR, folder)
    same("of another node", [k.part(READ, folder, fh, 0, 10), k.part(READDIR, value, fh, 0, 100), k.part(READDIR, folder, fh, 5, 100), k.part(READDIR, folder, fh, 1 << 60, 100)],
         [-errno.EBADF, -errno.EBADF, -errno.EINVAL, -errno.EINVAL])
    pvm("call", counter, "become", "1")
    same("no file any more", k.ask(GETATTR, boxed, bytes(16)), -errno.ESTALE)
    same("the same listing", boxed, k.walk(counter + "/boxed")[0])
    time.sleep(1.1)
    other = k.walk(counter + "/boxed")
    report("another node", "" if other[0] != boxed and stat.S_ISDIR(other[1]["mode"]) else str(other))
    pvm("call", counter, "become", "2")
    same("no folder any more", (k.opened(OPENDIR, other[0]), k.lookup(other[0], "n")), (-errno.ESTALE, -errno.ENOENT))
    same("not written", [k.opened(OPEN, value, flags) for flags in (os.O_WRONLY, os.O_RDWR, os.O_TRUNC)], [-errno.EROFS] * 3)
    same("wrong kind", (k.opened(OPEN, folder), k.opened(OPENDIR, value)), (-errno.EISDIR, -errno.ENOTDIR))


def forgotten(k, pid):
    k.forget()
    path = pid + "/objects/counter/value"
    value = k.walk(path)[0]
    same("told twice", (k.walk(path)[0], k.known[value]), (value, 2))
    folders = [node for node in k.known if node != value]
    k.send(BATCH_FORGET, 0, struct.pack("<II", len(folders), 0) + b"".join(struct.pack("<QQ", node, k.known[node]) for node in folders))
    same("below what was forgotten", k.read(value), b"12345\n")
    k.send(FORGET, value, struct.pack("<Q", 1))
    same("once more", k.read(value), b"12345\n")
    k.send(FORGET, value, struct.pack("<Q", 1))
    same("forgotten", [k.opened(OPEN, node) for node in (value, *folders)], [-errno.ESTALE] * (1 + len(folders)))
    k.known = {}
    report("numbers are not given again", "" if k.walk(path)[0] > value else "given again")
    before = rss(k.server.pid)
    for _ in range(20):
        k.find(k.walk(pid + "/objects/list")[0], pid + "/objects/list", {}, pid)
        k.forget()
    report("memory", "" if rss(k.server.pid) < before + 200 else f"{before} KiB, then {rss(k.server.pid)}")


def malformed(k, pid):
    value = k.walk(pid + "/objects/five")[0]
    for name, opcode, node, body, length, wanted in (
            ("unknown", 999, value, b"", None, errno.ENOSYS), ("the largest", 0xffffffff, value, b"", None, errno.ENOSYS), ("none", 0, value, b"", None, errno.ENOSYS),
            ("to write", MKDIR, ROOT, bytes(8) + b"x\0", None, errno.ENOSYS),
            ("too short", OPEN, value, bytes(7), None, errno.EINVAL), ("no body", READ, value, b"", None, errno.EINVAL), ("no name", LOOKUP, ROOT, b"", None, errno.EINVAL),
            ("no end of name", LOOKUP, ROOT, b"1", None, errno.EINVAL), ("empty name", LOOKUP, ROOT, b"\0", None, errno.EINVAL), ("slash", LOOKUP, ROOT, pid.encode() + b"/objects\0", None, errno.EINVAL),
            ("dot", LOOKUP, ROOT, b".\0", None, errno.EINVAL), ("dots", LOOKUP, ROOT, b"..\0", None, errno.EINVAL), ("wrong length", GETATTR, value, bytes(16), 41, errno.EINVAL),
            ("huge length", GETATTR, value, bytes(16), 0xffffffff, errno.EINVAL), ("length 0", GETATTR, value, bytes(16), 0, errno.EINVAL), ("huge", LOOKUP, ROOT, b"1" * 100000 + b"\0", None, errno.EINVAL),
            ("node 0", GETATTR, 0, bytes(16), None, errno.ESTALE), ("no node", GETATTR, 1 << 63, bytes(16), None, errno.ESTALE), ("nor here", OPENDIR, 1 << 40, bytes(8), None, errno.ESTALE),
            ("long name", LOOKUP, k.walk(pid)[0], b"x" * 5000 + b"\0", None, errno.ENAMETOOLONG), ("no handle", READ, value, struct.pack("<QQIIQII", 1 << 60, 0, 100, 0, 0, 0, 0), None, errno.EBADF)):
        same("malformed: " + name, k.ask(opcode, node, body, length), -wanted)
    for body in (b"", b"123", bytes(39)):
        k.ours.send(body or b"1")
    k.send(FORGET, value, b"")
    k.send(FORGET, ROOT, struct.pack("<Q", 1 << 63))
    k.send(FORGET, 0, struct.pack("<Q", 1))
    k.send(BATCH_FORGET, 0, struct.pack("<II", 0xffffffff, 0) + bytes(24))
    k.send(INTERRUPT, 0, struct.pack("<Q", 5))
    same("statfs", struct.unpack_from("<QQQQQII", k.ask(STATFS, ROOT))[6], 255)
    same("still there", k.read(value), b"5\n")


def rubbish(k, pid):
    seed = int(os.environ.get("PVM_MOUNT_SEED", time.time_ns() % 1000000))
    r = random.Random(seed)
    nodes = [ROOT, 0, 77777777, *(k.walk(pid + path)[0] for path in ("", "/objects", "/objects/five", "/objects/ring", "/objects/ring/self", "/threads/1", "/objects/bytes"))]
    names = [pid.encode(), b"objects", b"five", b".value", b"ring", b"next", b"%2e", b"", b"\xff\xfe", b"x" * 300]
    k.known = {}
    for i in range(int(os.environ.get("PVM_MOUNT_RUBBISH", "1000"))):
        opcode = r.choice((LOOKUP, GETATTR, READLINK, OPEN, READ, STATFS, RELEASE, OPENDIR, READDIR, RELEASEDIR, r.randrange(60), FORGET, BATCH_FORGET))
        numbers = [r.choice((0, 1, 2, r.randrange(1 << 12), r.randrange(1 << 64))) for _ in range(8)]
        body = r.choice(names) + b"\0" if opcode == LOOKUP else struct.pack("<8Q", *numbers)
        if opcode in (READ, READDIR) and r.randrange(2):
            body = struct.pack("<QQIIQII", r.randrange(1, 200), r.randrange(4000), r.randrange(100000), 0, 0, 0, 0)
        body = body[:r.choice((len(body), len(body), len(body), r.randrange(len(body) + 1)))]
        if opcode in SILENT:
            k.send(opcode, r.choice((0, 77777777)) if opcode == FORGET else 0, body[:8] if opcode == BATCH_FORGET else body)
            continue
        try:
            got = k.ask(opcode, r.choice(nodes), body, r.choice((None, None, None, r.randrange(100))))
        except (ValueError, OSError) as why:
            report("rubbish", f"seed {seed}, request {i}: {why}")
            return
        if opcode == INIT and isinstance(got, bytes):
            k.ask(INIT, 0, struct.pack("<IIII", 7, 31, 131072, 0))
    report("rubbish", "" if k.server.poll() is None and k.cat(pid + "/objects/five") == b"5\n" else f"seed {seed}: it ended, or is confused")


def liars(k):
    """Somebody who listens as a program does, and answers what he likes."""
    path = f"/tmp/pvm-{os.geteuid()}/{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX)
    if os.path.lexists(path):
        os.unlink(path)
    listener.bind(path)
    listener.listen(16)
    me = str(os.getpid())

    def meanwhile(ask, answer):
        """The server's answer to ask(), while we answer to it."""
        child = os.fork()
        if not child:
            while True:
                s, _ = listener.accept()
                try:
                    if s.recv(5000):
                        s.sendall(answer)
                except OSError:
                    pass
                s.close()
        try:
            return ask()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    top = meanwhile(lambda: k.lookup(ROOT, me), b"")[0]
    for answer, wanted in ((b"", errno.EIO), (b"ok\n", errno.EIO), (b"no ", errno.ENOENT), (b"ok\nd\t", errno.EIO), (b"ok\nx\t\n", errno.EIO), (b"ok\nf\t\n", errno.EIO), (b"ok\nf\t12x\n", errno.EIO),
                           (b"ok\nf\t" + b"9" * 30 + b"\n", errno.EIO), (b"ok\nl\t/etc/passwd\n", errno.EIO), (b"ok\nl\t..\n", errno.EIO), (b"ok\nl\ta/../../..\n", errno.EIO), (b"ok\nl\t\n", errno.EIO),
                           (b"ok\nl\t" + b"x" * 5000 + b"\n", errno.EIO), (b"\0" * 100, errno.EIO), (b"ok\n\0\t\n", errno.EIO)):
        same(f"liar: {answer[:20]!r}", meanwhile(lambda: k.lookup(top, "x"), answer), -wanted)  # pylint: disable=cell-var-from-loop
    for answer, wanted in ((b"a\td\t\n..\td\t\n.\td\t\n/etc\td\t\nb/c\td\t\n\td\t\nc\n\n" + b"n" * 256 + b"\td\t\nz\tf\t1\n", {".", "..", "a", "z"}), (b"a\td\t\nb\td\t", {".", "..", "a", "b"}), (b"", {".", ".."}),
                           (b"\t\t\t\t", {".", ".."}), (bytes(range(256)) * 50, {".", ".."})):
        same(f"liar's names: {answer[:20]!r}", set(meanwhile(lambda: k.names(top), b"ok\n" + answer)), wanted)  # pylint: disable=cell-var-from-loop
    same("endless", meanwhile(lambda: k.opened(OPENDIR, top), b"ok\n" + b"x" * (9 << 20)), -errno.EFBIG)
    time.sleep(1.1)  # the listings above are too old then
    os.unlink(path)
    os.symlink("/tmp", path)
    same("a link", k.lookup(ROOT, me), -errno.ENOENT)
    os.unlink(path)
    os.symlink(path + ".other", path)
    listener.close()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + ".other")
    listener.listen(1)
    same("a link to a socket", k.lookup(ROOT, me), -errno.ENOENT)
    os.unlink(path)
    os.rename(path + ".other", f"/tmp/pvm-{os.geteuid()}/{os.getppid()}")
    same("the socket of another", k.lookup(ROOT, str(os.getppid())), -errno.ENOENT)
    os.unlink(f"/tmp/pvm-{os.geteuid()}/{os.getppid()}")
    listener.close()


def stopped(k, program):
    pid = str(program.pid)
    node, objects = k.walk(pid + "/objects/five")[0], k.walk(pid + "/objects")[0]
    program.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    got = k.opened(OPEN, node)
    took = time.monotonic() - began
    report("stopped", "" if got == -errno.EIO and 1 < took < 20 else f"{got} after {took} s")
    began = time.monotonic()
    got = k.opened(OPEN, node), k.opened(OPENDIR, objects)
    report("not asked again soon", "" if got == (-errno.EIO, -errno.EIO) and time.monotonic() - began < 1 else f"{got}")
    report("listed all the same", "" if pid in k.names(ROOT) and k.walk(pid)[0] else "not there")
    program.send_signal(signal.SIGCONT)
    end = time.monotonic() + 30
    while k.opened(OPEN, node) == -errno.EIO and time.monotonic() < end:
        time.sleep(0.2)
    same("goes on", k.read(node), b"5\n")


def ended(k, program, other):
    pid = str(program.pid)
    node, top, objects = (k.walk(pid + path)[0] for path in ("/objects/five", "", "/objects"))
    fh = k.opened(OPEN, node)
    pvm("stop", pid)
    report("is gone", "" if pid not in k.names(ROOT) else "listed")  # nobody has waited for it
    same("not found", k.lookup(ROOT, pid), -errno.ENOENT)
    program.wait()
    same("stale", [k.ask(GETATTR, node, bytes(16)), k.ask(GETATTR, top, bytes(16)), k.opened(OPEN, node), k.opened(OPENDIR, objects), k.opened(OPENDIR, top)], [-errno.ESTALE] * 5)
    same("nothing in it", (k.lookup(objects, "counter"), k.lookup(top, "threads")), (-errno.ENOENT, -errno.ENOENT))
    same("what was open", k.part(READ, node, fh, 0, 10), b"5\n")
    report("the other one", "" if str(other.pid) in k.names(ROOT) and k.cat(f"{other.pid}/objects/five") == b"5\n" else "not there")
    other.kill()
    other.wait()
    same("killed", (k.lookup(ROOT, str(other.pid)), str(other.pid) in k.names(ROOT)), (-errno.ENOENT, False))


def main():
    folder = tempfile.mkdtemp()
    source = os.path.join(folder, "w.ph")
    with open(source, "w", encoding="utf-8") as f:
        f.write(SOURCE)
    subprocess.run([PLC, "-w", "-L", LIB, "-o", folder, source], check=True)
    programs = [start(folder) for _ in range(2)]
    pids = [str(p.pid) for p in programs]
    try:
        k = Kernel()
        same("version", struct.unpack_from("<III", k.started), (7, 31, 131072))
        report("programs", "" if set(pids) < set(k.names(ROOT)) else str(k.names(ROOT)))
        contents(k, pids[0])
        changes(k, pids[0])
        forgotten(k, pids[0])
        malformed(k, pids[0])
        rubbish(k, pids[0])
        liars(k)
        stopped(k, programs[0])
        ended(k, programs[0], programs[1])
        same("destroy", k.ask(DESTROY, 0), b"")
        same("status", k.end(), 0)
        for minor, wanted in ((23, 23), (40, 31), (12, -errno.EPROTO)):
            k = Kernel(minor)
            same(f"minor {minor}", k.started if isinstance(k.started, int) else struct.unpack_from("<II", k.started)[1], wanted)
            same("after that", isinstance(k.names(ROOT), dict), wanted > 0)
            same("newer", struct.unpack_from("<I", k.ask(INIT, 0, struct.pack("<IIII", 8, 0, 0, 0)))[0], 7)
            same("end", k.end(), 0)
        for words, wanted in ((["mount"], 2), (["mount", "--fd"], 2), (["mount", "--fd", "999"], 2), (["mount", "--fd", "x"], 2), (["mount", "a", "b", "c"], 2), (["mount", os.path.join(folder, "absent")], 1)):
            done = subprocess.run([PVM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            report(f"usage: {words}", "" if done.returncode == wanted and done.stderr.startswith(("usage: ", "pvm: ")) and (wanted == 2 or done.stderr.count("\n") == 1) else f"{done.returncode} {done.stderr}")
    finally:
        for program in programs:
            program.kill()
            program.wait()
        shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
