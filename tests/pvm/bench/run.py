#!/usr/bin/env python3
"""run.py - the object machine beside Lua 5.4: processor time of each row, the median of RUNS (5) interleaved runs. build/host/plc and build/host/pvm are there."""
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "../../..", os.environ.get("BUILD", "build"), "host")
ROWS = ("intloop", "floatloop", "calls", "fields", "sieve", "strings", "trees", "matmul", "untyped")
RUNS = int(os.environ.get("RUNS", "5"))


def seconds(words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([f"{BUILD}/plc", "-o", folder, f"{HERE}/all.ph"], check=True)
        ratios = []
        print(f"{'row':12}{'pvm':>8}{'lua5.4':>8}  times as fast")
        for row in ROWS:
            ours, lua = [], []
            for _ in range(RUNS):
                ours.append(seconds([f"{BUILD}/pvm", "run", "-L", folder, f".bn.{row}"]))
                lua.append(seconds(["lua5.4", f"{HERE}/{row}.lua"]))
            a, b = statistics.median(ours), statistics.median(lua)
            ratios.append(b / a)
            print(f"{row:12}{a:8.2f}{b:8.2f}  {b / a:.2f}", flush=True)
        print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")


if __name__ == "__main__":
    sys.exit(main())
