package .test;
import .test.b;
import .no.such.thing;

interface shape { int area(); void draw( var x : int ); };
class b extends nothing { int f( var a : int ) { return a; } private int hidden; private void secret() {} void b( var x : int ) { } };
class c extends c { };
class d extends e { };
class e extends d { };
class f implements shape { int area() { return 1; } };
class g extends shape { };
class h implements b { };
class k extends b { double f( var a : int ) { return 1.0; } void k() { } };
class l extends b { };
final class m { };
class n extends m { };
abstract class o { abstract void p(); abstract void q() { } };
class dup { int x; string x; void y() [9] { } void z() [9] { } void y() { } string toString() [7] { return ""; } void w() [5] { } };
class dup { };

class a
{
    const int fixed = 1;
    static const int VALUE = 2;
    int field;
    var untyped;
    string text;

    static void s() { field = 1; this.run( null ); helper(); }
    void helper() { }
    void over( var x : int ) { }
    void over( var x : string ) { }
    void amb( var x : int, var y : double ) { }
    void amb( var x : double, var y : int ) { }

    int run( var boot ) [8]
    {
        var i : int;
        var l : long;
        var d : double;
        var s : string;
        var x : b;
        var y : f;
        var q : unknown;
        i = "text"; s = 5; x = "text"; x = y; y = null; i = null; d = i; i = d; i = 1.5; l = 5; i = l; s = untyped; i = untyped;
        undefined = 1; i = undefined + 1; i.nothing(); x.nothing(); x.f(); x.f( "s" ); x.f( 1, 2 ); x.secret(); i = x.hidden; x.zzz = 1;
        over( 1.5 ); amb( 1, 2 ); x = new b(); x = new b( 1 ); y = new shape(); s = new .internal.int(); nosuch( 1 );
        fixed = 2; VALUE = 3; a.VALUE = 4; helper().more(); i = helper;
        s = s - 1; i = s * 2; d = d & 1; d = ~d; d = 1 << 2.5; i = -s; i = !s;
        if( s < 5 ) i = 1; if( x < y ) i = 1; if( i == s ) i = 1; if( null < 1 ) i = 1;
        s[0] = 1; i[0] = 1; i = s[l]; text.length = 5; null.foo();
        switch( i ) { case 1: case 1: break; default: default: }
        foreach( e in i ) i = e; foreach( e in x ) i = e;
        i = (int)s; s = (string)i; x = (b)y; y = (f)x; x = (b)untyped;
        super( 1 ); a.helper(); run.foo(); .no.such.cls.method(); .test.b.f( 1 );
        i = i / 0; s .= 5; 5; i + 1; i == 1;
        s = import "no such file";
        return "text";
    }
};
