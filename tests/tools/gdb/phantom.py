"""gdb helpers for the kernel: loaded by kernel/debug/gdbinit, which `make gdb` names.

    ph cpus             where each CPU stands, what it runs, what it was asked for
    ph frame [CPU]      the user registers at the top of a CPU's stack
    ph log [BYTES]      the end of the kernel log
    ph walk ADDRESS     the page-table entries that translate an address (the loaded address space, or the kernel's)
    ph mem              free and used frames

Further helpers (threads, wait records, the space) register themselves with @command.
"""
import gdb

KIMAGE = 0xFFFFFFFF80000000
DIRECT = 0xFFFF800000000000
COMMANDS = {}


def command(fn):
    """Makes ph_NAME(args) the subcommand `ph NAME`; its docstring is its help."""
    COMMANDS[fn.__name__.removeprefix("ph_")] = fn
    return fn


def value(expression):
    return gdb.parse_and_eval(expression)


def number(expression):
    return int(value(expression)) & 0xFFFFFFFFFFFFFFFF


def symbol(address):
    try:
        return gdb.execute(f"info symbol {address:#x}", to_string=True).split(" in section")[0].strip()
    except gdb.error:
        return "?"


def read64(address):
    return int.from_bytes(gdb.selected_inferior().read_memory(address, 8).tobytes(), "little")


def cpus():
    for i in range(number("cpu_count")):
        yield i, value(f"cpus[{i}]")


@command
def ph_cpus(args):
    """where each CPU stands, what it runs, what it was asked for"""
    threads = {t.num - 1: t for t in gdb.selected_inferior().threads()}
    selected = gdb.selected_thread()
    for i, cpu in cpus():
        at = "?"
        if i in threads:
            threads[i].switch()
            at = f"{number('$rip'):#018x} {symbol(number('$rip'))}"
        print(f"CPU {i}: {at}  current {int(cpu['current']):#x} mmu {int(cpu['mmu']):#x} "
              f"need {int(cpu['need']):#x} irq_depth {int(cpu['irq_depth'])}")
    if selected:
        selected.switch()


@command
def ph_frame(args):
    """the user registers at the top of a CPU's stack"""
    gdb.execute(f"print/x *cpus[{args or 0}].frame")


@command
def ph_log(args):
    """the end of the kernel log"""
    length = int(args or 4096)
    end, size = number("'klog.c'::end"), int(value("sizeof('klog.c'::ring)"))
    base = number("&'klog.c'::ring[0]")
    ring = gdb.selected_inferior().read_memory(base, size).tobytes()
    length = min(length, end, size)
    text = bytes(ring[(end - length + i) % size] for i in range(length))
    print(text.decode(errors="replace"), end="")


@command
def ph_walk(args):
    """the page-table entries that translate an address"""
    address = number(args)
    mmu = number("cpus[0].mmu")
    if mmu and address < 1 << 47:
        table = number(f"((struct mmu *){mmu:#x})->cr3")
    else:
        table = number("(unsigned long)kernel_pml4") - KIMAGE
    for level, name in ((3, "PML4"), (2, "PDPT"), (1, "PD"), (0, "PT")):
        index = address >> (12 + 9 * level) & 511
        entry = read64(DIRECT + table + 8 * index)
        flags = "".join(c if entry >> bit & 1 else "-" for c, bit in (("P", 0), ("W", 1), ("U", 2), ("A", 5), ("D", 6), ("S", 7),
                                                                       ("G", 8), ("N", 63)))
        print(f"{name:4} [{index:3}] {entry:#018x} {flags}")
        if not entry & 1:
            return
        table = entry & 0x000FFFFFFFFFF000
        if level and entry & 0x80:
            break
    print(f"physical {table + (address & ((4096 << (9 * level)) - 1)):#x}")


@command
def ph_mem(args):
    """free and used frames"""
    total = number("'frame.c'::total")
    free = number("'frame.c'::nfree") + sum(number(f"'frame.c'::caches[{i}].n") for i, _ in cpus())
    print(f"{free} of {total} frames free, {(total - free) * 4} KiB in use")


class Ph(gdb.Command):
    """Phantom's helpers: `ph` alone lists them."""

    def __init__(self):
        super().__init__("ph", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        name, _, rest = argument.strip().partition(" ")
        if name not in COMMANDS:
            for known, fn in sorted(COMMANDS.items()):
                print(f"ph {known:8} {fn.__doc__}")
            return
        try:
            COMMANDS[name](rest.strip())
        except gdb.error as error:
            print(f"ph {name}: {error}")

    def complete(self, text, word):
        return [c for c in COMMANDS if c.startswith(text)]


Ph()
