// Classes: inheritance, constructors, interfaces, overloading, static, private, const.
package .test;

interface shape
{
    double area();
    string name( var prefix : string );
};

interface marked implements shape { int mark(); };

abstract class base implements shape
{
    private static int made;
    protected_looking inner;
    var id : int;
    string label = "none";
    const int fixed = 3;
    var list : int[] = new int[]( 2 );

    void base( var id_ : int ) { id = id_; made++; inner = null; }
    static int count() { return made; }
    abstract double area();
    string name( var prefix : string ) { return prefix + describe() + "#" + id; }
    string describe() { return "base"; }
    private int secret() { return 1; }
    int reveal() { return secret(); }
};

class protected_looking { int value() { return 77; } };

class square extends base
{
    var side : double;
    void square( var s : double ) { super( 1 ); side = s; label = "square"; }
    double area() { return side * side; }
    string describe() { return "square of " + super.describe(); }
    private int secret() { return 2; }
};

class circle extends base implements marked
{
    var r : double;
    void circle( var radius : double, var n : int ) { super( n ); r = radius; }
    double area() { return 3 * r * r; }
    int mark() { return 9; }
};

class defaults { int a = 5; string b = "b" + a; var c; };
class child_of_defaults extends defaults { long extra = 7; };
class failure extends .internal.error { int code = 12; };

class overloads
{
    string f( var a : int ) { return "int"; }
    string f( var a : long ) { return "long"; }
    string f( var a : double ) { return "double"; }
    string f( var a : string ) { return "string"; }
    string f( var a ) { return "untyped"; }
    string f( var a : int, var b : int ) { return "two"; }
    string g( var a : base ) { return "base"; }
    string g( var a : square ) { return "square"; }
    string h( var a : long ) { return "h long"; }
    string h( var a ) { return "h untyped"; }
    string only( var s : string ) { return "<" + s + ">"; }
};

class classes
{
    var out;
    static int calls;
    static string greeting = "hi" + 5;
    void p( var s : string ) { out.16( s ); out.16( "\n" ); }

    void run( var boot ) [8]
    {
        out = boot;
        var s : square = new square( 1.5 );
        var c : circle = new circle( 2, 40 );
        var b : base = s;
        var sh : shape = c;
        p( b.name( "a " ) + " " + b.area() + " " + sh.name( "" ) + " " + sh.area() + " " + c.mark() );
        p( base.count() + " " + .test.base.count() + " " + s.label + " " + c.label + " " + s.fixed + " " + s.list.size() + " " + b.reveal() );
        s.id = 5; s.id += 2; s.id++;
        p( s.id + " " + b.id + " " + ( b instanceof square ) + " " + ( b instanceof circle ) + " " + ( sh instanceof marked ) );
        p( "" + ( (square)b ).side + " " + ( (marked)sh ).mark() );
        try { c = (circle)b; } catch( .internal.error.cast e ) { p( "cast" ); }
        var o : overloads = new overloads();
        var u;
        u = "text";
        p( o.f( 1 ) + o.f( 1L ) + o.f( 1.5f ) + o.f( "s" ) + o.f( u ) + o.f( s ) + o.f( 1, 2 ) + " " + o.g( s ) + o.g( c ) + o.g( b ) + " " + o.h( 3 ) + o.h( 1.5 ) );
        p( o.only( 5 ) + o.only( u ) + o.only( 1.5 ) );
        var d : child_of_defaults = new child_of_defaults();
        p( d.a + d.b + d.extra + " " + ( d.c == null ) );
        try { throw new failure( "bad" ); } catch( failure f ) { p( f.getMessage() + f.code ); }
        calls++; classes.calls += 2;
        p( calls + greeting + .test.classes.greeting );
        sh = null;
        try { sh.area(); } catch( .internal.error.reference e ) { p( "null" ); }
        p( ( s :== b ) + " " + ( s :!= b ) + " " + ( s == b ) + " " + ( s == c ) + " " + ( "ab" == "a".concat( "b" ) ) );
        var t : base;
        t .= b;
        p( ( t :== b ) + " " + t.id );
    }
};
