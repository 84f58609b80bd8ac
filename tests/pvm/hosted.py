"""hosted.py - the programs of the object machine on this host, for the tests here."""
import contextlib
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
PVM, PLC, LIB = (os.path.join(BUILD, "host", name) for name in ("pvm", "plc", "lib"))


def need(*paths):
    """Ends the test if one of them is not there."""
    for path in paths:
        if not os.path.exists(path):
            sys.exit(f"FAIL {os.path.basename(sys.argv[0])}: {os.path.relpath(path, TOP)} is missing, `make check-pvm` builds it")


@contextlib.contextmanager
def started(words):
    """A process of these words, which ends with the block, however that ends."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def compile_to(folder, source, *more):
    """Class files of the source, in the folder, which is made."""
    path = os.path.join(folder, "source.ph")
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(source)
    done = subprocess.run([PLC, "-w", "-L", LIB, *more, "-o", folder, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout)
