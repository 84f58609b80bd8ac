#!/usr/bin/env python3
"""parse_ppm.py - bitmap.loadFromString beside a reader of PPM in Python: random pictures, half of them damaged. PPM_PICTURES: how many, PPM_SEED."""
import os
import random
import re
import subprocess
import sys
import tempfile

from hosted import LIB, PVM, compile_to

SOURCE = r"""
package .test;
import .internal.*;
class pictures
{
    void run( var boot : bootstrap ) [8]
    {
        foreach( path in boot.getArguments() )
            try
            {
                var b : bitmap = new bitmap();
                b.loadFromString( boot.fileRead( path, 0, 100000 ) );
                var text = "+" + b.width() + " " + b.height();
                for( var i : int = 0; i < b.width() * b.height(); i++ ) text = text + " " + b.getPixel( i % b.width(), i / b.width() );
                boot.16( text + "\n" );
            }
            catch( .internal.error.argument e ) { boot.16( "-" + e.getMessage() + "\n" ); }
    }
};
"""
BLANKS = b" \t\n\v\f\r"


def blanks(rng):
    return b"".join(rng.choice((b" ", b"\n", b"\t", b"\r\n", b"\n# 1 2 3\n")) for _ in range(rng.randrange(1, 3)))


def picture(rng):
    width, height, most = rng.randrange(1, 6), rng.randrange(1, 6), rng.choice((1, 15, 255, 255, 256, 1000, 65535))
    parts = [rng.choice((0, most, rng.randrange(most + 1))) for _ in range(width * height * 3)]
    text = rng.randrange(2)
    head = b"P" + b"63"[text:text + 1] + b"".join(blanks(rng) + str(n).encode() for n in (width, height, most))
    if text:
        return head + b"".join(blanks(rng) + str(n).encode() for n in parts)
    return head + rng.choice((b" ", b"\n")) + b"".join(n.to_bytes(1 + (most > 255), "big") for n in parts)


def damaged(rng, data):
    letters = bytearray(data)
    for _ in range(rng.randrange(1, 3)):
        at, kind = rng.randrange(min(len(letters), rng.choice((12, 100))) + 1), rng.randrange(4)
        if kind == 0:
            del letters[at:at + 1]
        elif kind == 1:
            letters[at:at] = rng.choice((b"#", b"-", b"9", b"0", b" ", b"x", b"\0", b"99999999999"))
        elif kind == 2:
            letters[at:at + 1] = bytes((rng.randrange(256),))
        else:
            del letters[rng.randrange(len(letters) + 1):]
    return bytes(letters)


def python_reads(data):
    """Width, height, pixels as the machine has them, or None."""
    at = 2

    def number(low, high):
        nonlocal at
        m = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\n]*(?:\n|\Z))*([0-9]+)").match(data, at)
        if not m or not low <= int(m[1]) <= high:
            raise ValueError
        at = m.end()
        return int(m[1])
    try:
        if data[:2] not in (b"P3", b"P6") or data[2:3] not in tuple(BLANKS[i:i + 1] for i in range(6)) + (b"#",):
            return None
        width, height, most = number(1, 16384), number(1, 16384), number(1, 65535)
        if data[at:at + 1] not in (BLANKS[i:i + 1] for i in range(6)):
            return None
        at += 1
        each, n = 1 + (most > 255), width * height * 3
        if data[:2] == b"P3":
            if n > len(data):
                return None
            parts = [number(0, most) for _ in range(n)]
        else:
            if at + n * each > len(data):
                return None
            parts = [int.from_bytes(data[at + i * each:at + (i + 1) * each], "big") for i in range(n)]
    except ValueError:
        return None
    if max(parts) > most:
        return None
    parts = [(v * 255 + most // 2) // most for v in parts]
    return [width, height, *((0xff << 24 | parts[i] << 16 | parts[i + 1] << 8 | parts[i + 2]) - (1 << 32) for i in range(0, n, 3))]


def main():
    rng = random.Random(int(os.environ.get("PPM_SEED", "1")))
    left, good = int(os.environ.get("PPM_PICTURES", "4000")), 0
    with tempfile.TemporaryDirectory() as folder:
        compile_to(folder, SOURCE)
        for first in range(0, left, 200):
            pictures = [picture(rng) for _ in range(200)]
            pictures = [damaged(rng, data) if rng.randrange(2) else data for data in pictures]
            paths = [os.path.join(folder, str(number)) for number in range(200)]
            for path, data in zip(paths, pictures):
                with open(path, "wb") as f:
                    f.write(data)
            done = subprocess.run([PVM, "run", "-L", folder, "-L", LIB, ".test.pictures", *paths], capture_output=True, timeout=120, check=False)
            lines = done.stdout.decode().split("\n")
            for number, data in enumerate(pictures):
                expected, line = python_reads(data), lines[number] if number < len(lines) else done.stderr.decode()
                found = [int(word) for word in line[1:].split()] if line[:1] == "+" else None
                good += expected is not None
                if found != expected or not line:
                    print(f"FAIL pvm ppm: {data!r} (picture {first + number}): {line!r}, not {expected}")
                    sys.exit(1)
    print(f"PASS pvm ppm: {left} pictures, {good} of them good")


main()
