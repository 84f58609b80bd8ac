#!/usr/bin/env python3
"""fuzz.py - mutated sources: whatever the compiler is given, it ends with 0 or 1 and tells what is wrong; what it accepts, the machine's verifier accepts.

    fuzz.py COMPILER PVM COUNT SEED FILE.ph...

COMPILER is built with the address and undefined-behaviour sanitizers. A failure leaves the source in build/plc-fuzz. Prints a line for each failure and a total.
"""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOKEN = re.compile(rb'"[^"\n]*"|[A-Za-z_][A-Za-z_0-9]*|\d[\w.]*|\s+|//[^\n]*|:==|:!=|\.=|[<>=!+\-*/%&|^]=|&&|\|\||\+\+|--|<<|>>>?|.', re.S)
WORDS = (b"class interface package import extends implements attribute public private static const var void int long float double string if else while do "
         b"for foreach in return switch case default break continue try catch finally throw new null this super instanceof abstract final "
         b"{ } ( ) [ ] ; , . : ? @ = .= == != :== :!= < > <= >= + - * / % & | ^ ~ ! && || ++ -- << >> >>> += 0 1 -1 8 0x7fffffff 99999999999 1.5 1e400 "
         b"'a' \"s\" \" ' /* */ // \\ # .internal.object .internal.string x run n").split()


def mutate(rng, sources):
    tokens = TOKEN.findall(rng.choice(sources))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not tokens:
            break
        at = rng.randrange(len(tokens))
        kind = rng.randrange(10)
        if kind <= 1:
            del tokens[at:at + rng.choice((1, 1, 2, 10))]
        elif kind == 2:
            tokens.insert(at, rng.choice(WORDS))
        elif kind == 3:
            tokens[at] = rng.choice(WORDS)
        elif kind == 4:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif kind == 5:
            begin = rng.randrange(len(tokens))
            tokens[at:at] = tokens[begin:begin + rng.randrange(1, 40)]
        elif kind == 6:
            other = TOKEN.findall(rng.choice(sources))
            begin = rng.randrange(len(other))
            tokens[at:at] = other[begin:begin + rng.randrange(1, 40)]
        elif kind == 7:
            tokens[at] = rng.choice(tokens)
        elif kind == 8:
            del tokens[at:]
        else:
            tokens[at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 4)))
    if rng.randrange(200) == 0:
        at = rng.randrange(len(tokens) + 1)
        tokens[at:at] = [rng.choice(WORDS)] * rng.choice((400, 3000))
    return b"".join(token if token.isspace() or token in b"\"'" else token + b" " if rng.randrange(50) == 0 else token for token in tokens)


def main():
    compiler, pvm, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    sources = [open(name, "rb").read() for name in sys.argv[5:]]
    rng = random.Random(seed)
    failed = accepted = 0
    keep = os.path.join(os.environ.get("BUILD", "build"), "plc-fuzz")
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"}
    with tempfile.TemporaryDirectory() as folder:
        path, out = os.path.join(folder, "m.ph"), os.path.join(folder, "out")
        for number in range(count):
            text = mutate(rng, sources)
            with open(path, "wb") as f:
                f.write(text)
            why = None
            try:
                done = subprocess.run([compiler, "-o", out, path], capture_output=True, timeout=60, env=environment, check=False)
                if done.returncode not in (0, 1):
                    why = f"status {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}"
                elif done.returncode and b"error" not in done.stderr:
                    why = "status 1, and nothing said"
                elif done.returncode and os.path.exists(out):
                    why = "class files after an error"
                elif not done.returncode and b": error:" in done.stderr:
                    why = "status 0 after an error"
            except subprocess.TimeoutExpired:
                why = "no end"
            if not why and os.path.exists(out):
                accepted += 1
                files = [os.path.join(at, name) for at, _, names in os.walk(out) for name in names]
                done = subprocess.run([pvm, "check", *files], capture_output=True, check=False)
                if done.returncode:
                    why = f"the verifier refuses it: {done.stderr[-2000:].decode(errors='replace')}"
            shutil.rmtree(out, ignore_errors=True)
            if why:
                failed += 1
                os.makedirs(keep, exist_ok=True)
                name = os.path.join(keep, f"{seed}-{number}.ph")
                with open(name, "wb") as f:
                    f.write(text)
                print(f"FAIL plc fuzz {name}: {why}")
                if failed >= 10:
                    break
    if not failed:
        print(f"PASS plc fuzz: {count} mutants, {accepted} accepted by compiler and verifier")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
