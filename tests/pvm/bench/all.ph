// The rows of `make bench-pvm`, as the Lua programs beside it. Their argument says how often.
package .bn;
import .internal.bootstrap;
class row {
    int count(var boot : .internal.bootstrap) {
        return boot.getArguments()[0].toInt();
    }
};
class shape {
    var w : int;
    void shape(var x : int) {
        w = x;
    }
    int area() {
        return w;
    }
};
class square extends .bn.shape {
    void square(var x : int) {
        super(x);
    }
    int area() {
        return w * w;
    }
};
class tree {
    var l : .bn.tree;
    var r : .bn.tree;
    void tree(var d : int) {
        if (d > 0) {
            l = new .bn.tree(d - 1);
            r = new .bn.tree(d - 1);
        }
    }
    int count() {
        if (l == null) return 1;
        return 1 + l.count() + r.count();
    }
};
class intloop extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : int;
        var n : int;
        n = count(boot);
        s = 0;
        for (i = 0; i < n; i = i + 1) {
            s = s + (i & 7) * 3;
        }
        boot.consolePrint(s);
    }
};
class floatloop extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : double;
        var n : int;
        n = count(boot);
        s = 0.0;
        for (i = 1; i < n; i = i + 1) {
            s = s + 1.0 / i;
        }
        boot.consolePrint(s);
    }
};
class calls extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : int;
        var a : .bn.shape;
        var b : .bn.shape;
        a = new .bn.shape(3);
        b = new .bn.square(4);
        var n : int;
        n = count(boot);
        s = 0;
        for (i = 0; i < n; i = i + 1) {
            s = s + a.area() + b.area();
        }
        boot.consolePrint(s);
    }
};
class fields extends .bn.row {
    var x : int;
    var y : int;
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        x = 0;
        y = 1;
        var n : int;
        n = count(boot);
        for (i = 0; i < n; i = i + 1) {
            x = x + y;
            y = y + 1;
        }
        boot.consolePrint(x);
    }
};
class sieve extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var a : int[];
        var i : int;
        var j : int;
        var k : int;
        var c : int;
        a = new int[]();
        c = 0;
        var n : int;
        n = count(boot);
        for (j = 0; j < n; j = j + 1) {
            for (i = 0; i < 1000000; i = i + 1) {
                a[i] = 1;
            }
            for (i = 2; i * i < 1000000; i = i + 1) {
                if (a[i] != 0) {
                    for (k = i * i; k < 1000000; k = k + i) {
                        a[k] = 0;
                    }
                }
            }
        }
        for (i = 2; i < 1000000; i = i + 1) {
            if (a[i] != 0) c = c + 1;
        }
        boot.consolePrint(c);
    }
};
class strings extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var n : int;
        var s : string;
        n = 0;
        var m : int;
        m = count(boot);
        for (i = 0; i < m; i = i + 1) {
            s = "item " + i + " of";
            n = n + s.length();
        }
        boot.consolePrint(n);
    }
};
class trees extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var n : int;
        var t : .bn.tree;
        n = 0;
        var m : int;
        m = count(boot);
        for (i = 0; i < m; i = i + 1) {
            t = new .bn.tree(14);
            n = n + t.count();
        }
        boot.consolePrint(n);
    }
};
class matmul extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var n : int;
        var i : int;
        var j : int;
        var k : int;
        var s : double;
        var a : double[];
        var b : double[];
        var c : double[];
        n = 300;
        a = new double[]();
        b = new double[]();
        c = new double[]();
        for (i = 0; i < n * n; i = i + 1) {
            a[i] = i;
            b[i] = i * 2;
            c[i] = 0.0;
        }
        var m : int;
        for (m = count(boot); m > 0; m = m - 1) {
            for (i = 0; i < n; i = i + 1) {
                for (j = 0; j < n; j = j + 1) {
                    s = 0.0;
                    for (k = 0; k < n; k = k + 1) {
                        s = s + a[i * n + k] * b[k * n + j];
                    }
                    c[i * n + j] = s;
                }
            }
        }
        boot.consolePrint(c[n * n - 1]);
    }
};
class untyped extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : int;
        var o;
        o = new .bn.square(4);
        var n : int;
        n = count(boot);
        s = 0;
        for (i = 0; i < n; i = i + 1) {
            var r;
            r = o.area();
            s = s + (int)r;
        }
        boot.consolePrint(s);
    }
};
interface thing {
    int area();
};
class flat implements .bn.thing {
    int area() {
        return 1;
    }
};
class disc implements .bn.thing {
    var r : int;
    void disc(var x : int) {
        r = x;
    }
    int area() {
        return r * r * 3;
    }
};
class bar implements .bn.thing {
    var l : int;
    void bar(var x : int) {
        l = x;
    }
    int area() {
        return l + l;
    }
};
class interfaces extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : int;
        var a : .bn.thing[];
        var t : .bn.thing;
        a = new .bn.thing[]();
        a[0] = new .bn.flat();
        a[1] = new .bn.disc(2);
        a[2] = new .bn.bar(3);
        a[3] = new .bn.disc(1);
        var n : int;
        n = count(boot);
        s = 0;
        for (i = 0; i < n; i = i + 1) {
            t = a[i & 3];
            s = s + t.area();
        }
        boot.consolePrint(s);
    }
};
class table {
    var keys : int[];
    var values : int[];
    var size : int;
    void table(var n : int) {
        var i : int;
        size = n;
        keys = new int[]();
        values = new int[]();
        for (i = 0; i < n; i = i + 1) {
            keys[i] = 0 - 1;
            values[i] = 0;
        }
    }
    int find(var key : int) {
        var at : int;
        at = (key * 40503) % size;
        while (keys[at] != key && keys[at] >= 0) {
            at = at + 1;
            if (at == size) at = 0;
        }
        return at;
    }
    void add(var key : int, var n : int) {
        var at : int;
        at = find(key);
        keys[at] = key;
        values[at] = values[at] + n;
    }
    int get(var key : int) {
        return values[find(key)];
    }
};
class hashmap extends .bn.row {
    void run(var boot : .internal.bootstrap) [8] {
        var t : .bn.table;
        var i : int;
        var j : int;
        var s : int;
        t = new .bn.table(131072);
        var n : int;
        n = count(boot);
        for (j = 0; j < n; j = j + 1) {
            for (i = 0; i < 50000; i = i + 1) {
                t.add(i, j);
            }
        }
        s = 0;
        for (i = 0; i < 50000; i = i + 1) {
            s = s + t.get(i) % 1000;
        }
        boot.consolePrint(s);
    }
};
class body {
    var x : double;
    var y : double;
    var z : double;
    var vx : double;
    var vy : double;
    var vz : double;
    var mass : double;
    void body(var a : double, var b : double, var c : double, var d : double, var e : double, var f : double, var m : double) {
        x = a;
        y = b;
        z = c;
        vx = d;
        vy = e;
        vz = f;
        mass = m;
    }
};
class nbody extends .bn.row {
    var bodies : .bn.body[];
    void advance(var dt : double) {
        var i : int;
        var j : int;
        var a : .bn.body;
        var b : .bn.body;
        for (i = 0; i < 5; i = i + 1) {
            a = bodies[i];
            for (j = i + 1; j < 5; j = j + 1) {
                var dx : double;
                var dy : double;
                var dz : double;
                var d2 : double;
                var mag : double;
                b = bodies[j];
                dx = a.x - b.x;
                dy = a.y - b.y;
                dz = a.z - b.z;
                d2 = dx * dx + dy * dy + dz * dz;
                mag = dt / (d2 * d2);
                a.vx = a.vx - dx * b.mass * mag;
                a.vy = a.vy - dy * b.mass * mag;
                a.vz = a.vz - dz * b.mass * mag;
                b.vx = b.vx + dx * a.mass * mag;
                b.vy = b.vy + dy * a.mass * mag;
                b.vz = b.vz + dz * a.mass * mag;
            }
        }
        for (i = 0; i < 5; i = i + 1) {
            a = bodies[i];
            a.x = a.x + dt * a.vx;
            a.y = a.y + dt * a.vy;
            a.z = a.z + dt * a.vz;
        }
    }
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        bodies = new .bn.body[]();
        bodies[0] = new .bn.body(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47);
        bodies[1] = new .bn.body(4.84, 0.0 - 1.16, 0.1, 0.6, 2.81, 0.02, 0.037);
        bodies[2] = new .bn.body(8.34, 4.12, 0.4, 0.0 - 1.01, 1.82, 0.008, 0.011);
        bodies[3] = new .bn.body(12.89, 0.0 - 15.11, 0.22, 1.08, 0.86, 0.01, 0.0017);
        bodies[4] = new .bn.body(15.37, 0.0 - 25.9, 0.17, 0.97, 0.59, 0.03, 0.002);
        var n : int;
        n = count(boot);
        for (i = 0; i < n; i = i + 1) {
            advance(0.01);
        }
        boot.consolePrint(bodies[0].x);
    }
};
class node {
    var left : .bn.node;
    var right : .bn.node;
    void node(var d : int) {
        if (d > 0) { left = new .bn.node(d - 1); right = new .bn.node(d - 1); }
    }
    int count() {
        if (left == null) return 1;
        return 1 + left.count() + right.count();
    }
};
class forest {
    void run(var boot : .internal.bootstrap) [8] {
        var large : .bn.node = new .bn.node(20);
        var depth : int;
        var i : int;
        for (depth = 4; depth <= 16; depth = depth + 4) {
            var n : int = 1 << (22 - depth);
            var sum : int = 0;
            for (i = 0; i < n; i = i + 1) sum = sum + (new .bn.node(depth)).count();
            boot.consolePrint(sum + "\n");
        }
        boot.consolePrint(large.count() + "\n");
    }
};
