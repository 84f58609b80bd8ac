// Numbers that look random: xorshift64*. One seed, one sequence; nothing for secrets.
package .phantom.util;

class random
{
    private long state;

    void random( var seed : long )
    {
        state = seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D;
        if( state == 0 ) state = 1;
        for( var i : int = 0; i < 4; i++ ) nextLong();
    }

    void random() { this_seed( .internal.time.now() ^ .internal.time.monotonic() ); }

    private void this_seed( var seed : long ) { state = seed | 1; nextLong(); nextLong(); }

    long nextLong()
    {
        state ^= state >>> 12;
        state ^= state << 25;
        state ^= state >>> 27;
        return state * 0x2545F4914F6CDD1D;
    }

    // 0 to below - 1, all alike.
    int next( var below : int )
    {
        if( below <= 0 ) throw new .internal.error.argument( "random below " + below );
        var limit : int = 0x7fffffff - 0x7fffffff % below;
        var n : int;
        do n = (int)( nextLong() >>> 33 ); while( n >= limit );
        return n % below;
    }

    // 0 to below 1.
    double nextDouble() { return (double)( nextLong() >>> 11 ) / 9007199254740992.0; }

    void shuffle( var all : list )
    {
        for( var i : int = all.size() - 1; i > 0; i-- )
            all.set( i, all.set( next( i + 1 ), all.get( i ) ) );
    }
};
