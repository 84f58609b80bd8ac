// A list: an array that knows how much of it is used.
package .phantom.util;

import .internal.closure;

class list implements iterable
{
    private void[] items = new void[]( 8 );
    private int count;

    int size() { return count; }
    int isEmpty() { return count == 0; }

    private void check( var at : int, var limit : int )
    {
        if( at < 0 || at >= limit )
            throw new .internal.error.bounds( "index " + at + " of a list of " + count );
    }

    list add( var item )
    {
        if( count == items.size() ) items.resize( count * 2 );
        items[count] = item;
        count++;
        return this;
    }

    list addAll( var all )
    {
        foreach( item in all ) add( item );
        return this;
    }

    void get( var at : int ) { check( at, count ); return items[at]; }
    void first() { return get( 0 ); }
    void last() { return get( count - 1 ); }

    // Gives what was there.
    void set( var at : int, var item )
    {
        check( at, count );
        var old;
        old = items[at];
        items[at] = item;
        return old;
    }

    void insert( var at : int, var item )
    {
        check( at, count + 1 );
        add( null );
        for( var i : int = count - 1; i > at; i-- ) items[i] = items[i - 1];
        items[at] = item;
    }

    // Gives what was there.
    void remove( var at : int )
    {
        check( at, count );
        var old;
        old = items[at];
        for( var i : int = at + 1; i < count; i++ ) items[i - 1] = items[i];
        count--;
        items[count] = null;
        return old;
    }

    void pop() { return remove( count - 1 ); }

    int removeItem( var item )
    {
        var at : int = indexOf( item );
        if( at < 0 ) return 0;
        remove( at );
        return 1;
    }

    int indexOf( var item )
    {
        for( var i : int = 0; i < count; i++ )
            if( items[i] == item ) return i;
        return -1;
    }

    int contains( var item ) { return indexOf( item ) >= 0; }

    void clear()
    {
        items = new void[]( 8 );
        count = 0;
    }

    list slice( var from : int, var n : int )
    {
        if( from < 0 || n < 0 || n > count - from )
            throw new .internal.error.bounds( "slice " + from + ", " + n + " of a list of " + count );
        var part : list = new list();
        for( var i : int = 0; i < n; i++ ) part.add( items[from + i] );
        return part;
    }

    list reverse()
    {
        for( var i : int = 0; i < count / 2; i++ )
        {
            var other;
            other = items[count - 1 - i];
            items[count - 1 - i] = items[i];
            items[i] = other;
        }
        return this;
    }

    list sort( var order : comparator )
    {
        sorting.sort( items, count, order );
        return this;
    }

    list sort() { return sort( new natural() ); }

    // order( a, b ): below 0, a goes first; 0, they are equal.
    list sort( var order : closure ) { return sort( new by_closure( order ) ); }

    list sort( var order ) { return order instanceof closure ? sort( (closure)order ) : sort( (comparator)order ); }

    // Calls f( item ) for each.
    list each( var f : closure )
    {
        for( var i : int = 0; i < count; i++ ) f( items[i] );
        return this;
    }

    // A list of what f( item ) gives.
    list collect( var f : closure )
    {
        var all : list = new list();
        for( var i : int = 0; i < count; i++ ) all.add( f( items[i] ) );
        return all;
    }

    // A list of those for which f( item ) is true.
    list select( var f : closure )
    {
        var some : list = new list();
        for( var i : int = 0; i < count; i++ )
            if( f( items[i] ) ) some.add( items[i] );
        return some;
    }

    void[] toArray()
    {
        var all : void[] = new void[]( count );
        for( var i : int = 0; i < count; i++ ) all[i] = items[i];
        return all;
    }

    string join( var between : string )
    {
        var text : builder = new builder();
        for( var i : int = 0; i < count; i++ )
        {
            if( i > 0 ) text.add( between );
            text.add( items[i] );
        }
        return text.toString();
    }

    string toString() { return "[" + join( ", " ) + "]"; }

    int equals( var other )
    {
        if( !( other instanceof list ) ) return 0;
        var that : list = (list)other;
        if( that.count != count ) return 0;
        for( var i : int = 0; i < count; i++ )
            if( items[i] != that.items[i] ) return 0;
        return 1;
    }

    int hashCode()
    {
        var h : int = count;
        for( var i : int = 0; i < count; i++ )
            h = h * 31 + ( items[i] == null ? 0 : items[i].hashCode() );
        return h & 0x7fffffff;
    }

    iterator iterator() { return new list_iterator( this ); }
};

class list_iterator implements iterator
{
    private list of;
    private int at;
    void list_iterator( var of_ : list ) { of = of_; }
    int hasNext() { return at < of.size(); }
    void next() { return of.get( at++ ); }
};
