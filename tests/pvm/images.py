#!/usr/bin/env python3
"""images.py - full collections on images of the heap, of a program whose objects die at random, with weak references to them that it goes through meanwhile: alone, looked into and upgraded while there
is an image, and on a store, killed at any moment. Prints PASS and FAIL lines.

PVM_IMAGES_ROUNDS (6): of a million objects each; PVM_IMAGES_KILLS (6); PVM_IMAGES_SEED."""
import os
import random
import subprocess
import sys
import tempfile
import time

from hosted import LIB, PLC, PVM, compile_to, need

ROUNDS = os.environ.get("PVM_IMAGES_ROUNDS", "6")
KILLS = int(os.environ.get("PVM_IMAGES_KILLS", "6"))
SEED = os.environ.get("PVM_IMAGES_SEED", str(random.randrange(1 << 30)))
os.environ["PVM_IMAGE_BYTES"] = str(8 << 20)  # with less than that the machine makes no image
SOURCE = """
package .test;
import .internal.*;
class node { int id; long check; node next; void node( var id_ : int, var next_ : node ) { id = id_; check = id_ * 7 + 3; next = next_; } };
class marked
{
    long seed = 1;
    node[] slots = new node[]();
    weakref[] weak = new weakref[]();
    int below( var n : int ) { seed = seed * 6364136223846793005 + 1442695040888963407; return (int)( ( seed >>> 33 ) % n ); }
    int good( var n : node )
    {
        var sum : int = 0;
        while( n ) { if( n.check != n.id * 7 + 3 ) throw "object " + n.id + " is wrong"; sum += n.id; n = n.next; }
        return sum;
    }
    void run( var boot : bootstrap ) [8]
    {
        var rounds : int = boot.getArguments()[0].toInt();
        var n : int = 100000;
        for( var i : int = 0; i < n; i++ )
        {
            slots[i] = new node( i, new node( i, new node( i, new node( i, new node( i, null ) ) ) ) );
            weak[i] = new weakref( slots[i] );
        }
        boot.consolePrint( "full\\n" );
        for( var r : int = 0; r < rounds * 250000; r++ )
        {
            var i : int = below( n );
            var o : node = (node)weak[below( n )].get();
            good( o );
            if( o && below( 4 ) == 0 ) slots[i] = o;
            else slots[i] = new node( r, new node( r, new node( r, new node( r, null ) ) ) );
            weak[i] = new weakref( slots[i] );
        }
        for( var i : int = 0; i < n; i++ ) good( slots[i] );
        boot.consolePrint( "good\\n" );
    }
};
"""
failed = False


def result(name, wrong, more=""):
    global failed
    failed |= bool(wrong)
    print(f"FAIL images: {name}: {wrong}" if wrong else f"PASS images: {name}{more}", flush=True)


def asked(what, *more):
    return subprocess.run([PVM, what, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def start(folder, *options):
    return subprocess.Popen([PVM, "run", *options, "-L", folder, "-L", LIB, ".test.marked", ROUNDS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def images(pid):
    """How many there were."""
    for line in asked("stat", str(pid)).stdout.splitlines():
        if line.startswith("collections_on_images "):
            return int(line.split()[1])
    return None


def ended(program):
    out = program.communicate()[0]
    return "" if program.returncode == 0 and out.endswith("good\n") else f"status {program.returncode}, {out[-300:]!r}"


def alone(folder):
    program = start(folder)
    most = 0
    while program.poll() is None:
        most = images(program.pid) or most
        time.sleep(0.02)
    result("a program", ended(program) or ("" if most else "there was none"), f", {most} of them")


def disturbed(folder):
    """Everything that looks into the program or moves its objects, at any moment."""
    program = start(folder)
    version = 1
    wrong = ""
    while program.poll() is None and not wrong:
        what = random.randrange(4)
        if what == 0:
            version += 1
            compile_to(folder, SOURCE.replace("int id;", "int id; " + "".join(f"long v{i}; " for i in range(version % 3))))
            done = asked("load", str(program.pid), ".test.node")
            if "version" not in done.stdout and program.poll() is None:
                wrong = done.stdout
        elif what == 1:
            asked("inspect", f"{program.pid}/threads/1/object")
        elif what == 2:
            asked("ls", f"{program.pid}/threads/1/object/weak")
        elif random.randrange(8) == 0:
            asked("gc", str(program.pid))
        time.sleep(random.random() / 10)
    result("one that is looked into and upgraded", ended(program) if not wrong else wrong)
    program.kill()
    compile_to(folder, SOURCE)


def killed(folder):
    store = os.path.join(folder, "store")
    options = ("--store", store, "--heap", "256")
    lives = 1
    wrong = ""
    for _ in range(KILLS):
        program = start(folder, *options)
        time.sleep(0.3 + random.random())
        program.kill()
        out = program.communicate()[0]
        if program.returncode != -9:
            wrong = "" if out.endswith("good\n") else f"status {program.returncode}, {out[-300:]!r}"
            break
        lives += 1
    else:
        wrong = ended(start(folder, *options))
    result("one on a store that is killed", wrong, f", {lives} lives")


def main():
    need(PVM, PLC, LIB)
    random.seed(SEED)
    print(f"PVM_IMAGES_SEED={SEED}")
    with tempfile.TemporaryDirectory() as folder:
        compile_to(folder, SOURCE)
        alone(folder)
        disturbed(folder)
        killed(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main())
