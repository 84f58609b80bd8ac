#!/usr/bin/env python3
"""parse_xml.py - toXML beside Python's reader of XML, and fromXML of texts that somebody has damaged. XML_TEXTS: how many, XML_SEED. PVM: another build of the machine."""
import os
import random
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
PVM, PLC, LIB = (os.path.join(BUILD, "host", name) for name in ("pvm", "plc", "lib"))
PVM = os.environ.get("PVM", PVM)
SOURCE = r"""
package .test;
import .internal.*;
class node { int n; long l; float f; double d; string s; node next; void any; node[] nodes; int[] numbers; directory index; binary bytes; };
class texts
{
    void run( var boot : bootstrap ) [8]
    {
        var args : string[] = boot.getArguments();
        for( var i : int = 0; i < args.size(); i++ )
        {
            var text : string = boot.fileRead( args[i], 0, 1000000 ).text( 0, (int)boot.fileSize( args[i] ) );
            var o : node = new node();
            var before : string = o.toXML();
            try { o.fromXML( text ); boot.16( "+" + o.toXML() + "\0" ); }
            catch( error e ) { boot.16( o.toXML() == before ? "-" + e.getMessage() + "\0" : "changed\0" ); }
        }
    }
};
"""
PIECES = ["<", ">", "/", "/>", "&", "&#", "&#x", ";", '"', "'", "=", "id", "<ref id=\"0\"/>", "<null/>", "<objects>", "</objects>", "<!--", "-->", "<?", "]", "-", "9" * 30, "\0", "\xe9", " ", "nan", "1e999",
          "<array id=\"1\" class=\"[[[i\">", "[", ".test.node", ".internal.thread", "<object id=\"1\" class=\".test.node\"/>", "<binary id=\"1\">0</binary>", "<entry>", "<string>"]
STRINGS = ["", "a", "\u00e9\u20ac\U0001f600", " x ", "a\nb", "a < b && c > \"d\"", "\t", "]]>", "&amp;"]


def scalar(rng, kind):
    value = rng.choice([0, 1, -1, 2**31 - 1, -2**31]) if kind == "int" else rng.choice([0, 2**63 - 1, -2**63]) if kind == "long" else \
        rng.choice(["0.5", "inf", "-inf", "nan", "1e-05", "-0.0"]) if kind in ("float", "double") else ""
    return str(value)


def element(name, text, attributes=""):
    return f"<{name}{attributes}>{text}</{name}>" if text or name == "string" else f"<{name}{attributes}/>"


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def value(rng, count, attributes=""):
    kind = rng.choice(["int", "long", "float", "double", "string", "null", "ref", "class"])
    if kind == "ref":
        return f'<ref{attributes} id="{rng.randrange(count)}"/>'
    return element(kind, escaped(rng.choice(STRINGS)) if kind == "string" else ".test.node" if kind == "class" else scalar(rng, kind), attributes)


def graph(rng):
    """Objects that make sense: the kinds of the first ones are fixed, so that references fit."""
    count = rng.randrange(5, 12)
    out = []
    for i in range(count):
        kind = {1: "nodes", 2: "numbers", 3: "index", 4: "bytes"}.get(i, "node")
        if kind == "node":
            fields = [element(t, scalar(rng, t), f' name="{n}"') for t, n in (("int", "n"), ("long", "l"), ("float", "f"), ("double", "d")) if rng.randrange(4)]
            fields += [element("string", escaped(rng.choice(STRINGS)), ' name="s"'), value(rng, count, ' name="any"')]
            fields += [f'<ref name="{n}" id="{t}"/>' for n, t in (("next", rng.choice([0, count - 1 if count > 5 else 0])), ("nodes", 1), ("numbers", 2), ("index", 3), ("bytes", 4)) if rng.randrange(3)]
            out.append(element("object", "".join(fields), f' id="{i}" class=".test.node"'))
        elif kind == "nodes":
            out.append(element("array", "".join(rng.choice(["<null/>", '<ref id="0"/>']) for _ in range(rng.randrange(4))), f' id="{i}" class="[.test.node;"'))
        elif kind == "numbers":
            out.append(element("array", "".join(element("int", scalar(rng, "int")) for _ in range(rng.randrange(4))), f' id="{i}" class="[i"'))
        elif kind == "index":
            out.append(element("directory", "".join(f"<entry>{element('string', escaped(rng.choice(STRINGS)))}{value(rng, count)}</entry>" for _ in range(rng.randrange(4))), f' id="{i}"'))
        else:
            out.append(element("binary", bytes(rng.randrange(256) for _ in range(rng.randrange(5))).hex(), f' id="{i}"'))
    return "<objects>\n" + "\n".join(out) + "\n</objects>\n"


def damaged(rng, text):
    for _ in range(rng.randrange(1, 4)):
        at, n = rng.randrange(len(text)), rng.choice([0, 1, rng.randrange(40)])
        text = text[:at] + rng.choice(PIECES + ["", "", text[at:at + rng.randrange(60)] * 2]) + text[at + n:]
    return text


def main():
    count, seed = int(os.environ.get("XML_TEXTS", "1500")), int(os.environ.get("XML_SEED", random.randrange(1 << 32)))
    rng = random.Random(seed)
    wrong, same, refused = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "texts.ph"), "w", encoding="utf-8") as f:
            f.write(SOURCE)
        subprocess.run([PLC, "-w", "-L", LIB, "-o", folder, os.path.join(folder, "texts.ph")], check=True)
        for first in range(0, count, 500):
            texts = [graph(rng) for _ in range(min(500, count - first))]
            texts = [damaged(rng, t) if i % 2 else t for i, t in enumerate(texts)]
            files = []
            for i, text in enumerate(texts):
                files.append(os.path.join(folder, str(i)))
                with open(files[-1], "wb") as f:
                    f.write(text.encode("utf-8"))
            done = subprocess.run([PVM, "run", "-L", folder, "-L", LIB, ".test.texts", *files], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
            answers = done.stdout.decode("utf-8", "replace").split("\0")
            if done.returncode or len(answers) != len(texts) + 1:
                wrong.append(f"status {done.returncode} after {len(answers) - 1}: {answers[-1][-600:]}")
                break
            for i, (text, answer) in enumerate(zip(texts, answers)):
                refused += answer[:1] == "-"
                if answer[:1] not in "+-" or (i % 2 == 0 and answer[:1] != "+"):
                    wrong.append(f"{text}\n{answer}")
                elif answer[0] == "+":
                    tree = xml.etree.ElementTree.fromstring(answer[1:])
                    if i % 2 == 0 and len(tree) <= len(xml.etree.ElementTree.fromstring(text)):
                        said = {(e.get("name"), e.tag, e.text if e.tag != "ref" else "") for e in tree[0]}
                        meant = {(e.get("name"), e.tag, e.text if e.tag != "ref" else "") for e in xml.etree.ElementTree.fromstring(text)[0]}
                        same += meant <= said
                        if not meant <= said:
                            wrong.append(f"{meant - said}\n{answer}")
    print(f"FAIL xml, seed {seed}: {len(wrong)} of {count}, the first:\n{wrong[0]}" if wrong else f"PASS xml ({count} texts, {same} the same, {refused} refused)")
    sys.exit(bool(wrong))


main()
