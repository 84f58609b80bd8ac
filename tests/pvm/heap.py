#!/usr/bin/env python3
"""heap.py - a program whose objects have all kinds of sizes, and die at random: how large does its heap get beside what lives in it? Prints PASS and FAIL lines.

PVM_HEAP_ALLOCATIONS (6 million): how many objects; PVM_HEAP_SLOTS (500000): so many live. The heap is looked at (`pvm stat`) while the program runs, from when its slots are full on."""
import os
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PVM, PLC, LIB = (os.path.join(TOP, os.environ.get("BUILD", "build"), "host", name) for name in ("pvm", "plc", "lib"))
ALLOCATIONS = os.environ.get("PVM_HEAP_ALLOCATIONS", "6000000")
SLOTS = os.environ.get("PVM_HEAP_SLOTS", "500000")
BLOCK = 32768
SOURCE = """
package .test;
import .internal.*;
class small { int a; small next; void small( var a_ : int ) { a = a_; } };
class middle extends small { long b; long c; long d; void middle( var a_ : int ) { super( a_ ); } };
class mixed
{
    long seed = 1;
    int below( var n : int ) { seed = seed * 6364136223846793005 + 1442695040888963407; return (int)( ( seed >>> 33 ) % n ); }
    void run( var boot : bootstrap ) [8]
    {
        var slots : int = boot.getArguments()[0].toInt();
        var left : long = boot.getArguments()[1].toLong();
        var kinds : int = boot.getArguments()[2].toInt();
        var table : void[] = new void[]();
        var filled : int = 0;
        var o : void;
        table[slots - 1] = null;
        while( left > 0 )
        {
            var kind : int = below( kinds );
            if( kind < 50 ) o = new small( kind );
            else if( kind < 70 ) o = new middle( kind );
            else if( kind < 90 ) o = "a string of some length, and a number: " + left;
            else if( kind < 99 ) o = new int[]( below( 200 ) );
            else o = new long[]( below( 500 ) );
            if( filled < slots ) table[filled++] = o;
            else if( below( 4 ) == 0 ) table[below( slots )] = o;
            left--;
        }
    }
};
"""
failed = False


def stat(pid):
    done = subprocess.run([PVM, "stat", str(pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return {name: int(value) for name, value in (line.split() for line in done.stdout.splitlines())} if done.returncode == 0 else None


def run(folder, name, kinds, most):
    """Of the second half of the program, as collections go."""
    global failed
    ratios = []
    began = time.monotonic()
    with subprocess.Popen([PVM, "run", "-L", folder, "-L", LIB, ".test.mixed", SLOTS, ALLOCATIONS, str(kinds)]) as program:
        while program.poll() is None:
            s = stat(program.pid)
            if s and s["live_bytes"]:
                ratios.append((s["allocated_bytes"], s["blocks"] * BLOCK / s["live_bytes"]))
            time.sleep(0.05)
    late = [ratio for allocated, ratio in ratios if allocated > ratios[-1][0] / 2]
    wrong = f"status {program.returncode}" if program.returncode else "" if late and max(late) <= most else f"heap/live {max(late, default=0):.2f}, not {most}"
    failed |= bool(wrong)
    print(f"FAIL heap {name}: {wrong}" if wrong else f"PASS heap {name}: heap/live {max(late):.2f} at most, {time.monotonic() - began:.1f} s", flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "mixed.ph")
        with open(source, "w", encoding="utf-8") as f:
            f.write(SOURCE)
        subprocess.run([PLC, "-w", "-L", LIB, "-o", folder, source], check=True)
        run(folder, "of short objects", 90, 2.6)
        run(folder, "of all sizes", 100, 2.4)
    return failed


if __name__ == "__main__":
    sys.exit(main())
