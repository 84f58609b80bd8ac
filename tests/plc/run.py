#!/usr/bin/env python3
"""run.py - tests of the compiler and of what is written in the Phantom language. Prints PASS and FAIL lines.

    run.py [--update] [PART...]     parts: run errors language lib programs loading fuzz

run/NAME.ph            is compiled, .test.NAME is run; its output is NAME.out
errors/NAME.ph         is compiled (with the options in its first line, behind `// plc`; LIB: the library's folder); the messages are NAME.expected
pvm/plc/LANGUAGE.md    each ```phantom block is compiled and .example.NAME run; the ```output block behind it is the output, ```messages what the compiler says
pvm/lib/tests          every class there is run; the library's own tests throw when they fail
pvm/programs           each with arguments and, if there is one, programs/NAME.in as its input; its output is programs/NAME.out. The station gets its new sensors
                       where its input says load
loading                the compiler reads class files that somebody has tampered with (PLC_FUZZ_SEED=)
fuzz                   mutated sources (PLC_FUZZ= how many, PLC_FUZZ_SEED=)
"""
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(TOP, "tests/plc")
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
PLC, PVM = os.path.join(BUILD, "host/plc"), os.path.join(BUILD, "host/pvm")
LIB = os.path.join(BUILD, "host/lib")
UPDATE = "--update" in sys.argv
failed = False


def report(name, why=""):
    global failed
    failed |= bool(why)
    print(f"FAIL {name}\n{why.rstrip()}" if why else f"PASS {name}", flush=True)


def differ(expected, found):
    if expected == found:
        return ""
    lines = []
    a, b = expected.splitlines(), found.splitlines()
    for i in range(max(len(a), len(b))):
        x, y = a[i] if i < len(a) else "(nothing)", b[i] if i < len(b) else "(nothing)"
        if x != y:
            lines.append(f"  line {i + 1}: expected {x!r}\n{' ' * 10} found    {y!r}")
    return "\n".join(lines[:6]) or "  ends of lines differ"


def run(words, cwd=TOP, stdin=None, timeout=300):
    try:
        done = subprocess.run(words, cwd=cwd, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout, check=False)
        return done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        return -1, "", "no end"


def golden(path, text):
    if UPDATE:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        return differ(f.read(), text)


def execute(sources, name, out, options=(), arguments=()):
    """Compiles and runs: (what is wrong, output)."""
    status, _, messages = run([PLC, "-w", "-L", LIB, "-o", out, *options, *sources])
    if status:
        return f"  the compiler: status {status}\n{messages}", ""
    files = [os.path.join(at, f) for at, _, names in os.walk(out) for f in names]
    status, _, messages = run([PVM, "check", *files])
    if status:
        return f"  the verifier: {messages}", ""
    return machine(["-L", out, "-L", LIB, name, *arguments])


def machine(words, stdin=None, timeout=300):
    """Runs it as it is, and compiled to machine code before it has run once: (what is wrong, output)."""
    status, text, messages = run([PVM, "run", *words], stdin=stdin, timeout=timeout)
    if status:
        return f"  status {status}: {text[-300:]}{messages}", text
    status, compiled, messages = run([PVM, "run", "--compile=always", *words], stdin=stdin, timeout=timeout)
    wrong = differ(text, compiled)
    return (f"  compiled: status {status}: {messages}{wrong}" if status or wrong else ""), text


def part_run():
    for path in sorted(glob.glob(f"{HERE}/run/*.ph")):
        name = os.path.basename(path)[:-3]
        with tempfile.TemporaryDirectory() as out:
            wrong, text = execute([path], f".test.{name}", out, ["--original"] if name.startswith("original") else [])
            report(f"plc run {name}", wrong or golden(path[:-3] + ".out", text))


def part_errors():
    for path in sorted(glob.glob(f"{HERE}/errors/*.ph")):
        name = os.path.basename(path)
        with open(path, encoding="utf-8", errors="replace") as f:
            first = f.readline()
        options = [LIB if word == "LIB" else word for word in first.split()[2:]] if first.startswith("// plc") else []
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            status, _, messages = run([PLC, "-o", out, *options, name], cwd=f"{HERE}/errors")
            wrong = golden(path[:-3] + ".expected", messages)
            errors = ": error: " in messages
            if status != errors or errors == os.path.exists(out):
                wrong += f"\n  status {status}, class files {'' if os.path.exists(out) else 'not '}written"
            report(f"plc errors {name}", wrong)


def part_language():
    with open(f"{TOP}/pvm/plc/LANGUAGE.md", encoding="utf-8") as f:
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", f.read(), re.M | re.S)
    number = 0
    for i, (kind, text) in enumerate(blocks):
        if kind != "phantom":
            continue
        number += 1
        following = blocks[i + 1] if i + 1 < len(blocks) else ("", "")
        names = re.findall(r"^class (\w+)", text, re.M)
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "example.ph")
            with open(source, "w", encoding="utf-8") as f:
                f.write(text)
            if following[0] == "messages":
                _, _, messages = run([PLC, "-o", folder, "example.ph"], cwd=folder)
                wrong = differ(following[1], re.sub(r"^plc: .*\n", "", messages, flags=re.M))
            else:
                wrong, output = execute([source], f".example.{names[-1] if names else 'none'}", os.path.join(folder, "out"))
                if not wrong and following[0] == "output":
                    wrong = differ(following[1], output)
                elif not wrong:
                    wrong = "  no output block behind it"
            report(f"plc language example {number} ({', '.join(names)})", wrong)


def part_lib():
    sources = sorted(glob.glob(f"{TOP}/pvm/lib/tests/*.ph"))
    with tempfile.TemporaryDirectory() as out:
        status, _, messages = run([PLC, "-L", LIB, "-o", out, *sources])
        if status or messages:
            report("plc lib tests", messages or f"  status {status}")
            return
        for path in sources:
            name = os.path.basename(path)[:-3]
            wrong, text = machine(["-L", out, "-L", LIB, f".test.lib.{name}"])
            report(f"plc lib {name}", wrong or ("" if text.startswith("ok ") else f"  {text[-300:]}"))


PROGRAMS = {    # class and arguments
    "phonebook": [".programs.phonebook"],
    "bank": [".programs.start_bank", "20", "5", "2000"],
    "scheduler": [".programs.scheduler", "16"],
    "tetris": [".programs.tetris", "steps"],
}


def part_programs():
    with tempfile.TemporaryDirectory() as out:
        status, _, messages = run([PLC, "-L", LIB, "-o", out, *sorted(glob.glob(f"{TOP}/pvm/programs/*.ph"))])
        if status or messages:
            report("plc programs", messages or f"  status {status}")
            return
        for name, words in PROGRAMS.items():
            path = f"{HERE}/programs/{name}"
            typed = ""
            if os.path.exists(path + ".in"):
                with open(path + ".in", encoding="utf-8") as f:
                    typed = f.read()
            wrong, text = machine(["-L", out, "-L", LIB, *words], stdin=typed, timeout=120)
            report(f"plc programs {name}", wrong or golden(path + ".out", text))
        first = os.path.join(out, "first")
        shutil.copytree(os.path.join(out, "programs"), first)
        for options in ([], ["--compile=always"]):
            report(f"plc programs station {' '.join(options)}", golden(f"{HERE}/programs/station.out", upgraded(out, options)))
            shutil.copy(os.path.join(first, "sensor.pvmc"), os.path.join(out, "programs"))


def upgraded(out, options):
    """The station's output, with `pvm load` of the new sensor where its input says so: its answer is a line of the output."""
    status, _, messages = run([PLC, "-L", out, "-L", LIB, "-o", f"{out}/next", f"{TOP}/pvm/programs/sensor.next"])
    if status or messages:
        return messages or f"status {status}"
    text = ""
    with subprocess.Popen([PVM, "run", *options, "-L", out, "-L", LIB, ".programs.station"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as station, open(f"{HERE}/programs/station.in", encoding="utf-8") as lines:
        for line in lines:
            if line == "load\n":
                station.stdin.write("?\n")     # behind all that was said before
                station.stdin.flush()
                while (said := station.stdout.readline()) and not said.startswith("measure, "):
                    text += said
                shutil.copy(f"{out}/next/programs/sensor.pvmc", f"{out}/programs/sensor.pvmc")
                _, said, messages = run([PVM, "load", str(station.pid), ".programs.sensor"])
                text += said + messages
                continue
            station.stdin.write(line)
        station.stdin.close()
        text += station.stdout.read()
    return text + ("" if station.returncode == 0 else f"status {station.returncode}\n")


def part_loading():
    rng = random.Random(int(os.environ.get("PLC_FUZZ_SEED", "1")))
    compiler = os.path.join(BUILD, "host/plc-asan")
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "a.ph")
        with open(source, "w", encoding="utf-8") as f:
            f.write("package .test;\nimport .phantom.util.*;\nclass a extends testing\n{\n    void test()\n    {\n        var l : list = new list();\n"
                    "        foreach( x in l.add( 1 ) ) equal( x, 1 );\n        l.sort( new reversed( new natural() ) ).last();\n        l.8( 1 );\n    }\n};\n")
        lib = os.path.join(folder, "lib")
        shutil.copytree(LIB, lib)
        paths = [os.path.join(at, name) for at, _, names in os.walk(lib) for name in names if re.match("(list|testing|iterator|reversed)\\.", name)]
        for number in range(int(os.environ.get("PLC_LOADING", "150"))):
            path = rng.choice(paths)
            with open(path, "rb") as f:
                whole = f.read()
            data = bytearray(whole)
            for _ in range(rng.choice((1, 1, 2, 8))):
                at = rng.randrange(rng.choice((56, len(data))))
                data[at] = rng.choice((0, 1, 255, data[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
            if rng.randrange(8) == 0:
                del data[rng.randrange(len(data)):]
            with open(path, "wb") as f:
                f.write(data)
            status, _, messages = run([compiler, "-w", "-L", lib, "-o", os.path.join(folder, "out"), source])
            refused += status != 0
            with open(path, "wb") as f:
                f.write(whole)
            if status not in (0, 1) or (status and "plc: " not in messages):
                report(f"plc loading {number}", f"  status {status}: {messages[-2000:]}")
                return
        status, _, messages = run([compiler, "-w", "-L", lib, "-o", os.path.join(folder, "out"), source])
        report(f"plc loading: {refused} damaged files refused", messages if status or not refused else "")


def part_fuzz():
    compiler = os.path.join(BUILD, "host/plc-asan")
    sources = [path for pattern in ("tests/plc/run/*.ph", "tests/plc/errors/*.ph", "pvm/lib/**/*.ph", "pvm/programs/*.ph")
               for path in sorted(glob.glob(f"{TOP}/{pattern}", recursive=True))]
    status, text, messages = run([f"{HERE}/fuzz.py", compiler, PVM, os.environ.get("PLC_FUZZ", "400"), os.environ.get("PLC_FUZZ_SEED", "1"), *sources], timeout=None)
    print(text.rstrip() or f"FAIL plc fuzz: {messages}", flush=True)
    global failed
    failed |= status != 0


def main():
    names = [name for name in sys.argv[1:] if not name.startswith("-")]
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # the compiler leaves its memory to the end of the process
    parts = {name[5:]: value for name, value in globals().items() if name.startswith("part_")}
    for name in names or parts:
        parts[name]()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
