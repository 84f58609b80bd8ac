"""schema.py - what in the space is part of its schema (persist/layout.h), as the compiler sees it: the allocator's structures, every type's layout and version, type numbers
and stages of calls. Run by gdb on the kernel: `gdb -batch -x tests/tools/schema.py build/kernel.elf`. tests/tools/lint compares it with posix/schema, which is what stores have.
"""
import re

import gdb

AREAS = "mm proc signal futex time vfs fs tty pipe poll socket ipc fuse".split()
ALLOCATOR = "root_page page_record cpu_heap bag_page slab object".split()
NAMED = "posix_type_nr page_kind root_slot file_type thread_run wait_kind".split()
NUMBERS = re.compile(r"(STAGE|PHASE|EXIT)_[A-Z_0-9]+$")


def word(kind):
    """A scalar by its size, a pointer as one: what names there are does not change what bytes mean."""
    return "pointer" if kind.code == gdb.TYPE_CODE_PTR else f"{kind.sizeof} bytes"


def layout(kind, offset=0, name=""):
    """Lines `offset name what` of a struct, what is inside it included."""
    kind = kind.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_ARRAY and kind.target().strip_typedefs().code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        low, high = kind.range()
        yield f"  {offset:5} {name}[{high - low + 1}] of {kind.target().sizeof} bytes"
        yield from layout(kind.target(), offset, name + "[]")
    elif kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        for field in kind.fields():
            inner = f"{name}.{field.name}" if name and field.name else field.name or name
            at = offset + field.bitpos // 8
            if field.bitsize:
                yield f"  {at:5} {inner} bits {field.bitpos % 8} to {field.bitpos % 8 + field.bitsize - 1}"
            else:
                yield from layout(field.type, at, inner)
    else:
        yield f"  {offset:5} {name} {word(kind)}"


def types():
    """(number, name, version, size) of all types that are registered."""
    for area in AREAS:
        try:
            table = gdb.parse_and_eval(area + "_types")
        except gdb.error:
            continue  # an area without types
        i = 0
        while int(table[i]["type"]):
            space = table[i]["space"]
            yield int(table[i]["type"]), space["name"].string(), int(space["version"]), int(space["size"])
            i += 1


def numbers():
    """{source file: [(name, number)]} of enumerators that progress records hold."""
    found = {}
    for line in gdb.execute("info sources", to_string=True).replace("\n", ",").split(","):
        source = line.strip()
        if not re.search(r"(^|/)posix/.*\.c$", source):
            continue
        try:
            symtab = gdb.decode_line(f"'{source}':1")[1][0].symtab
        except (gdb.error, TypeError):
            continue
        block = symtab.static_block()
        names = sorted((int(symbol.value()), symbol.name) for symbol in block
                       if symbol.addr_class == gdb.SYMBOL_LOC_CONST and NUMBERS.match(symbol.name))
        if names:
            found[source[source.index("posix/"):]] = names
    return found


with open("persist/layout.h", encoding="utf-8") as header:
    print("schema", re.search(r"#define SPACE_SCHEMA +(\d+)u", header.read())[1])
for name in ALLOCATOR:
    kind = gdb.lookup_type("struct " + name)
    print(f"struct {name}, {kind.sizeof} bytes")
    print("\n".join(layout(kind)))
for number, name, version, size in sorted(types()):
    kind = gdb.lookup_type("struct " + name)
    if kind.sizeof != size:
        raise SystemExit(f"type {number} is called {name}, which is not the name of its struct")
    print(f"type {number} {name}, version {version}, {size} bytes")
    print("\n".join(layout(kind)))
for name in NAMED:
    kind = gdb.lookup_type("enum " + name)
    print(f"enum {name}")
    print("\n".join(f"  {field.enumval:5} {field.name}" for field in kind.fields()))
for source, names in sorted(numbers().items()):
    print(source)
    print("\n".join(f"  {number:5} {name}" for number, name in names))
