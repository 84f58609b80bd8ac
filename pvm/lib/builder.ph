// Puts a string together from parts, in time that grows with its length alone.
package .phantom.util;

import .internal.binary;

class builder
{
    private binary bytes = new binary( 64 );
    private int used;

    int length() { return used; }

    private void room( var more : int )
    {
        var size : int = bytes.length();
        if( used + more <= size ) return;
        while( size < used + more ) size = size * 2;
        bytes.resize( size );
    }

    builder add( var part : string )
    {
        if( part == null ) part = "null";
        var n : int = part.length();
        room( n );
        bytes.setRange( part.toBinary(), used, 0, n );
        used += n;
        return this;
    }

    builder addLine( var part : string ) { return add( part ).addByte( '\n' ); }

    // A character below 128.
    builder addByte( var c : int )
    {
        if( c < 0 || c > 127 ) throw new .internal.error.argument( "addByte of " + c + ": 0 to 127 expected" );
        room( 1 );
        bytes[used] = c;
        used++;
        return this;
    }

    builder repeat( var part : string, var times : int )
    {
        for( var i : int = 0; i < times; i++ ) add( part );
        return this;
    }

    void clear() { used = 0; }
    string toString() { return bytes.text( 0, used ); }
};
