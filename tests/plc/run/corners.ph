// Corners of the translation: registers that are used again, finally in loops, constants of loops, chains, order of evaluation.
package .test;

import .internal.closure;
import .internal.thread;

class item
{
    var next : item;
    int n;
    static int alive;
    void item( var n_ : int ) { n = n_; alive++; }
    item link( var other : item ) { next = other; return this; }
    item me() { return this; }
    int times( var a : int, var b : int, var c : int, var d : int, var e : int, var f : int ) { return a + b * 10 + c * 100 + d * 1000 + e * 10000 + f * 100000; }
    int throws_() { throw "thrown " + n; }
};

class holder { static item kept = new item( 7 ); static int[] table = new int[]( 4 ); static string where = "static " + kept.n; };

class corners
{
    var out;
    string log;
    void p( var s : string ) { out.16( s ); out.16( "\n" ); }
    int note( var n : int ) { log += n; return n; }

    string loops()
    {
        var text : string = "";
        for( var i : int = 0; i < 3; i++ )
        {
            for( var j : int = 0; ; j++ )
            {
                try
                {
                    try
                    {
                        if( j == 1 ) continue;
                        if( j == 3 ) break;
                        if( i == 2 ) return text + "returned";
                        text += "" + i + j;
                    }
                    finally { text += "f"; if( i == 1 && j == 2 ) throw "from finally"; }
                }
                catch( string s ) { text += "<" + s + ">"; break; }
                finally { text += "g"; }
            }
            text += " ";
        }
        return text;
    }

    string same_names()
    {
        var text : string = "";
        { var a : int = 5; text += a; }
        { var a : double; text += a; a = 2; }
        { var a : int; text += a; a = 3; }
        for( var i : int = 0; i < 3; i++ ) { var fresh : int; var s : string; text += fresh + ( s == null ? "-" : s ); fresh = i + 1; s = "x"; }
        return text;
    }

    int deep( var n : int ) { return n == 0 ? 0 : 1 + deep( n - 1 ); }

    string constants( var n : int )
    {
        var l : long = 0;
        var d : double = 0;
        var text : string = "";
        var a : string[] = new string[]();
        while( n-- > 0 )
        {
            l += 10000000000L; l ^= 0x5555555555L; d += 0.125; d *= 1.5f;
            if( n % 2 == 0 ) { text += "even"; a[n] = null; } else { text = text + "odd"; a[n] = "set"; }
            for( var k : int = 0; k < 2; k++ ) { l += 100000; if( l == 123456789012L ) text += "never"; }
            if( a[n] == null && text == "x" ) break;
        }
        return text + l + " " + d + " " + a.size();
    }

    static int facing( var a : int ) { return a > 0 ? facing( a - 1 ) + 2 : 0; }

    void run( var boot ) [8]
    {
        out = boot;
        log = "";
        p( loops() );
        p( same_names() );
        p( constants( 4 ) );
        p( deep( 200 ) + " " + facing( 10 ) + " " + corners.facing( 2 ) );
        p( new item( 3 ).link( new item( 4 ) ).me().next.me().n + " " + item.alive );
        p( "" + new item( 0 ).times( note( 1 ), note( 2 ), note( 3 ), note( 4 ), note( 5 ), note( 6 ) ) + " " + log );
        log = "";
        if( note( 0 ) && note( 1 ) || note( 2 ) && note( 0 ) || note( 5 ) ) log += "!";
        p( log );
        var x : int = 1;
        x = x + ( x = 5 ) * x + x++ - --x;
        p( "" + x );
        var a : int[] = new int[]( 3 );
        var i : int = 0;
        a[i] = i = 2;
        a[i] = a[0] + ( i = 1 );
        a[i] -= i - 10;
        p( a[0] + " " + a[1] + " " + a[2] );
        var chain : item = null;
        for( var k : int = 0; k < 5; k++ ) chain = new item( k ).link( chain );
        var sum : int = 0;
        while( chain :!= null ) { sum = sum * 10 + chain.n; chain = chain.next; }
        p( "" + sum );
        x = 9;
        try { x = new item( 8 ).throws_(); } catch( string s ) { p( s + " " + x ); }
        var before : item = new item( 1 );
        try { before = new item( 1 / ( x - 9 ) ); } catch( .internal.error.divide e ) { p( "kept " + before.n ); }
        p( holder.where + " " + holder.table.size() + " " + ( holder.kept.n += 3 ) + " " + holder.kept.n );
        holder.table[2] = 6; holder.table[2]++; ++holder.table[2];
        p( holder.table[2] + " " + ( holder.kept instanceof item ) );
        var u = 5;
        u = u + 2;
        u += 1;
        u++;
        p( u + " " + ( u > 8.5 ) + ( u == 9L ) + ( -u ) + ( u == "9" ) );
        var call : closure = new closure( this, "note" );
        p( "" + call.call( 12 ) );
        var q : long = 5;
        var f : float = q;
        switch( q ) { case 4: p( "four" ); case 5: p( "five" ); case 6L: p( "on" ); break; case 7: p( "seven" ); }
        switch( f ) { case 5.0: p( "float five" ); }
        p( ( 1 ? 2 : 3.5 ) + " " + ( x == 9 ? "s" : null ) + " " + ( 0 ? 1 : "mixed" ) + " " + ( x ? 1 ? "a" : "b" : "c" ) );
        do { x--; if( x == 5 ) continue; if( x < 3 ) break; } while( x ) log += x;
        p( log );
        if( 0 ) p( "no" ); while( 0 ) p( "no" ); for( ; 0; ) p( "no" ); do {} while( 0 );
        p( "\u20ac".codePointAt( 0 ) + " " + 'z' + " " + "tab\there".length() );
        try { throw new item( 5 ).n == 5 ? "end" : "?"; } catch( var e ) { p( e ); }
    }
};
