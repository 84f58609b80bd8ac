#!/usr/bin/env python3
"""loader.py - class loaders: `boot.setClassLoader()`. Classes that no -L leads to come from an object of the program. Prints PASS and FAIL lines."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from hosted import LIB, PVM, compile_to

WAYS = ([], ["--interpreter"], ["--compile=always"])
failed = False

# What is loaded: a class with a parent and an interface, each in a file of its own.
FAR = """
package .far;
interface face { string say( var n : int ); };
class base { int depth = 7; int below() { return depth; } };
class leaf extends base implements face
{
    static int made = 0;
    int own;
    void leaf( var n : int ) { own = n; made++; }
    string say( var n : int ) { return "leaf " + own + " says " + n + ", below " + below(); }
    static int twice( var n : int ) { return n * 2; }
};
class other extends base { int own; string say() { return "other " + depth; } };
class broken { int x; };
"""

NEAR = """
package .near;
import .internal.*;
import .far.*;

class loader
{
    bootstrap boot; string folder; int asked = 0;
    void loader( var b : bootstrap, var f : string ) { boot = b; folder = f; }
    void classOf( var name : string ) { return boot.8( name ); } // the way of the original's loader: files alone
    void loadClass( var name : string ) [8]
    {
        asked++;
        boot.consolePrint( "asked for " + name + "\\n" );
        if( name == ".far.broken" ) { throw "broken is not for you"; }
        if( name == ".far.plain" ) { return classOf( name ); }
        if( name == ".far.wrong" ) { return boot.fileRead( folder + "/far/base.pvmc", 0, 100000 ); }
        if( name == ".far.rubbish" ) { return boot.createBinary( 100 ); }
        var path : string = folder + "/far/" + name.substring( 5, name.length() - 5 ) + ".pvmc";
        if( boot.fileKind( path ) != 1 ) { return null; }
        return boot.fileRead( path, 0, 100000 );
    }
};

class numb { int x; };
class deaf { int loadClass( var name : string ) [8] { return 0; } };

class %s
{
    bootstrap boot;

    void tell( var text : string ) { boot.consolePrint( text + "\\n" ); }

    void wants( var name : string )
    {
        try { tell( "made " + ( new *( name )() instanceof base ) ); }
        catch( error e ) { tell( e.getMessage() ); }
        catch( string s ) { tell( "thrown: " + s ); }
    }

    void run( var b : bootstrap ) [8]
    {
        boot = b;
        %s
    }
};
"""

ALL = """
        try { boot.setClassLoader( new numb() ); } catch( error e ) { tell( e.getMessage() ); }
        try { boot.setClassLoader( new deaf() ); } catch( error e ) { tell( e.getMessage() ); }
        wants( ".far.leaf" );
        var l : loader = new loader( boot, boot.getArguments()[0] );
        boot.setClassLoader( l );
        wants( ".far.nowhere" );
        wants( ".far.broken" );
        wants( ".far.wrong" );
        wants( ".far.rubbish" );
        wants( ".far.plain" );
        wants( "no name" );
        tell( "twice " + leaf.twice( 21 ) );
        var x : leaf = new leaf( 5 );
        var f : face = x;
        tell( f.say( 3 ) + " " + leaf.made );
        var many : leaf[] = new leaf[]();
        many[2] = x;
        tell( "" + ( many[2] :== x ) );
        var o : other = new other();
        tell( o.say() );
        tell( "" + boot.loadClass( ".far.other" ) + " " + l.asked );
        boot.setClassLoader( null );
        wants( ".far.nowhere" );
"""
ALL_SAYS = """.near.numb: as a class loader it needs a method [8] that gets a string and gives an object
.near.deaf: as a class loader it needs a method [8] that gets a string and gives an object
.far.leaf: no such class
asked for .far.nowhere
.far.nowhere: no such class, nor does the class loader know it
asked for .far.broken
thrown: broken is not for you
asked for .far.wrong
.far.wrong: the file has another class in it
asked for .far.rubbish
.far.rubbish is refused: not a class file
asked for .far.plain
.far.plain: no such class
"no name" is not the name of a class
asked for .far.leaf
asked for .far.base
asked for .far.leaf
asked for .far.face
asked for .far.leaf
twice 42
leaf 5 says 3, below 7 1
1
asked for .far.other
other 7
.far.other 11
.far.nowhere: no such class
"""

# The child's file is there, its parent's is not; the loader needs a class itself that it has to load; what it gave outlives it.
STORED = """
        boot.setClassLoader( new loader( boot, boot.getArguments()[0] ) );
        wants( ".far.other" );
        wants( ".far.nowhere" );
        tell( "ready" );
        while( 1 )
        {
            var line : string = new .internal.io.tty().getwc() == -1 ? "end" : "on";
            if( line == "end" ) { break; }
            var l : leaf = new leaf( 1 );
            tell( l.say( 2 ) );
        }
"""


def report(name, wrong):
    global failed
    failed |= bool(wrong)
    print(f"FAIL loader {name}: {wrong}" if wrong else f"PASS loader {name}", flush=True)


def run(*words):
    done = subprocess.run([PVM, "run", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def stored(far, near, folder, seconds):
    """Killed when all is loaded and that many seconds are over: in its next life no loader is asked, and there are no files."""
    words = [PVM, "run", "--store", f"{folder}/store{seconds}", "-L", near, "-L", LIB]
    there = f"{folder}/files{seconds}"
    shutil.copytree(far, there)
    with subprocess.Popen([*words, ".near.stored", there], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as first:
        text = ""
        end = None
        while first.poll() is None and (end is None or time.monotonic() < end):
            if text.endswith("ready\n") or end:
                first.stdin.write("x")
                first.stdin.flush()
            text += first.stdout.readline()
            if not end and "leaf 1" in text:
                end = time.monotonic() + seconds
        first.send_signal(signal.SIGKILL)
    shutil.rmtree(there)
    done = subprocess.run([*words, ".near.stored", there], input="xx", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    said = done.stdout
    return "" if said.count("leaf 1 says 2") >= 2 and "asked" not in said and not done.returncode else f"first {text[:1000]!r}, then {said!r}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        far, near, mixed = folder + "/hidden", folder + "/shown", folder + "/mixed"
        compile_to(far, FAR)
        compile_to(near, NEAR % ("all", ALL), "-L", far)
        for way in WAYS:
            status, text = run(*way, "-L", near, "-L", LIB, ".near.all", far)
            report(" ".join(["all", *way]), "" if text == ALL_SAYS and not status else f"status {status}\n{text}")
        compile_to(near, NEAR % ("stored", STORED), "-L", far)
        os.makedirs(mixed + "/far")
        os.rename(far + "/far/other.pvmc", mixed + "/far/other.pvmc")
        status, text = run("-L", near, "-L", mixed, "-L", LIB, ".near.stored", far)
        report("of a parent", "" if text.startswith("asked for .far.base\nmade 1\nasked for .far.nowhere\n") and not status else f"status {status}\n{text}")
        os.rename(mixed + "/far/other.pvmc", far + "/far/other.pvmc")
        # How long until a snapshot, nobody knows: on a machine that is busy, long.
        wrong = ""
        for seconds in (1, 4, 16, 64):
            wrong = stored(far, near, folder, seconds)
            if not wrong:
                break
        report("killed", wrong)


main()
sys.exit(failed)
