// Statements: every loop, switch, and what leaves them.
package .test;

class control
{
    var out;
    var i : int;
    var log : string;

    void print( var s : string ) { out.16( s ); }

    int classify( var n : int )
    {
        switch( n )
        {
        case -1: return 100;
        case 3:
        case 4: n = n + 10;
        case 5: n = n + 1; break;
        case 2147483647: return 7;
        default: return 0 - n;
        }
        return n;
    }

    string word( var s : string )
    {
        switch( s ) { case "one": return "eins"; case "two": return "zwei"; }
        return "?";
    }

    int leave( var how : int )
    {
        var n : int;
        n = 0;
        while( 1 )
        {
            n = n + 1;
            try
            {
                if( how == 0 ) break;
                if( how == 1 && n < 3 ) continue;
                if( how == 2 ) return n;
                if( how == 3 ) throw "out";
                break;
            }
            catch( string s ) { log = log + "c"; return 50; }
            finally { log = log + "f"; }
        }
        return n * 10;
    }

    int nested()
    {
        var total : int = 0;
        try
        {
            try { throw 42; }
            catch( string s ) { total = total + 1000; }
            finally { total = total + 1; }
        }
        catch( int n ) { total = total + n; }
        finally { total = total + 100; }
        return total;
    }

    int finally_wins()
    {
        try { return 1; } finally { return 2; }
    }

    int finally_of_value()
    {
        var n : int = 1;
        try { return n; } finally { n = 5; }
    }

    int rethrow()
    {
        try
        {
            try { throw "a"; }
            catch( string e ) { throw e + "b"; }
        }
        catch( string e ) { if( e == "ab" ) return 1; }
        return 0;
    }

    void run( var boot @const ) [8]
    {
        out = boot;
        log = "";
        var j : int;
        j = 0;
        i = 3;
        do { j = j + 1; } while( i ) i = i - 1;
        print( "do " + j );
        do j++; while( j < 10 );
        print( " " + j );
        do { if( j == 12 ) { j = 20; continue; } j++; } while( j < 15 ) j++;
        print( " " + j + "\n" );

        for( var k : int = 0; k < 3; k++ ) print( k );
        for( ; ; ) { if( i++ > 4 ) break; }
        print( " for " + i + "\n" );
        for( i = 10; i > 0; i -= 3 ) { if( i == 7 ) continue; print( i ); print( " " ); }
        print( "\n" );

        print( classify( -1 ) ); print( " " ); print( classify( 3 ) ); print( " " ); print( classify( 5 ) );
        print( " " + classify( 9 ) + " " + classify( 0x7fffffff ) + " " + word( "two" ) + word( "three" ) + "\n" );

        print( leave( 0 ) + " " + leave( 1 ) + " " + leave( 2 ) + " " + leave( 3 ) + " " + log + "\n" );
        print( nested() + " " + finally_wins() + " " + finally_of_value() + " " + rethrow() + "\n" );

        var numbers : int[] = new int[]();
        numbers[4] = 8; numbers[1] = 2;
        var sum : int = 0;
        foreach( n in numbers ) sum = sum + n;
        foreach( var n : long in numbers ) sum += (int)n;
        print( "foreach " + sum );
        var x : string;
        foreach( x in "a,b,c".split( "," ) ) print( " " + x );
        var any;
        any = numbers;
        foreach( e in any ) { if( e == 8 ) print( " eight" ); }
        print( "\n" );
        var deep : int = 0;
        for( i = 0; i < 10; i++ )
            for( j = 0; j < 1000000; j += 100000 ) { if( j == 300000 ) break; deep += 70000; }
        print( deep + "\n" );
        if( deep == 0 ) {} else if( deep == 1 ) print( "no" ); else if( deep > 5 ) print( "else if\n" ); else print( "no" );
    }
};
