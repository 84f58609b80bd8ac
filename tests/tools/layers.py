#!/usr/bin/env python3
"""layers.py - who may include whom: the rules of the architecture, checked on the #include lines as they are.

A file belongs to the first layer whose prefix its path has. It may include files of its own layer, and those that the
table names: a folder (all below it) or one header. Files of `#include <...>` are the compiler's, Linux's user API or a
port of the kernel; libc's are only for what runs on Linux.
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

ANY = [""]
PERSIST_PUBLIC = ["persist/space.h", "persist/section.h", "persist/object.h", "persist/old.h"]
# prefix of the including file: what it may include
LAYERS = {
    "kernel/lib/": [],
    "kernel/include/": ["kernel/lib/"],
    "kernel/init/": ANY,
    "kernel/glue/": ["kernel/include/", "kernel/lib/", "persist/", "posix/include/", "pvm/host.h"],
    "kernel/": ["kernel/include/", "kernel/lib/"],
    "persist/host/": ["persist/", "kernel/lib/"],
    "persist/tools/": ["persist/", "kernel/lib/"],
    "persist/": ["kernel/lib/"],
    "posix/": ["kernel/include/", "kernel/lib/", *PERSIST_PUBLIC, "rootfs/image.h"],
    "pvm/host/": ["pvm/", "persist/", "kernel/lib/"],
    "pvm/client/": [],
    "pvm/plc/": ["pvm/format.h", "pvm/internal.def", "kernel/lib/"],
    "pvm/": ["kernel/lib/", *PERSIST_PUBLIC],
    "rootfs/": [],
    "tests/": ANY,
}
# What may be in angle brackets in code that has no libc; ports of the kernel by name.
FREESTANDING = re.compile(r"(linux|asm|asm-generic|drm|sound)/.*|std(arg|bool|def|int|align|noreturn|atomic)\.h|limits\.h|"
                          r"(cpuid|immintrin|x86intrin)\.h|(vterm|vterm_internal|lz4|xxhash|console_font)\.h")
HOSTED = ("persist/host/", "persist/tools/", "posix/tools/", "pvm/client/", "pvm/host/", "pvm/plc/", "rootfs/", "tests/", "ports/")


def layer_of(path):
    return next((prefix for prefix in LAYERS if path.startswith(prefix)), None)


def main():
    files = subprocess.run(["git", "-C", TOP, "ls-files", "-co", "--exclude-standard", "*.c", "*.h", "*.S"],
                           capture_output=True, text=True, check=True).stdout.split()
    wrong = 0
    for path in files:
        layer = layer_of(path)
        if layer is None or not os.path.exists(os.path.join(TOP, path)):
            continue
        # kernel/NAME/ is a layer of its own in each NAME: kernel/sched does not include kernel/mm.
        own = "/".join(path.split("/")[:2]) + "/" if layer == "kernel/" else layer
        conditions = []     # the #if lines around the current one
        with open(os.path.join(TOP, path), encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                if re.match(r"\s*#\s*if", line):
                    conditions.append(line)
                elif re.match(r"\s*#\s*endif", line) and conditions:
                    conditions.pop()
                match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
                if not match:
                    continue
                name = match[2]
                if match[1] == "<":
                    fine = path.startswith(HOSTED) or FREESTANDING.fullmatch(name) or \
                        any("HOSTED" in condition for condition in conditions)
                elif "/" not in name:
                    fine = False    # includes are written from the top
                else:
                    fine = name.startswith(own) or any(name.startswith(prefix) for prefix in LAYERS[layer])
                if not fine:
                    print(f"{path}:{number}: {own} may not include {match[1]}{name}", file=sys.stderr)
                    wrong += 1
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
