"""hosted.py - the programs of the object machine on this host, for the tests here."""
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
PVM, PLC, LIB = (os.path.join(BUILD, "host", name) for name in ("pvm", "plc", "lib"))


def compile_to(folder, source, *more):
    """Class files of the source, in the folder, which is made."""
    path = os.path.join(folder, "source.ph")
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(source)
    done = subprocess.run([PLC, "-w", "-L", LIB, *more, "-o", folder, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout)
