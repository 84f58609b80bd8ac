// Strings, characters, arrays, bytes, files in the source.
package .test;

class text
{
    var out;
    void p( var s : string ) { out.16( s ); out.16( "\n" ); }
    string bang( var s : string ) { return s + "!"; }

    void run( var boot ) [8]
    {
        out = boot;
        var s : string = "a\tb\\\"\x41\u00e9\e[0m";
        p( s.length() + " " + s.codePoints() );
        s = "";
        s += 1; s += 'x'; s += 1.5; s += "str"; s += null;
        p( s );
        var u;
        u = 12;
        p( "u" + u + 1 + 2 + ( 1 + 2 ) + u.toString() );
        p( 1 + 2 + "three" + 4 + 5 );
        p( "long " + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15 + 16 + 17 + 18 + 19 + 20 + 21 + 22 + 23 + 24 + 25 + s.length() + 27 + 28 + 29 + s.length() );
        p( bang( "x" ) + ( "b" > "a" ) + ( "a" < "B" ) + ( s == "1120" ) );
        var a : string[][] = new string[][]();
        a[1] = new string[]();
        a[1][2] = "deep";
        p( a.size() + " " + a[1].size() + a[1][2] + ( a[0] == null ) );
        var b : .internal.binary = new .internal.binary( 4 );
        b[0] = 65; b[1] = 322; b.setByte( 2, 67 ); b[3] = 'D';
        b[3]++;
        p( b.text( 0, 4 ) + b[1] + b.getByte( 3 ) + s[0] );
        var t : string = import "text.txt";
        p( t.length() + t.substring( 0, 5 ) );
        var bytes : .internal.binary = import "text.txt";
        p( "" + bytes.length() );
        var d : double[] = new double[]( 2 );
        d[5] = 2;
        d[5] *= 1.5;
        var l : long[] = new long[]();
        l[0] = 5;
        p( d.size() + " " + d[5] + " " + l[0] );
        var any : void[] = new void[]();
        any[0] = d; any[1] = 5; any[2] = "x";
        p( "" + any[1] + any[2] );
        var back : double[] = any[0];
        p( "" + back[5] );
        try { back = any[2]; } catch( .internal.error.cast e ) { p( "cast" ); }
        var x : int;
        try { x = any[2]; } catch( .internal.error.cast e ) { p( "unbox" ); }
    }
};
