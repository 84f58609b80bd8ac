#!/usr/bin/env python3
"""monitor.py - `pvm start|ps|ls|inspect|load|gc|stat|stop`, libphantom.a, and a program that runs. Prints PASS and FAIL lines."""
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

from hosted import BUILD, LIB, PLC, PVM, compile_to, need, started

CALLER = os.path.join(BUILD, "host", "caller")
SOURCE = r"""
package .test;
import .internal.*;
import .phantom.util.*;
class point { int x; double y = 0.5; private string name = "a \"b\"\n\u00e4"; static int made = 7; void point( var x_ : int ) { x = x_; } };
class called
{
    int sum; long much; mutex gate = new mutex();
    int add( var n : int ) [20] { sum += n; return sum; }
    long more( var n : long ) { much += n; return much; }
    double half( var d : double ) { return d / 2.0; }
    string greet( var a : string, var b : string ) { return "<" + a + "|" + b + ">"; }
    void nothing() { }
    point get() { return new point( 1 ); }
    int divide( var n : int ) { return 7 / n; }
    int deep( var n : int ) { return deep( n + 1 ); }
    void pass() { gate.lock(); gate.unlock(); }
    called me() { return this; }
    string toString() { return "called " + sum; }
};
class alarm { sema rung = new sema(); void ring( var s : int ) [20] { rung.release(); } void run( var boot : bootstrap ) [8] { var k : connection = boot.getRoot().get( "alarm" ); if( !k ) { k = new connection(); k.connect( "tmr:" ); boot.getRoot().put( "alarm", k ); k.setCallback( this, 20 ); k.invoke( 3600000, 0 ); boot.consolePrint( "set\n" ); } else { k.setCallback( this, 20 ); k.invoke( 1, 0 ); } rung.acquire(); boot.consolePrint( "rung\n" ); } };
class three extends point { long z = -9; void three() { super( 3 ); } };
class counting { void run( var boot : bootstrap ) [8] { var s : int = 0; var n : int = 2147483647; for( var i : int = 0; i <= n; i++ ) s += i; } }; class later { };
class sleeper { void run() { ( new world() ).getMyThread().join(); } };
class watched
{
    void run( var boot : bootstrap ) [8]
    {
        var numbers : int[] = new int[]();
        for( var i : int = 0; i < 40; i++ ) numbers[i] = i * i;
        boot.getRoot().put( "p", new point( -5 ) );
        boot.getRoot().put( "t", new three() );
        boot.getRoot().put( "a/b%", numbers );
        boot.getRoot().put( "n", null );
        var c : called = new called();
        c.gate.lock();
        boot.getRoot().put( "c", c ); var k : connection = new connection(); k.setCallback( c, 20 ); boot.getRoot().put( "k", k );
        var m : mutex = new mutex();
        m.lock();
        boot.getRoot().put( "m", m );
        boot.getRoot().put( "f", void( var n : int ) { return c.add( n ); } );
        boot.consolePrint( "ready\n" );
        while( 1 ) ;
    }
};
"""
# Programs in one heap: what one has named the others use; each has its own arguments.
SERVES = r"""
package .together;
import .internal.*;
class counter { int n; mutex gate = new mutex(); int next() { gate.lock(); n++; gate.unlock(); return n; } void keep() { gate.lock(); while( 1 ) ; } void hold() { gate.lock(); } };
class serves { void run( var boot : bootstrap ) [8] { boot.getRoot().put( "counter", new counter() ); boot.consolePrint( "open\n" ); while( 1 ) boot.sleep( 1000 ); } };
"""
TAKES = r"""
package .together;
import .internal.*;
import .together.counter;
class keeper { counter of; void keeper( var c : counter ) { of = c; } void run() { of.keep(); } };
class takes
{
    void run( var boot : bootstrap ) [8]
    {
        var a : string[] = boot.getArguments();
        var c : .together.counter = boot.getRoot().get( "counter" );
        if( a[0] == "keep" ) boot.startThread( new keeper( c ) );
        while( a[0] == "keep" ) boot.sleep( 1000 );
        for( var i : int = a[1].toInt(); i > 0; i-- ) { c.next(); if( a.size() > 2 ) boot.sleep( a[2].toInt() ); }
        var e : string[] = ( new world() ).getMyThread().getEnvironment();
        boot.consolePrint( e[0] + "\n" );
    }
};
class throws { void run() { throw "no"; } };
"""
failed = False


def report(name, wrong):
    global failed
    failed |= bool(wrong)
    print(f"FAIL monitor {name}: {wrong}" if wrong else f"PASS monitor {name}", flush=True)


def pvm(*words):
    done = subprocess.run([PVM, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def expect(name, words, status, pattern):
    got, output = pvm(*words)
    report(name, "" if got == status and re.fullmatch(pattern, output, re.S) else f"status {got}, {output!r}")


def missing():
    """What a test needs and has not, it says, and ends."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run([sys.executable, __file__], env={**os.environ, "BUILD": empty}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    report("missing", "" if done.returncode == 1 and re.fullmatch(r"FAIL monitor\.py: \S*/pvm is missing, .*\n", done.stdout) else f"status {done.returncode}, {done.stdout!r}")


def timer(folder):
    """A program that is stopped ends with its timers; what it leaves in its heap is none that the next one could not set again."""
    words = [PVM, "run", "--store", os.path.join(folder, "store"), "-L", folder, "-L", LIB, ".test.alarm"]
    with started(words) as program:
        first = program.stdout.readline()
        stopped = pvm("stop", str(program.pid))
        program.wait(60)
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    report("timer", "" if (first, stopped, done.returncode, done.stdout) == ("set\n", (0, ""), 0, "rung\n") else f"{first!r}, {stopped}, status {done.returncode}, {done.stdout!r}")


def counted(folder):
    """A loop that counts and has no end polls, compiled, too."""
    with started([PVM, "run", "-L", folder, "-L", LIB, ".test.counting"]) as program:
        end = time.monotonic() + 60
        while pvm("ps", str(program.pid))[0] and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1) # it is compiled by now
        stopped = pvm("stop", str(program.pid))
        program.wait(60)
    report("counting", "" if (stopped, program.returncode) == ((0, ""), 1) else f"{stopped}, status {program.returncode}")


def until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)


def together(folder):
    """Programs in one heap: they share objects, have their own arguments, are stopped one by one, and go on together."""
    serves, takes = (os.path.join(folder, name) for name in ("serves", "takes"))
    compile_to(serves, SERVES)
    compile_to(takes, TAKES, "-L", serves)
    words = [PVM, "run", "--store", os.path.join(folder, "together.store"), "-L", serves, "-L", LIB, ".together.serves", "mine"]
    with started(words) as program:
        report("start: first", "" if program.stdout.readline() == "open\n" else "it did not open")
        pid = str(program.pid)
        until(lambda: pvm("ps", pid)[0] == 0)
        start, counted_to = ["start", pid, "-L", takes, ".together.takes"], ["inspect", pid + "/objects/counter/n"]
        expect("start: no folder named", ["start", pid, ".together.takes"], 1, r"pvm: \.together\.takes: no such class\n")
        expect("start: no such folder", ["start", pid, "-L", "/nowhere", ".together.takes"], 1, r"pvm: /nowhere: No such file or directory\n")
        expect("start: no class", ["start", pid, "-L", folder], 2, r"usage: pvm start PID \[-L DIR\].*\n")
        expect("start: usage", ["start", pid], 2, r"usage: pvm start PID.*\n")
        expect("start: not of a thread", ["start", pid + "/threads/1", ".together.takes"], 2, r"usage: pvm start PID.*\n")
        expect("start: not to be made", ["start", pid, ".internal.bootstrap"], 1, r"pvm: \.internal\.bootstrap cannot be made by new\n")
        expect("start", [*start, "a b", "5"], 0, rf"{pid}/threads/2\n")
        report("start: its arguments", "" if program.stdout.readline() == "a b\n" else "others")
        expect("start: what it shares", counted_to, 0, r"5\n")
        expect("call: ends with a mutex", ["call", pid + "/objects/counter", "hold"], 0, "")
        expect("call: which is free", ["call", pid + "/objects/counter", "hold"], 0, "")
        status, keeper = pvm(*start, "keep")
        until(lambda: pvm("inspect", pid + "/objects/counter/gate/owner")[1] != "null\n")
        expect("start: one waits", [*start, "waits", "1"], 0, rf"{pid}/threads/\d+\n")
        until(lambda: " mutex " in pvm("ps", pid)[1])
        expect("stop: no thread", ["stop", pid + "/objects/counter"], 1, r"pvm: /objects/counter is no thread that runs\n")
        expect("stop: one program", ["stop", keeper.strip()], 0, "")
        report("stop: its mutex is free", "" if status == 0 and program.stdout.readline() == "waits\n" else "it is not")
        expect("stop: with all its threads", ["ps", pid], 0, r"1 sleeps \.together\.serves in run line \d+\n")
        expect("stop: again", ["stop", keeper.strip()], 1, r"pvm: nothing is called /threads/\d+\n")
        expect("start: one throws", ["start", pid, ".together.throws"], 0, rf"{pid}/threads/\d+\n")
        report("start: its trace", "" if re.fullmatch(r"uncaught in thread \d+: \.internal\.string: no\n", program.stdout.readline()) else "another")
        expect("start: one that goes on", [*start, "later", "100", "10"], 0, rf"{pid}/threads/\d+\n")
        until(lambda: pvm(*counted_to)[1] > "16\n")
        snapshots = pvm("stat", pid)[1]
        until(lambda: int(re.search(r"snapshots (\d+)", pvm("stat", pid)[1])[1]) > int(re.search(r"snapshots (\d+)", snapshots)[1]) + 1)
        program.kill()
    with started(words) as program:
        lines = [program.stdout.readline()]
        pid = str(program.pid)
        while lines[-1] and lines[-1] != "later\n":
            lines.append(program.stdout.readline())
        report("start: behind a kill", "" if lines[-1] == "later\n" and "open\n" not in lines else repr(lines))
        expect("start: all counted", ["inspect", pid + "/objects/counter/n"], 0, r"106\n")
        pvm("stop", pid + "/threads/1")
        program.wait(60)
        report("stop: the last one", "" if program.returncode == 1 else f"status {program.returncode}")


def main():
    need(PVM, PLC, LIB, CALLER)
    missing()
    with tempfile.TemporaryDirectory() as folder:
        compile_to(folder, SOURCE)
        with started([PVM, "run", "-L", folder, "-L", LIB, ".test.watched"]) as program:
            pid = str(program.pid)
            path = f"/tmp/pvm-{os.geteuid()}/{pid}"
            end = time.monotonic() + 60
            while not os.path.exists(path) and time.monotonic() < end:
                time.sleep(0.01)
            while pvm("inspect", pid + "/objects/m")[0] and time.monotonic() < end:
                time.sleep(0.01)
            expect("threads", ["ps", pid], 0, r"1 ready \.test\.watched in run line 43\n")
            expect("all", ["ps"], 0, rf"PID THREAD STATE WHAT\n(.*\n)?{pid} 1 ready \.test\.watched in run line 43\n.*")
            expect("names", ["ls", pid + "/objects"], 0, r"a%2fb%25\t.*\nc\t\.test\.called\nf\t\.internal\.closure\nk\t\.internal\.connection\nm\t\.internal\.mutex\nn\tnull\np\t\.test\.point\nt\t\.test\.three\n")
            expect("fields", ["ls", pid + "/objects/p/"], 0, r'x\t-5\ny\t0\.5\nname\t"a \\"b\\"\\nä"\n')
            expect("inherited", ["inspect", pid + "/objects/t"], 0, r'\.test\.three \{ x: 3, y: 0\.5, name: "a.*", z: -9 \}\n')
            expect("static", ["inspect", pid + "/classes/.test.point/made"], 0, r"7\n")
            expect("elements", ["inspect", pid + "/objects/a%2fb%25"], 0, r".* of 40 \{ 0: 0, 1: 1, .*, 15: 225, \.\.\. \}\n")
            expect("element", ["inspect", pid + "/objects/a%2fb%25/39"], 0, r"1521\n")
            expect("owner", ["inspect", pid + "/objects/m/owner/object"], 0, r"\.test\.watched.*\n")
            expect("connection", ["inspect", pid + "/objects/k"], 0, r"\.internal\.connection \{ callback: \.test\.called, timer: null \}\n")
            expect("closure", ["inspect", pid + "/objects/f"], 0, r"\.internal\.closure \{ class: \.\.\., 0: \.test\.watched, 1: \.test\.called \}\n")
            expect("its class", ["inspect", pid + "/objects/f/class"], 0, r"\.test\.watched\n")
            expect("captured", ["inspect", pid + "/objects/f/1/sum"], 0, r"0\n")
            expect("nothing", ["inspect", pid + "/objects/p/x/y"], 1, r"pvm: nothing is called /objects/p/x/y\n")
            expect("not loaded", ["inspect", pid + "/classes/.test.later"], 1, r"pvm: nothing is called .*\n")
            expect("load", ["load", pid, ".test.later"], 0, r"\.test\.later: version 1\n")
            expect("loaded", ["inspect", pid + "/classes/.test.later"], 0, r"\.test\.later\n")
            expect("load nothing", ["load", pid, ".test.nothing"], 1, r"pvm: .*\.test\.nothing.*\n")
            before = int(re.search(r"collections (\d+)", pvm("stat", pid)[1])[1])
            expect("collect", ["gc", pid], 0, "")
            expect("statistics", ["stat", pid], 0, rf"collections {before + 1}\ncollections_on_images \d+\ncollections_us \d+\nyoung_collections \d+\nyoung_collections_us \d+\nlongest_pause_us \d+\nsnapshots 0\nsnapshot_pages 0\nblocks \d+\nallocated_bytes \d+\nlive_bytes \d+\n")
            expect("no number", ["stat", "x"], 2, r"usage: pvm stat PID\n")
            expect("no program", ["stat", "1"], 1, r"pvm: program 1: no such program\n")
            c = pid + "/objects/c"
            for name, words, status, pattern in (
                    ("number", [c, "add", "-5"], 0, r"-5\n"), ("again", [c, "add", "2147483647"], 0, r"2147483642\n"),
                    ("long", [c, "more", "-9223372036854775808"], 0, r"-9223372036854775808\n"), ("double", [c, "half", "1e3"], 0, r"500\.0\n"),
                    ("strings", [c, "greet", "a b%20 ", ""], 0, r"<a b%20 \|>\n"), ("void", [c, "nothing"], 0, ""),
                    ("an object", [c, "get"], 0, r"\.test\.point.*\n"), ("its toString", [c, "me"], 0, r"called 2147483642\n"),
                    ("too large", [c, "add", "2147483648"], 1, r'pvm: uncaught in thread \d+: \.internal\.error\.argument: argument 1 of add: "2147483648".*'),
                    ("no number", [c, "add", ""], 1, r"pvm: .*argument: .*"), ("no method", [c, "dance"], 1, r"pvm: .*no method dance with 0 arguments\n.*"),
                    ("too few", [c, "add"], 1, r"pvm: .*no method add with 0 arguments\n.*"), ("constructor", [c, ".new"], 1, r"pvm: .*constructor.*"),
                    ("thrown", [c, "divide", "0"], 1, r"pvm: uncaught in thread \d+: \.internal\.error\.divide.*\n +at \.test\.called\.divide \(\S*source\.ph:15\)\n"),
                    ("stack", [c, "deep", "0"], 1, r"pvm: uncaught in thread \d+: \.internal\.error\.stack.*"),
                    ("not there", [pid + "/objects/nix", "add", "1"], 1, r"pvm: nothing is called /objects/nix\n"),
                    ("a number's", [c + "/sum", "add", "1"], 1, r"pvm: /objects/c/sum is not an object\n"),
                    ("null's", [pid + "/objects/n", "add", "1"], 1, r"pvm: /objects/n is not an object\n"),
                    ("many", [c, "add", *["1"] * 70], 1, r"pvm: too many arguments\n"), ("long words", [c, "greet", "x" * 5000, ""], 1, r"pvm: .*\n"),
                    ("usage", [pid], 2, r"usage: pvm call PID/PATH METHOD.*\n")):
                expect("call: " + name, ["call", *words], status, pattern)
            for name, words, status, pattern in (
                    ("call", [pid, "/objects/c", "greet", "a b%20 ", ""], 0, r"<a b%20 \|>\n"), ("thrown", [pid, "/objects/c", "divide", "0"], 1, r"refused uncaught in thread \d+: .*divide.*"),
                    ("no program", ["1", "/objects/c", "nothing"], 1, rf"error {errno.ENOENT}\n"), ("too much", [pid, "/objects/c", "greet", "x" * 5000, ""], 1, rf"error {errno.E2BIG}\n")):
                done = subprocess.run([CALLER, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
                report("library: " + name, "" if done.returncode == status and re.fullmatch(pattern, done.stdout, re.S) else f"status {done.returncode}, {done.stdout!r}")
            waits = subprocess.Popen([PVM, "call", c, "pass"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # pylint: disable=consider-using-with
            with subprocess.Popen([PVM, "call", c, "pass"]) as impatient:
                while pvm("ps", pid)[1].count(" mutex ") < 2 and time.monotonic() < end:
                    time.sleep(0.01)
                impatient.kill()
            expect("call: beside", ["call", c, "add", "1"], 0, r"2147483643\n")
            for rubbish in (b"call", b"call \n", b"call / \n", b"call /objects/c  \n", b"call /objects/c %ff%0\n", b"", b"ls", b"dance /\n", b"\0\n", b"ls " + b"x" * 100000 + b"\n"):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(path)
                    try:
                        s.sendall(rubbish)
                        s.shutdown(socket.SHUT_WR)
                        while s.recv(65536):
                            pass
                    except ConnectionError:
                        pass
            with socket.socket(socket.AF_UNIX) as s:  # while it waits for the rest the clock of its threads ticks: with a time limit no read goes on by itself
                s.connect(path)
                s.sendall(b"print ")
                for _ in range(3):
                    time.sleep(0.05)
                    program.send_signal(signal.SIGPROF)
                answer = b""
                try:
                    s.sendall(b"/objects/n\n")
                    s.shutdown(socket.SHUT_WR)
                    while part := s.recv(65536):
                        answer += part
                except ConnectionError as gone:
                    answer = str(gone).encode()
                report("slow", "" if answer == b"ok\nnull\n" else repr(answer))
            expect("after rubbish", ["inspect", pid + "/objects/n"], 0, r"null\n")
            expect("stop", ["stop", pid], 0, "")
            output, _ = program.communicate(timeout=60)
            report("end", "" if output == "ready\npvm: stopped\n" and program.returncode == 1 and not os.path.exists(path) else f"status {program.returncode}, {output!r}")
            output, _ = waits.communicate(timeout=60)
            report("call: the program ends", "" if output == "pvm: the program has ended\n" and waits.returncode == 1 else output)
            expect("gone", ["stop", pid], 1, rf"pvm: program {pid}: no such program\n")
        timer(folder)
        counted(folder)
        together(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
