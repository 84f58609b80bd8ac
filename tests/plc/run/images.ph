// More lives than a full collection beside the program (pvm/image.c) needs to be worth while, dies at random, and is found again by weak references meanwhile.
package .test;

import .internal.*;

class node
{
    int id;
    long check;
    node next;
    void node( var id_ : int, var next_ : node )
    {
        id = id_;
        check = id_ * 7 + 3;
        next = next_;
    }
};

class images
{
    long seed = 1;
    node[] slots = new node[]();
    weakref[] weak = new weakref[]();

    int below( var n : int )
    {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        return (int)( ( seed >>> 33 ) % n );
    }

    node chain( var id : int )
    {
        return new node( id, new node( id, new node( id, new node( id, null ) ) ) );
    }

    void check( var n : node )
    {
        while( n )
        {
            if( n.check != n.id * 7 + 3 ) throw "object " + n.id + " is wrong";
            n = n.next;
        }
    }

    void run( var boot : bootstrap ) [8]
    {
        var n : int = 120000;
        var found : int = 0;
        for( var i : int = 0; i < n; i++ )
        {
            slots[i] = chain( i );
            weak[i] = new weakref( slots[i] );
        }
        for( var r : int = 0; r < 2 * n; r++ )
        {
            var i : int = below( n );
            var o : node = (node)weak[below( n )].get();
            check( o );
            if( o ) found++;
            if( o && below( 4 ) == 0 ) slots[i] = o;
            else slots[i] = chain( r );
            weak[i] = new weakref( slots[i] );
        }
        for( var i : int = 0; i < n; i++ ) check( slots[i] );
        boot.consolePrint( found > n ? "good\n" : "lost\n" );
    }
};
