// list, map, set, queue, sorting, random.
package .test.lib;

import .phantom.util.*;
import .internal.closure;

class key
{
    private int a;
    void key( var a_ : int ) { a = a_; }
    int hashCode() { return 1; }    // all collide
    int equals( var other ) { return other instanceof key ? ( (key)other ).a == a : 0; }
    string toString() { return "k" + a; }
};

class by_length implements comparator
{
    int compare( var a, var b ) { return ( (string)a ).length() - ( (string)b ).length(); }
};

class collections extends testing
{
    var l : list;
    void beyond() { l.get( 99 ); }
    void below() { l.insert( -1, 0 ); }

    void lists()
    {
        l = new list();
        for( var i : int = 0; i < 100; i++ ) l.add( i );
        equal( l.size(), 100 );
        equal( l.get( 99 ), 99 );
        equal( l.remove( 0 ), 0 );
        l.insert( 50, "fifty" );
        equal( l.get( 50 ), "fifty" );
        equal( l.indexOf( "fifty" ), 50 );
        equal( l.removeItem( "fifty" ), 1 );
        equal( l.removeItem( "fifty" ), 0 );
        equal( l.slice( 0, 3 ).toString(), "[1, 2, 3]" );
        equal( l.slice( 0, 3 ).reverse().join( "-" ), "3-2-1" );
        check( l.slice( 1, 2 ).equals( new list().add( 2 ).add( 3 ) ), "equals" );
        equal( l.slice( 1, 2 ).hashCode(), new list().add( 2 ).add( 3 ).hashCode() );
        equal( l.pop(), 99 );
        throws_( new closure( this, "beyond" ), ".internal.error.bounds" );
        throws_( new closure( this, "below" ), ".internal.error.bounds" );
        var sum : int = 0;
        foreach( n in l ) sum += n;
        equal( sum, 99 * 98 / 2 );
        equal( new list().addAll( "c,a,b".split( "," ) ).sort().toString(), "[a, b, c]" );
        equal( new list().addAll( "ccc,a,bb,d".split( "," ) ).sort( new by_length() ).join( " " ), "a d bb ccc" );
        equal( new list().addAll( "1,3,2".split( "," ) ).sort( new reversed( new natural() ) ).join( "" ), "321" );
        var words : list = new list().addAll( "ccc,a,bb,d".split( "," ) );
        var calls : int = 0;
        words.sort( void( var a : string, var b : string ) { calls++; return b.length() - a.length(); } );
        equal( words.join( " " ), "ccc bb a d" );
        check( calls >= 3, "an order that is a closure" );
        var order = new natural();
        equal( words.sort( order ).join( " " ), "a bb ccc d" );
        order = void( var a : string, var b : string ) { return b.length() - a.length(); };
        equal( words.sort( order ).join( " " ), "ccc bb a d" );
        equal( words.collect( void( var w : string ) { return w.length(); } ).toString(), "[3, 2, 1, 1]" );
        equal( words.select( void( var w : string ) { return w.length() > 1; } ).toString(), "[ccc, bb]" );
        var joined : string = "";
        equal( words.each( void( var w ) { joined += w; } ).size(), 4 );
        equal( joined, "cccbbad" );
    }

    void maps()
    {
        var m : map = new map();
        for( var i : int = 0; i < 1000; i++ ) check( m.put( "k" + i, i ) == null, "new" );
        for( var i : int = 0; i < 1000; i += 2 ) equal( m.remove( "k" + i ), i );
        equal( m.size(), 500 );
        equal( m.get( "k501" ), 501 );
        check( m.get( "k500" ) == null, "gone" );
        equal( m.getOr( "k500", "none" ), "none" );
        equal( m.put( "k501", "new" ), 501 );
        equal( m.get( "k501" ), "new" );
        for( var i : int = 0; i < 1000; i += 2 ) m.put( "k" + i, -i );
        equal( m.size(), 1000 );
        equal( m.keys().get( 0 ), "k1" );
        equal( m.keys().last(), "k998" );
        var n : int = 0;
        foreach( k in m ) if( m.contains( k ) ) n++;
        equal( n, 1000 );
        m.clear();
        for( var i : int = 0; i < 50; i++ ) m.put( new key( i ), i );
        equal( m.get( new key( 33 ) ), 33 );
        equal( m.remove( new key( 33 ) ), 33 );
        equal( m.size(), 49 );
        m.clear();
        m.put( 1, "int" ); m.put( null, "null" ); m.put( 2.5, 3 );
        equal( m.toString(), "{1: int, null: null, 2.5: 3}" );
        equal( m.get( null ), "null" );
        // Nothing is left behind by what comes and goes.
        for( var i : int = 0; i < 5000; i++ ) { m.put( i + 10, i ); m.remove( i + 10 ); }
        equal( m.size(), 3 );
    }

    void others()
    {
        var s : set = new set();
        equal( s.add( 1 ) + s.add( 2 ) + s.add( 1 ), 2 );
        check( s.contains( 2 ) && !s.contains( 3 ), "contains" );
        equal( s.remove( 1 ) + s.remove( 1 ), 1 );
        equal( s.addAll( "x,y,x".split( "," ) ).toString(), "{2, x, y}" );
        var q : queue = new queue();
        var next : int = 0;
        for( var i : int = 0; i < 1000; i++ )
        {
            q.add( i );
            if( i % 3 == 0 ) equal( q.take(), next++ );
        }
        equal( q.size(), 1000 - next );
        equal( q.peek(), next );
        while( !q.isEmpty() ) equal( q.take(), next++ );
        equal( next, 1000 );
    }

    void numbers()
    {
        var r : random = new random( 5 );
        var again : random = new random( 5 );
        var l : list = new list();
        var a : int[] = new int[]( 2000 );
        var seen : int[] = new int[]( 10 );
        for( var i : int = 0; i < 2000; i++ )
        {
            var n : int = r.next( 1000000 );
            equal( again.next( 1000000 ), n );
            l.add( n );
            a[i] = n;
            seen[r.next( 10 )]++;
            again.next( 10 );
            var d : double = r.nextDouble();
            again.nextDouble();
            check( d >= 0 && d < 1, "nextDouble" );
        }
        foreach( count in seen ) check( count > 120 && count < 280, "evenly " + count );
        l.sort();
        sorting.ints( a );
        for( var i : int = 0; i < 2000; i++ ) equal( l.get( i ), a[i] );
        for( var i : int = 1; i < 2000; i++ ) check( a[i - 1] <= a[i], "order" );
        equal( l.get( sorting.search( l, a[77], new natural() ) ), a[77] );
        equal( sorting.search( new list().add( 1 ).add( 3 ), 2, new natural() ), -2 );
        r.shuffle( l );
        check( l.get( 0 ) != a[0] || l.get( 1 ) != a[1], "shuffled" );
        equal( new list().addAll( l ).sort().get( 1999 ), a[1999] );
    }

    void test()
    {
        lists();
        maps();
        others();
        numbers();
    }
};
