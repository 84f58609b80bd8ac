// A map from keys to values, by value of the keys, in the order in which they were put.
package .phantom.util;

class map implements iterable
{
    // index: hash & mask -> number of an entry + 1, by open addressing; 0: free. Entries removed have 'gone' as key until the next growth.
    private int[] index = new int[]( 16 );
    private void[] keys_ = new void[]( 8 );
    private void[] values_ = new void[]( 8 );
    private int[] hashes = new int[]( 8 );
    private int used;       // entries, those gone included
    private int count;
    private static gone_key gone = new gone_key();

    int size() { return count; }
    int isEmpty() { return count == 0; }

    private static int hash( var key )
    {
        var h : int = key == null ? 0 : key.hashCode();
        h = h * 0x9E3779B1;
        return h ^ ( h >>> 15 );
    }

    private int find( var key, var h : int )
    {
        var mask : int = index.size() - 1;
        var at : int = h & mask;
        var entry : int;
        while( ( entry = index[at] ) != 0 )
        {
            if( hashes[entry - 1] == h && keys_[entry - 1] == key ) return entry - 1;
            at = ( at + 1 ) & mask;
        }
        return -1;
    }

    private void place( var entry : int, var h : int )
    {
        var mask : int = index.size() - 1;
        var at : int = h & mask;
        while( index[at] != 0 ) at = ( at + 1 ) & mask;
        index[at] = entry + 1;
    }

    private void grow()
    {
        var size : int = 16;
        while( size < count * 4 + 4 ) size = size * 2;
        var old_keys : void[] = keys_;
        var old_values : void[] = values_;
        var old_hashes : int[] = hashes;
        var old_used : int = used;
        index = new int[]( size );
        keys_ = new void[]( size / 2 );
        values_ = new void[]( size / 2 );
        hashes = new int[]( size / 2 );
        used = 0;
        for( var i : int = 0; i < old_used; i++ )
        {
            if( old_keys[i] :== gone ) continue;
            keys_[used] = old_keys[i];
            values_[used] = old_values[i];
            hashes[used] = old_hashes[i];
            place( used, old_hashes[i] );
            used++;
        }
    }

    // Gives the value that was there, or null.
    void put( var key, var value )
    {
        var h : int = hash( key );
        var entry : int = find( key, h );
        if( entry >= 0 )
        {
            var old;
            old = values_[entry];
            values_[entry] = value;
            return old;
        }
        if( ( used + 1 ) * 2 > index.size() ) grow();
        keys_[used] = key;
        values_[used] = value;
        hashes[used] = h;
        place( used, h );
        used++;
        count++;
        return null;
    }

    void get( var key )
    {
        var entry : int = find( key, hash( key ) );
        return entry < 0 ? null : values_[entry];
    }

    void getOr( var key, var otherwise )
    {
        var entry : int = find( key, hash( key ) );
        return entry < 0 ? otherwise : values_[entry];
    }

    int contains( var key ) { return find( key, hash( key ) ) >= 0; }

    // Gives the value that was there, or null.
    void remove( var key )
    {
        var entry : int = find( key, hash( key ) );
        if( entry < 0 ) return null;
        var old;
        old = values_[entry];
        keys_[entry] = gone;
        values_[entry] = null;
        count--;
        return old;
    }

    void clear()
    {
        index = new int[]( 16 );
        keys_ = new void[]( 8 );
        values_ = new void[]( 8 );
        hashes = new int[]( 8 );
        used = count = 0;
    }

    list keys()
    {
        var all : list = new list();
        for( var i : int = 0; i < used; i++ )
            if( keys_[i] :!= gone ) all.add( keys_[i] );
        return all;
    }

    list values()
    {
        var all : list = new list();
        for( var i : int = 0; i < used; i++ )
            if( keys_[i] :!= gone ) all.add( values_[i] );
        return all;
    }

    // Over the keys that are there now: the map may change meanwhile.
    iterator iterator() { return keys().iterator(); }

    string toString()
    {
        var text : builder = new builder();
        text.add( "{" );
        var first : int = 1;
        for( var i : int = 0; i < used; i++ )
        {
            if( keys_[i] :== gone ) continue;
            if( first == 0 ) text.add( ", " );
            first = 0;
            text.add( keys_[i] ).add( ": " ).add( values_[i] );
        }
        return text.add( "}" ).toString();
    }
};

class gone_key { };
