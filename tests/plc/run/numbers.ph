// Numbers: literals, operators, conversions, the edges.
package .test;

class numbers
{
    var out;
    static const int MANY = 1000;
    static const double HALF = 0.5;
    static const long FAR = -5000000000;

    void p( var s : string ) { out.16( s ); out.16( "\n" ); }

    int seven() { return 7; }
    int side( var a : int, var b : int ) { return a * 100 + b; }

    void thrown( var what : string ) { p( what ); }

    void run( var boot ) [8]
    {
        out = boot;
        var i : int;
        var l : long;
        var f : float;
        var d : double;
        i = 0xFFFFFFFF;
        p( i + " " + 0x7f + " " + 0b101 + " " + 'z' + " " + '\n' + " " + 9223372036854775807 + " " + -2147483648 );
        i = 2147483647;
        i++;
        p( i + " " + (i - 1) + " " + ~i + " " + -i );
        p( (i / -1) + " " + (i % -1) + " " + (-7 / 2) + " " + (-7 % 2) + " " + (7 % -2) );
        i = -8;
        p( (i >> 1) + " " + (i >>> 28) + " " + (i << 30) + " " + (1 << 33) + " " + (i ^ 3) + " " + (i & 12) + " " + (i | 1) );
        l = 1;
        l = l << 40;
        p( l + " " + (l >> 8) + " " + (l + i) + " " + (-l >>> 60) + " " + (int)l + " " + (l * 3000000000L) );
        f = 1.1f; d = 1.1;
        p( f + " " + d + " " + (f * 2) + " " + (d * 2) + " " + (f + d) + " " + 1e300 * 1e10 + " " + (d / 0) + " " + (0.0 / 0.0) );
        d = 0.0; d = d / d;
        if( d == d ) p( "nan" ); else if( d < 1 || d > 1 || d <= 1 || d >= 1 ) p( "nan" ); else if( d != d ) p( "nan is not itself" );
        i = (int)1e20; p( i + " " + (int)d + " " + (long)1e30 + " " + (int)-3.99 + " " + (float)0.1 + " " + (double)1.5f );
        d = 1; l = 5; f = 3; d += l; d *= 2; d -= 0.5; d /= 4;
        p( d + " " + (5 / 2) + " " + (5 / 2.0) + " " + (f / 2) + " " + (5 % 2.5) );
        i = 10; i += 5; i -= 1; i *= 3; i /= 4; i %= 6; i <<= 4; i |= 3; i &= 0x3e; i ^= 1; i >>= 1; i >>>= 1;
        p( i++ + " " + i + " " + ++i + " " + i-- + " " + --i );
        i = 1;
        p( side( i, i = 5 ) + " " + ( i + ( i = 2 ) ) + " " + i );
        var a : int[] = new int[]( 3 );
        i = 0;
        a[i++] = 5; a[i++] += 7; a[i] = a[0] + a[1];
        a[0]++;
        p( a[0] + " " + a[1] + " " + a[2] + " " + a[i]-- + " " + a[2] + " " + i );
        p( ( 3 < 5 ) + " " + ( 2.5 >= 2 ) + " " + ( 3 == 3.0 ) + " " + ( !0 ) + " " + ( 1 && 2 ) + " " + ( 0 || 0 ) + " " + ( 5 > 3 ? "yes" : "no" ) );
        p( MANY * 2 + " " + HALF * MANY + " " + FAR );
        try { i = 5 / ( i - i ); } catch( .internal.error.divide e ) { thrown( "divide" ); }
        try { i = a[99]; } catch( .internal.error.bounds e ) { thrown( "bounds" ); }
        try { i = 5 % ( i * 0 ); } catch( .internal.error.divide e ) { thrown( "divide" ); }
    }
};
