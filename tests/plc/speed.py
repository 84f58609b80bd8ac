#!/usr/bin/env python3
"""speed.py - how many lines a second the compiler does, and whether that is the same for long files.

    speed.py COMPILER [LINES...]        default: 10,000 100,000 1,000,000 lines; CPU time, the best of three runs each
"""
import os
import resource
import subprocess
import sys
import tempfile

METHOD = """    int m{n}( var a : int, var b : int )
    {{
        var i : int;
        var s : int;
        // the sum of something
        s = a * {n} + b;
        for( i = 0; i < b; i++ )
        {{
            if( ( i & 3 ) == 0 && a > {n} )
                s = s + i * 3;
            else
                total = total - 1;
        }}
        while( s > 1000000 )
            s = s / 2;
        name = "n" + s;
        print( name.concat( " is " ) );
        return s + m{next}( a - 1, b );
    }}
"""


def source(lines):
    methods = "".join(METHOD.format(n=n, next=(n + 1) % 40) for n in range(40))
    text, classes = ["package .speed;\n"], 0
    one = 6 + methods.count("\n")
    while classes * one < lines:
        text.append(f"class c{classes}\n{{\n    var total : int;\n    var name : string;\n{methods}    void print( var s : string ) {{ name = s; }}\n}};\n")
        classes += 1
    return "".join(text), classes * one + 1


def cpu_time():
    """Of all children so far: other work on the machine does not count."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    compiler, wanted = sys.argv[1], [int(n) for n in sys.argv[2:]] or [10000, 100000, 1000000]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s.ph")
        for lines in wanted:
            text, lines = source(lines)
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
            best = 1e9
            for _ in range(3):
                begin = cpu_time()
                subprocess.run([compiler, "-o", os.path.join(folder, "out"), path], check=True)
                best = min(best, cpu_time() - begin)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            print(f"{lines:9} lines: {best:6.3f} s, {lines / best:10.0f} lines/s, {peak >> 10} MiB at most")


if __name__ == "__main__":
    main()
