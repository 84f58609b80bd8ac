// The rows of `make bench-pvm`, as the Lua programs beside it.
package .bn;
import .internal.bootstrap;
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
class intloop {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : int;
        s = 0;
        for (i = 0; i < 200000000; i = i + 1) {
            s = s + (i & 7) * 3;
        }
        boot.consolePrint(s);
    }
};
class floatloop {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : double;
        s = 0.0;
        for (i = 1; i < 50000000; i = i + 1) {
            s = s + 1.0 / i;
        }
        boot.consolePrint(s);
    }
};
class calls {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var s : int;
        var a : .bn.shape;
        var b : .bn.shape;
        a = new .bn.shape(3);
        b = new .bn.square(4);
        s = 0;
        for (i = 0; i < 20000000; i = i + 1) {
            s = s + a.area() + b.area();
        }
        boot.consolePrint(s);
    }
};
class fields {
    var x : int;
    var y : int;
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        x = 0;
        y = 1;
        for (i = 0; i < 50000000; i = i + 1) {
            x = x + y;
            y = y + 1;
        }
        boot.consolePrint(x);
    }
};
class sieve {
    void run(var boot : .internal.bootstrap) [8] {
        var a : int[];
        var i : int;
        var j : int;
        var k : int;
        var c : int;
        a = new int[]();
        c = 0;
        for (j = 0; j < 20; j = j + 1) {
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
class strings {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var n : int;
        var s : string;
        n = 0;
        for (i = 0; i < 3000000; i = i + 1) {
            s = "item " + i + " of";
            n = n + s.length();
        }
        boot.consolePrint(n);
    }
};
class trees {
    void run(var boot : .internal.bootstrap) [8] {
        var i : int;
        var n : int;
        var t : .bn.tree;
        n = 0;
        for (i = 0; i < 100; i = i + 1) {
            t = new .bn.tree(14);
            n = n + t.count();
        }
        boot.consolePrint(n);
    }
};
class matmul {
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
        for (i = 0; i < n; i = i + 1) {
            for (j = 0; j < n; j = j + 1) {
                s = 0.0;
                for (k = 0; k < n; k = k + 1) {
                    s = s + a[i * n + k] * b[k * n + j];
                }
                c[i * n + j] = s;
            }
        }
        boot.consolePrint(c[n * n - 1]);
    }
};
class untyped {
    void run(var boot) [8] {
        var i : int;
        var s : int;
        var o;
        o = new .bn.square(4);
        s = 0;
        for (i = 0; i < 5000000; i = i + 1) {
            var r;
            r = o.area();
            s = s + (int)r;
        }
        boot.consolePrint(s);
    }
};
