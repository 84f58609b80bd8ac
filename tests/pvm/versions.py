#!/usr/bin/env python3
"""versions.py - `pvm load` of new versions of classes, by the compiler's files: what programs, frames, closures and threads make of it; kills on a store at any moment. Prints PASS and FAIL lines.

PVM_VERSIONS_KILLS: how many lives on the store (default 12).
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from hosted import LIB, PVM, compile_to

failed = False


def report(name, wrong):
    global failed
    failed |= bool(wrong)
    print(f"FAIL versions {name}: {wrong}" if wrong else f"PASS versions {name}", flush=True)


def pvm(*words):
    done = subprocess.run([PVM, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


class Program:
    """A program that runs; lines of its output are waited for."""

    def __init__(self, *words):
        self.process = subprocess.Popen([PVM, "run", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # pylint: disable=consider-using-with
        self.pid = str(self.process.pid)

    def wait(self, pattern):
        for line in self.process.stdout:
            if re.search(pattern, line):
                return line
        return ""

    def listens(self):
        end = time.monotonic() + 60
        while pvm("ps", self.pid)[0] and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)

    def call(self, path, *words):
        return pvm("call", f"{self.pid}/objects/{path}", *words)[1]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


ACCOUNT = """
package .bank;
import .internal.*;
class account
{
    string owner; int money; %s
    void account( var o : string, var m : int ) { owner = o; money = m; }
    %s
};
"""
FIRST = ACCOUNT % ("int spare = 3; static int opened = 1;", """
    string show() { return owner + ": " + money; }
    int add( var n : int ) { money += n; return money; }
    closure adder() { return void( var n : int ) { spare++; return add( n ) + spare; }; }
    void work( var boot : bootstrap )
    {
        var turns : int = 0;
        while( spare > 0 ) { turns++; boot.sleep( 1 ); }
        boot.getRoot().put( "turns", "ended: " + add( 1 ) );
    }
""")
SECOND = ACCOUNT % ("long cents; static int opened = 9; static string bank = \"new\"; mutex gate;", """
    string show() { return owner + ": " + cents + " cents" + ( gate ? "" : " no gate" ); }
    int add( var n : int ) { cents += 100 * n; return (int)cents; }
    closure adder() { return null; }
    void migrate() { cents = (long)money * 100; gate = new mutex(); }
    string since() { return bank + opened; }
""")
THIRD = ACCOUNT % ("string cents;", "string show() { return owner; }")
USER = """
package .bank;
import .internal.*;
class gold extends account
{
    double rate = 0.5;
    void gold( var o : string ) { super( o, 1000 ); }
    string show() { return super.show() + " at " + rate; }
};
class worker { account a; bootstrap boot; void worker( var a_ : account, var b : bootstrap ) { a = a_; boot = b; } void run() { a.work( boot ); } };
class main
{
    closure adder;
    string adds( var n : int ) { return "" + adder.call( n ); }
    void run( var boot : bootstrap ) [8]
    {
        var root : directory = boot.getRoot();
        var a : account = new account( "ann", 5 );
        root.put( "ann", a );
        root.put( "bob", new gold( "bob" ) );
        adder = a.adder();
        root.put( "main", this );
        root.put( "worker", new worker( a, boot ) );
        new thread( root.get( "worker" ) ).start();
        boot.consolePrint( "ready\\n" );
        while( root.get( "turns" ) == null ) boot.sleep( 5 );
        boot.consolePrint( root.get( "turns" ) + "\\n" );
    }
};
"""


def part_program(folder, options):
    classes, new = os.path.join(folder, "classes"), os.path.join(folder, "new")
    compile_to(classes, FIRST + USER.replace("package .bank;\nimport .internal.*;", ""))
    file = os.path.join(classes, "bank/account.pvmc")
    p = Program(*options, "-L", classes, "-L", LIB, ".bank.main")
    name = " ".join(options)
    p.wait("ready")
    p.listens()

    def load(source):
        shutil.rmtree(new, ignore_errors=True)
        compile_to(new, source, "-L", classes)
        shutil.copy(os.path.join(new, "bank/account.pvmc"), file)
        return pvm("load", p.pid, ".bank.account")[1]

    checks = [
        ("before", p.call("ann", "show"), "ann: 5\n"), ("child before", p.call("bob", "show"), "bob: 1000 at 0.5\n"),
        ("the same", pvm("load", p.pid, ".bank.account")[1], ".bank.account: version 1\n"),
        ("no method", load(FIRST.replace("void work(", "void labour(")), "pvm: .bank.account: method work(.internal.bootstrap;)v would go, and .bank.worker uses it\n"),
        ("unchanged", p.call("ann", "show"), "ann: 5\n"),
        ("load", load(SECOND + "// a"), "pvm: .bank.account: method work(.internal.bootstrap;)v would go, and .bank.worker uses it\n"),
        ("load 2", load(SECOND.replace("string since()", "void work( var boot : bootstrap ) { }\n string since()")), ".bank.account: version 2\n"),
        ("after", p.call("ann", "show"), "ann: 500 cents\n"), ("child after", p.call("bob", "show"), "bob: 100000 cents at 0.5\n"),
        ("closure", p.call("main", "adds", "2"), "704\n"), ("statics", p.call("ann", "since"), "null1\n"),
        ("version", re.sub(r" \{.*", "", pvm("inspect", p.pid + "/classes/.bank.account")[1]), ".bank.account version 2\n"),
        ("replaced", pvm("inspect", p.pid + "/classes/.bank.account@1")[1], ".bank.account version 1, replaced\n"),
        ("type", load(THIRD), "pvm: .bank.account: field cents was l, would be .internal.string;\n"),
    ]
    for what, found, expected in checks:
        report(f"{name} {what}", "" if found == expected else f"{found!r}, expected {expected!r}")
    report(f"{name} old fields", "" if "spare" not in pvm("ls", p.pid + "/objects/ann")[1] else "spare is still shown")
    p.end()


def part_kills(folder):
    """
    Versions come at any moment, the process is killed at any moment: what is found is one version or another, whole. A call that is in version 2 when version 3 comes may find an object on
    which version 2's migrate() has not run and never will: then it is asked again, in what is the newest version by then.
    """
    classes, store = os.path.join(folder, "classes"), os.path.join(folder, "store")
    fields = {1: "int n; string s;", 2: "long wide = 7; int n; string s; int odd;", 3: "string s; int n; double d;"}
    methods = {1: "", 2: "void migrate() { wide = n; odd = n % 2; } ", 3: ""}
    check = {1: "1", 2: "wide == n && odd == n % 2", 3: "d == 0.0"}

    def source(v):
        return f"""
package .kill;
import .internal.*;
class cell
{{
    {fields[v]}
    void cell( var n_ : int ) {{ n = n_; s = "s" + n_; touch(); }}
    void touch() {{ {"wide = n; odd = n % 2;" if v == 2 else ""} }}
    {methods[v]}
    int good( var at : int ) {{ return n == at && s == "s" + at && ( {check[v]} ); }}
}};
"""
    main = """
class main
{
    string all() { var sum : int = 0; for( var i : int = 0; i < 300; i++ ) if( cells[i].good( i ) ) sum++; return "" + sum; }
    cell[] cells = new cell[]();
    void run( var boot : bootstrap ) [8]
    {
        for( var i : int = 0; i < 300; i++ ) cells[i] = new cell( i );
        boot.getRoot().put( "main", this );
        while( 1 )
        {
            for( var i : int = 0; i < 300; i++ )
                if( cells[i].good( i ) == 0 && cells[i].good( i ) == 0 ) throw "cell " + i;     // code of version 2 that was left behind by 3: see below
            cells[17] = new cell( 17 );
            boot.sleep( 1 );
        }
    }
};
"""
    compile_to(classes, source(1) + main)
    files = {}
    for v in (1, 2, 3):
        new = os.path.join(folder, f"v{v}")
        compile_to(new, source(v), "-L", classes)
        files[v] = os.path.join(new, "kill/cell.pvmc")
    wrong, seen, upgrades = "", set(), 0
    for life in range(int(os.environ.get("PVM_VERSIONS_KILLS", "12"))):
        p = Program("--store", store, "--heap", "64", "--compile=always" if life % 2 else "--interpreter", "-L", classes, "-L", LIB, ".kill.main")
        p.listens()
        if p.process.poll() is not None:
            wrong = f"life {life}: ended: {p.process.stdout.read()}"
            break
        end = time.monotonic() + 0.5 + 0.137 * (life % 5)
        if p.call("main", "all") != "300\n" and life:
            wrong = wrong or f"life {life}: {p.call('main', 'all')!r}"
        seen.add(re.sub(r" \{.*", "", pvm("inspect", p.pid + "/classes/.kill.cell")[1]).strip())
        v = life
        while time.monotonic() < end:
            v += 1
            shutil.copy(files[v % 3 + 1], os.path.join(classes, "kill/cell.pvmc"))
            status, text = pvm("load", p.pid, ".kill.cell")
            upgrades += not status
            if status and life:
                wrong = wrong or text
        if p.process.poll() is not None:
            wrong = f"life {life}: ended, {p.process.returncode}: {p.process.stdout.read()} {wrong}"
        p.process.send_signal(signal.SIGKILL)
        p.end()
        if wrong:
            break
    report(f"killed on a store: {upgrades} upgrades, found {len(seen)} versions", wrong or ("" if len(seen) > 2 else f"found only {seen}"))


def main():
    for options in (["--interpreter"], ["--compile=always"]):
        with tempfile.TemporaryDirectory() as folder:
            part_program(folder, options)
    with tempfile.TemporaryDirectory() as folder:
        part_kills(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
