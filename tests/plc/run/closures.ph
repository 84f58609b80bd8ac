// Closures: what they capture, share, are given and give.
package .test;

import .internal.closure;
import .internal.thread;

interface visitor { void visit( var f : closure ); };

class base
{
    private int secret = 7;
    private int hidden( var n : int ) { return secret * n; }
    closure peeks() { return void( var n : int ) { secret++; return hidden( n ) + this.hidden( 1 ); }; }
};

class child extends base
{
    var name : string;
    void child( var n : string ) { name = n; }
    string toString() { return "child " + name; }
    closure says() { return void() { return void() { return this + "/" + super.toString().startsWith( ".test.child" ); }; }; }
};

// A name that the compiler would take itself.
class taken
{
    static int closure$1() { return 90; }
    static closure made() { return void() { return 1; }; }
};

class closures
{
    var out;
    var kept = void( var x ) { return x + 1; };             // a field's first value
    static var of_class = void( var x : int ) { return x * 3; };
    closure hook;
    int count;

    void p( var s : string ) { out.16( s + "\n" ); }

    static closure adder( var n : int ) { return void( var x : int ) { return x + n; }; }
    static closure counter()
    {
        var n : int;
        return void() { return ++n; };
    }
    closure compose( var f : closure, var g : closure ) { return void( var x ) { return f( g( x ) ); }; }

    void named( var n : int ) { return "method " + n; }

    void types()
    {
        var i : int = 1;
        var l : long = 2;
        var f : float = 1.5f;
        var d : double = 2.25;
        var s : string = "s";
        var a : int[] = new int[]( 2 );
        var u;
        u = 9;
        var k = void( var x : double, var t : string, var any ) { return t + ( i + l ) + ( f + d ) + s + a.size() + u + x + any; };
        p( k.call( 1, 2, null ) );
        p( k.call( 1.5f, "t", k instanceof closure ) );
        i = 0; l = 0; f = 0; d = 0; s = ""; a = null; u = null;
        p( "" + i + l + f + d + s + a + u );
        var set = void() { i = 5; l = 6; f = 7; d = 8; s = "nine"; a = new int[]( 10 ); u = set; };
        set();
        p( "" + i + l + f + d + s + a.size() + ( u :== set ) );
        i += 2; l <<= 3; s += "!"; d++; f--;
        set = void() { return "" + i++ + ( l >>= 1 ) + s + d + --f; };
        p( "" + set() + i );
    }

    void loops()
    {
        var all : closure[] = new closure[]();
        for( var i : int = 0; i < 3; i++ )
        {
            var own : int = i * 10;
            all[i] = void() { own++; return own + " " + i; };
        }
        all[0].call();
        p( "" + all[0].call() + ", " + all[1].call() + ", " + all[2].call() );   // an own `own` for each, one `i` for all
        var sum : int = 0;
        var n : int = 0;
        foreach( word in "a bb ccc".split( " " ) )
        {
            all[n++] = void() { return word; };
            var add = void( var x : int ) { sum += x; };
            add( word.length() );
        }
        p( "" + all[0].call() + all[1].call() + all[2].call() + sum );
        n = 0;
        foreach( word in "a bb ccc".split( " " ) )
        {
            all[n++] = void() { word += "."; return word; };
            word += "_";
        }
        all[1].call();
        p( "" + all[0].call() + all[1].call() + all[2].call() );
        var last : string;
        var tell = void() { return "last " + last; };
        foreach( last in "x y".split( " " ) ) ;
        p( tell() );
    }

    void recursion()
    {
        var fact : closure = void( var n : int ) { return n < 2 ? 1 : n * (int)fact( n - 1 ); };
        p( fact( 10 ) );
        var even;
        var odd;
        even = void( var n : int ) { if( n == 0 ) return 1; return odd( n - 1 ); };
        odd = void( var n : int ) { if( n == 0 ) return 0; return even( n - 1 ); };
        p( "" + even( 101 ) + " " + odd( 101 ) );
        var deep = void( var a ) { return void( var b ) { return void( var c ) { return "" + a + b + c + count++; }; }; };
        p( "" + deep.call( 1 ).call( 2 ).call( 3 ) + " " + count );
    }

    void caught( var n : int )
    {
        var f = void( var x : int )
        {
            try { return 10 / x; }
            catch( .internal.error.divide e ) { n++; throw void() { return e.getMessage() == null || n > 0; }; }
            finally { n += 10; }
        };
        f( 5 );
        try { f( 0 ); }
        catch( closure k ) { p( "" + k() + " " + n ); }
        try { n = 0; throw n; }
        catch( int e ) { var g = void() { e += 4; }; g(); g(); p( "" + e ); }
    }

    void corners()
    {
        var f;
        { var x : int = 3; f = void() { return x; }; }
        p( "" + x + f() );                              // lives to the end of the method
        f = void() { { var y : int = 4; } return y; };
        p( "" + f() );
        var log : string = "";
        for( var k : int = 0; k < 2; k++ )
            try { if( k ) throw "t"; log += "a"; }
            catch( string s ) { var g = void() { log += s; }; g(); }
            finally { var g = void() { var h = void() { log += "f" + k; }; h(); }; g(); }
        p( log );
        var each : int[] = new int[]();
        each[0] = 7;
        each[1] = 9;
        var last : int = 0;
        f = void() { foreach( last in each ) {} };      // a foreach over a variable from around it
        f();
        p( "" + last );
        for( var k : int = 0; k < 4; k++ ) passed_by( k );
        p( "" + taken.made().call() + taken.closure$1() );
    }

    // A case jumps over the declaration of a shared variable.
    void passed_by( var k : int )
    {
        var f;
        switch( k )
        {
        case 0:
            var n : int = 5;
            var s : string = "s";
            f = void() { s += "t"; return n++; };
            f();
        case 1:
        case 2:
            n++;
            s = "" + s + n;
            p( s );
            break;
        default:
            n += 2;
            p( "" + n );
        }
    }

    void wrong( var f : closure, var k : int )
    {
        try
        {
            switch( k )
            {
            case 0: f(); break;
            case 1: f( "text" ); break;
            case 2: f( null ); break;
            case 3: f( 1, 2 ); break;
            }
        }
        catch( .internal.error e ) { p( e.toString() ); }
    }

    int times( var n : int, var f : closure )
    {
        var t : int = 0;
        for( var i : int = 0; i < n; i++ ) t += (int)f( i );
        return t;
    }

    void run( var boot ) [8]
    {
        out = boot;
        var add5 : closure = adder( 5 );
        p( "" + add5( 2 ) + " " + add5.call( 3 ) + " " + adder( 1 ).call( 1 ) );
        var a = counter();
        var b = counter();
        a(); a();
        p( "" + a() + " " + b() );
        p( compose( add5, void( var x ) { return x * 2; } ).call( 4 ) );
        p( "" + kept( 41 ) + " " + of_class( 5 ) + " " + this.kept.call( 1 ) );
        hook = void( var x ) { count += x; return this; };
        hook( 3 );
        hook( 4 );
        p( "" + count );
        p( named( 3 ) );
        p( new child( "c" ).peeks().call( 2 ) + " " + new child( "d" ).says().call().call() );
        types();
        loops();
        recursion();
        caught( 0 );
        corners();
        for( var i : int = 0; i < 4; i++ ) wrong( add5, i );
        p( void( var a, var b, var c, var d, var e, var f ) { return "" + a + b + c + d + e + f; }.call( 1, 2, 3, 4, 5, 6 ) );
        p( "" + times( 100000, void( var i : int ) { return i & 3; } ) );
        var total : int = 0;
        times( 100000, void( var i : int ) { total += i & 1; return 0; } );
        p( "" + total );
        var t : thread = new thread( void() { total = -1; } );
        t.start();
        t.join();
        t = new thread( void( var machine ) { total += machine :== out; } );
        t.start();
        t.join();
        p( "" + total );
        var old = new closure( this, "named" );
        p( old.call( 8 ) );
    }
};
