// Text by a pattern, as printf makes it: %d %x %s %c %f %% with '-', '0', a width, and digits behind a '.'.
package .phantom.util;

class format
{
    static string pad( var text : string, var width : int, var left : int, var with : string )
    {
        var missing : int = width - text.codePoints();
        if( missing <= 0 ) return text;
        var b : builder = new builder();
        if( left ) b.add( text );
        b.repeat( with, missing );
        if( !left ) b.add( text );
        return b.toString();
    }

    static string hex( var n : long )
    {
        var text : string = "";
        do
        {
            text = "0123456789abcdef".substring( (int)( n & 15 ), 1 ) + text;
            n = n >>> 4;
        }
        while( n != 0 );
        return text;
    }

    // Half away from zero; at most 15 digits.
    static string fixed( var x : double, var digits : int )
    {
        if( x != x ) return "nan";
        if( digits < 0 || digits > 15 ) throw new .internal.error.argument( digits + " digits: 0 to 15 expected" );
        var sign : string = x < 0 ? "-" : "";
        if( x < 0 ) x = -x;
        var scale : long = 1;
        for( var i : int = 0; i < digits; i++ ) scale *= 10;
        if( x * scale >= 9.0e18 ) return sign + x;
        var n : long = (long)( x * scale + 0.5 );
        var whole : string = sign + n / scale;
        return digits == 0 ? whole : whole + "." + pad( "" + n % scale, digits, 0, "0" );
    }

    static string format( var pattern : string, var args : void[] )
    {
        var out : builder = new builder();
        var next : int = 0;
        var n : int = pattern.length();
        var i : int = 0;
        while( i < n )
        {
            var percent : int = pattern.indexOf( "%", i );
            if( percent < 0 )
            {
                out.add( pattern.substring( i, n - i ) );
                break;
            }
            out.add( pattern.substring( i, percent - i ) );
            i = percent + 1;
            var left : int = 0;
            var zero : int = 0;
            var width : int = 0;
            var digits : int = -1;
            while( i < n && ( pattern.charAt( i ) == '-' || pattern.charAt( i ) == '0' ) )
            {
                if( pattern.charAt( i ) == '-' ) left = 1; else zero = 1;
                i++;
            }
            while( i < n && pattern.charAt( i ) >= '0' && pattern.charAt( i ) <= '9' )
                width = width * 10 + pattern.charAt( i++ ) - '0';
            if( i < n && pattern.charAt( i ) == '.' )
            {
                digits = 0;
                i++;
                while( i < n && pattern.charAt( i ) >= '0' && pattern.charAt( i ) <= '9' )
                    digits = digits * 10 + pattern.charAt( i++ ) - '0';
            }
            if( i >= n ) throw new .internal.error.argument( "the pattern ends behind '%': " + pattern );
            var kind : int = pattern.charAt( i++ );
            if( kind == '%' )
            {
                out.add( "%" );
                continue;
            }
            if( next >= args.size() ) throw new .internal.error.argument( "more to format than the " + args.size() + " arguments: " + pattern );
            var arg;
            arg = args[next++];
            var text : string;
            switch( kind )
            {
            case 'd': text = "" + (long)arg; break;
            case 'x': text = hex( (long)arg ); break;
            case 's': text = "" + arg; break;
            case 'c': text = string_of( (int)arg ); break;
            case 'f': text = fixed( (double)arg, digits < 0 ? 6 : digits ); break;
            default: throw new .internal.error.argument( "no such format: '%" + string_of( kind ) + "'" );
            }
            if( kind == 's' && digits >= 0 && text.length() > digits ) text = text.substring( 0, digits );
            if( zero && !left && text.startsWith( "-" ) )
                out.add( "-" ).add( pad( text.substring( 1, text.length() - 1 ), width - 1, 0, "0" ) );
            else
                out.add( pad( text, width, left, zero && !left ? "0" : " " ) );
        }
        if( next < args.size() ) throw new .internal.error.argument( "more arguments than there is to format: " + pattern );
        return out.toString();
    }

    private static string string_of( var c : int ) { return .internal.string.fromCodePoint( c ); }
};
