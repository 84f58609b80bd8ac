#!/usr/bin/env python3
"""parse_json.py - string.parseJson and json.print beside Python's json: random texts, half of them damaged. JSON_TEXTS: how many, JSON_SEED."""
import json
import os
import random
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
PVM, PLC, LIB = (os.path.join(BUILD, "host", name) for name in ("pvm", "plc", "lib"))
SOURCE = r"""
package .test;
import .phantom.util.json;
class texts
{
    void run( var boot ) [8]
    {
        foreach( text in boot.getArguments() )
            try { boot.16( "+" + json.print( ( (string)text ).parseJson() ) + "\n" ); }
            catch( .internal.error.argument e ) { boot.16( "-" + e.getMessage() + "\n" ); }
    }
};
"""
EDGES = [0, 1, -1, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**63 - 1, 2**63, -2**63, -2**63 - 1]
PIECES = ["a", "b", "\u00e9", "\u20ac", "\U0001f600", " ", r"\n", r"\"", r"\\", r"\/", r"\u00e9", r"\uD83D\uDE00", r"\u0001"]
WRONG = [r"\x", "\t", r"\udc00", r"\ud800", r"\u12"]


class Refused(Exception):
    pass


def string(rng):
    pieces = (rng.choice(PIECES if rng.randrange(60) else WRONG) for _ in range(rng.randrange(4)))
    return '"' + "".join(pieces) + '"'


def blanks(rng):
    return rng.choice(["", "", " ", "\n", "\t\r "])


def value(rng, depth=0):
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return rng.choice(["null", "true", "false"])
    if kind == 1:
        return str(rng.choice(EDGES + [rng.randrange(10**25)]))
    if kind == 2:
        return f"{rng.choice(['', '-'])}{rng.randrange(1000)}.{rng.randrange(10 ** rng.randrange(1, 25))}"
    if kind == 3:
        return f"{rng.randrange(100)}{rng.choice('eE')}{rng.choice(['', '+', '-'])}{rng.randrange(400)}"
    if kind <= 5:
        return string(rng)
    if kind == 6:
        return "[" + ",".join(blanks(rng) + value(rng, depth + 1) + blanks(rng) for _ in range(rng.randrange(5))) + "]"
    return "{" + ",".join(blanks(rng) + string(rng) + blanks(rng) + ":" + blanks(rng) + value(rng, depth + 1) for _ in range(rng.randrange(6))) + "}"


def damaged(rng, text):
    letters = list(text)
    for _ in range(rng.randrange(1, 3)):
        at, kind = rng.randrange(len(letters) + 1), rng.randrange(3)
        if kind == 0:
            del letters[at:at + 1]
        elif kind == 1:
            letters.insert(at, rng.choice('[]{},:"\\0123456789-+.eEtfn u'))
        else:
            letters[at:at] = letters[at:at + rng.randrange(5)]
    return "".join(letters)


def as_machine(v):
    """What the machine makes of a value, or Refused."""
    if isinstance(v, bool):
        return int(v)
    if isinstance(v, int) and not -2**63 <= v < 2**63:
        v = float(v)
    if isinstance(v, float) and v - v != 0 or isinstance(v, str) and re.search("[\ud800-\udfff]", v):
        raise Refused
    return [as_machine(item) for item in v] if isinstance(v, list) else v


def refuse(_):
    raise Refused


def python_reads(text):
    def members(pairs):
        return {as_machine(name): as_machine(v) for name, v in pairs}
    try:
        return [as_machine(json.loads(text, object_pairs_hook=members, parse_constant=refuse))]
    except (Refused, ValueError):
        return None


def main():
    rng = random.Random(int(os.environ.get("JSON_SEED", "1")))
    left, good = int(os.environ.get("JSON_TEXTS", "10000")), 0
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "texts.ph")
        with open(source, "w", encoding="utf-8") as f:
            f.write(SOURCE)
        subprocess.run([PLC, "-w", "-L", LIB, "-o", folder, source], check=True)
        for first in range(0, left, 200):
            texts = [value(rng) for _ in range(200)]
            texts = [damaged(rng, text) if rng.randrange(2) else text for text in texts]
            done = subprocess.run([PVM, "run", "-L", folder, "-L", LIB, ".test.texts", *texts], capture_output=True, timeout=60, check=False)
            lines = done.stdout.decode().split("\n")
            for number, text in enumerate(texts):
                expected, line = python_reads(text), lines[number] if number < len(lines) else done.stderr.decode()
                found = [json.loads(line[1:])] if line[:1] == "+" else None
                good += expected is not None
                # repr: 1 is not 1.0. Members may have another order.
                if found != expected or repr(sorted(repr(found))) != repr(sorted(repr(expected))):
                    print(f"FAIL pvm json: {text!r} (text {first + number}): {line!r}, not {expected}")
                    sys.exit(1)
    print(f"PASS pvm json: {left} texts, {good} of them good")


main()
