#!/usr/bin/env python3
"""run.py - the object machine beside others: processor time of each row, the median of RUNS (5) interleaved runs on one processor.

Columns: interpreted and Lua 5.4; compiled and LuaJIT; gcc -O1 for the rows of numbers; and longer, so that there are about ten snapshots: compiled, and the same with a store. Behind them
binary trees beside HotSpot. What is not installed is left out. ROWS="a b": these rows alone.
build/host/plc and build/host/pvm are there."""
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "../../..", os.environ.get("BUILD", "build"), "host")
ROWS = {  # how often, and how many times as often to take about a second
    "intloop": (200000000, 8), "floatloop": (50000000, 14), "calls": (20000000, 40), "interfaces": (20000000, 12), "fields": (50000000, 30), "sieve": (20, 24),
    "strings": (3000000, 8), "trees": (100, 20), "hashmap": (100, 20), "nbody": (500000, 30), "matmul": (1, 36), "untyped": (5000000, 200)}
IN_C = ("intloop", "floatloop", "sieve", "nbody", "matmul")
RUNS = int(os.environ.get("RUNS", "5"))


def seconds(words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def beside_hotspot(folder):
    """Binary trees in a heap of twice what lives. HotSpot's time has its compiler's threads in it, as ours has our compiler."""
    if not shutil.which("javac"):
        return
    subprocess.run(["javac", "-d", folder, f"{HERE}/Forest.java"], check=True)
    commands = {"pvm": [f"{BUILD}/pvm", "run", "--heap", "100", "-L", folder, ".bn.forest"],
                "HotSpot": ["java", "-XX:+UseSerialGC", "-Xmx100m", "-cp", folder, "Forest"]}
    times = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, words in commands.items():
            times[name].append(seconds(words))
    line = {name: statistics.median(t) for name, t in times.items()}
    print(f"forest, heap of twice what lives: {line['pvm']:.3f}, HotSpot with the serial collector {line['HotSpot']:.3f}: {line['HotSpot'] / line['pvm']:.2f} times as fast")


def main():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pairs = {"interpreted": "lua", "compiled": "luajit", "store": "long", "compiled ": "gcc"}
    ratios = {pair: [] for pair in pairs}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([f"{BUILD}/plc", "-o", folder, f"{HERE}/all.ph"], check=True)
        subprocess.run(["gcc", "-O1", "-ffp-contract=off", "-o", f"{folder}/all", f"{HERE}/all.c"], check=True)
        print(f"{'row':12}{'interp':>8}{'lua5.4':>8}{'':>7}{'compiled':>10}{'luajit':>8}{'':>7}{'gcc -O1':>9}{'':>7}{'long':>8}{'store':>8}")
        for row in os.environ.get("ROWS", " ".join(ROWS)).split():
            count, times = ROWS[row]
            store = f"{folder}/store"
            pvm = [f"{BUILD}/pvm", "run", "-L", folder]
            special = f"{HERE}/{row}.luajit"
            commands = {
                "interpreted": pvm + ["--interpreter", f".bn.{row}", str(count)],
                "lua": ["lua5.4", f"{HERE}/{row}.lua", str(count)],
                "compiled": pvm + [f".bn.{row}", str(count)],
                "luajit": ["luajit", special if os.path.exists(special) else f"{HERE}/{row}.lua", str(count)],
                "gcc": [f"{folder}/all", row, str(count)] if row in IN_C else [],
                "long": pvm + [f".bn.{row}", str(count * times)],
                "store": pvm + ["--store", store, f".bn.{row}", str(count * times)],
            }
            commands = {name: words for name, words in commands.items() if words and shutil.which(words[0])}
            took = {name: [] for name in commands}
            for _ in range(RUNS):
                for name, words in commands.items():
                    if os.path.exists(store):
                        os.unlink(store)
                    took[name].append(seconds(words))
            line = {name: statistics.median(t) for name, t in took.items()}
            for pair, other in pairs.items():
                if pair.strip() in line and other in line:
                    ratios[pair].append(line[other] / line[pair.strip()])

            def cell(name, width):
                return f"{line[name]:{width}.3f}" if name in line else " " * width

            def ratio(pair):
                return f"{line[pairs[pair]] / line[pair.strip()]:6.2f}x" if pairs[pair] in line else " " * 7
            print(f"{row:12}{cell('interpreted', 8)}{cell('lua', 8)}{ratio('interpreted')}{cell('compiled', 10)}{cell('luajit', 8)}{ratio('compiled')}"
                  f"{cell('gcc', 9)}{ratio('compiled ')}{cell('long', 8)}{cell('store', 8)}{ratio('store')}", flush=True)
        beside_hotspot(folder)
    for pair, values in ratios.items():
        if values:
            print(f"{pair.strip()} beside {pairs[pair]}: {math.exp(sum(map(math.log, values)) / len(values)):.2f} times as fast (geometric mean), "
                  f"{min(values):.2f} at least")


if __name__ == "__main__":
    sys.exit(main())
