// A set, by value, in the order in which its members were added.
package .phantom.util;

class set implements iterable
{
    private map members = new map();

    int size() { return members.size(); }
    int isEmpty() { return members.isEmpty(); }
    int contains( var item ) { return members.contains( item ); }

    // 1: it was not there.
    int add( var item )
    {
        if( members.contains( item ) ) return 0;
        members.put( item, 1 );
        return 1;
    }

    set addAll( var all )
    {
        foreach( item in all ) add( item );
        return this;
    }

    // 1: it was there.
    int remove( var item ) { return members.remove( item ) != null; }
    void clear() { members.clear(); }
    list toList() { return members.keys(); }
    iterator iterator() { return members.iterator(); }
    string toString() { return "{" + toList().join( ", " ) + "}"; }
};
