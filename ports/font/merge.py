#!/usr/bin/env python3
"""merge.py WIDTHxHEIGHT OUT FONT... - one PSF2 font from several PSF1 or PSF2 ones of the same size.

A character is taken from the first font that has it. Sequences (combining marks) are left out: the console draws one
glyph per cell.
"""
import struct
import sys

PSF1 = b"\x36\x04"
PSF2 = b"\x72\xb5\x4a\x86"


def read(path):
    """Yields (code point, bitmap) of every character in the font; (width, height) is checked by the caller."""
    data = open(path, "rb").read()
    if data[:2] == PSF1:
        mode, size = data[2], data[3]
        width, height, count, start = 8, size, 512 if mode & 1 else 256, 4
        table = data[start + count * size:]
        units = struct.unpack(f"<{len(table) // 2}H", table[:len(table) // 2 * 2])
        entries = [[]]
        for unit in units:
            if unit == 0xffff:
                entries.append([])
            else:
                entries[-1].append(unit)
        entries = [entry[:entry.index(0xfffe)] if 0xfffe in entry else entry for entry in entries]
    elif data[:4] == PSF2:
        _, start, flags, count, size, height, width = struct.unpack_from("<7I", data, 4)
        if not flags & 1:
            return
        table = data[start + count * size:].split(b"\xff")
        entries = [[ord(c) for c in entry.split(b"\xfe")[0].decode()] for entry in table]
    else:
        sys.exit(f"{path}: no PSF font")
    if f"{width}x{height}" != sys.argv[1]:
        sys.exit(f"{path}: {width}x{height}")
    for glyph in range(count):
        for code in entries[glyph]:
            yield code, data[start + glyph * size:start + (glyph + 1) * size]


codes = {}
for font in sys.argv[3:]:
    for code, bitmap in read(font):
        codes.setdefault(code, bitmap)
glyphs = {}
# Glyph 0 is what is drawn for a character that no font has.
glyphs[codes.get(0xfffd, codes[ord("?")])] = []
for code in sorted(codes):
    glyphs.setdefault(codes[code], []).append(code)
width, height = map(int, sys.argv[1].split("x"))
with open(sys.argv[2], "wb") as out:
    out.write(PSF2 + struct.pack("<7I", 0, 32, 1, len(glyphs), (width + 7) // 8 * height, height, width))
    out.write(b"".join(glyphs))
    out.write(b"".join("".join(map(chr, points)).encode() + b"\xff" for points in glyphs.values()))
print(f"{len(codes)} characters, {len(glyphs)} glyphs")
