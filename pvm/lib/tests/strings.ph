// builder and format.
package .test.lib;

import .phantom.util.*;
import .internal.closure;

class strings extends testing
{
    string f( var pattern : string, var arg ) { return f( pattern, arg, null, 1 ); }
    string f( var pattern : string, var a, var b, var n : int )
    {
        var args : void[] = new void[]();
        args[0] = a;
        if( n > 1 ) args[1] = b;
        return format.format( pattern, args );
    }

    void too_few() { format.format( "%d", new void[]() ); }
    void too_many() { f( "no", 1 ); }
    void unknown() { f( "%q", 1 ); }
    void no_end() { f( "%5", 1 ); }

    void test()
    {
        var b : builder = new builder();
        for( var i : int = 0; i < 1000; i++ ) b.add( i ).addByte( ' ' );
        equal( b.length(), 10 + 90 * 2 + 900 * 3 + 1000 );
        check( b.toString().startsWith( "0 1 2 " ) && b.toString().endsWith( "998 999 " ), "builder" );
        b.clear();
        equal( b.add( "\u00e9" ).add( null ).repeat( "ab", 3 ).addLine( "." ).toString(), "\u00e9nullababab.\n" );

        equal( f( "%d", 42 ), "42" );
        equal( f( "<%5d|%-5d>", 42, -7, 2 ), "<   42|-7   >" );
        equal( f( "%05d %03d", -42, 7, 2 ), "-0042 007" );
        equal( f( "%x %x", 255, -1, 2 ), "ff ffffffffffffffff" );
        equal( f( "%s and %s", "text", 1.5, 2 ), "text and 1.5" );
        equal( f( "%.2s|%4s", "text", "x", 2 ), "te|   x" );
        equal( f( "%c%%%c", 'A', 0x20ac, 2 ), "A%\u20ac" );
        equal( f( "%.2f %f", 2.345, -0.5, 2 ), "2.35 -0.500000" );
        equal( f( "%8.3f|%.0f", 3.14159, 2.5, 2 ), "   3.142|3" );
        equal( f( "%-6sx", "\u00e9\u00e9" ), "\u00e9\u00e9    x" );
        throws_( new closure( this, "too_few" ), ".internal.error.argument" );
        throws_( new closure( this, "too_many" ), ".internal.error.argument" );
        throws_( new closure( this, "unknown" ), ".internal.error.argument" );
        throws_( new closure( this, "no_end" ), ".internal.error.argument" );
    }
};
