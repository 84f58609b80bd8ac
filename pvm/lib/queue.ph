// A queue in a ring, and one that threads wait at.
package .phantom.util;

import .internal.mutex;
import .internal.cond;

class queue implements iterable
{
    private void[] ring = new void[]( 8 );
    private int head;
    private int count;

    int size() { return count; }
    int isEmpty() { return count == 0; }

    queue add( var item )
    {
        if( count == ring.size() )
        {
            var bigger : void[] = new void[]( count * 2 );
            for( var i : int = 0; i < count; i++ ) bigger[i] = ring[( head + i ) % count];
            ring = bigger;
            head = 0;
        }
        ring[( head + count ) % ring.size()] = item;
        count++;
        return this;
    }

    void peek()
    {
        if( count == 0 ) throw new .internal.error.state( "the queue is empty" );
        return ring[head];
    }

    void take()
    {
        var item;
        item = peek();
        ring[head] = null;
        head = ( head + 1 ) % ring.size();
        count--;
        return item;
    }

    list toList()
    {
        var all : list = new list();
        for( var i : int = 0; i < count; i++ ) all.add( ring[( head + i ) % ring.size()] );
        return all;
    }

    iterator iterator() { return toList().iterator(); }
    string toString() { return toList().toString(); }
};

// At most 'limit' things on their way from threads that put to threads that take.
class channel
{
    private queue waiting = new queue();
    private mutex lock = new mutex();
    private cond changed = new cond();
    private int limit;
    private int closed;

    void channel( var limit_ : int )
    {
        if( limit_ < 1 ) throw new .internal.error.argument( "a channel has room for 1 at least" );
        limit = limit_;
    }

    void put( var item )
    {
        lock.lock();
        try
        {
            while( closed == 0 && waiting.size() >= limit ) changed.wait( lock );
            if( closed ) throw new .internal.error.state( "the channel is closed" );
            waiting.add( item );
            changed.broadcast();
        }
        finally { lock.unlock(); }
    }

    // null when it is closed and empty.
    void take()
    {
        lock.lock();
        try
        {
            while( closed == 0 && waiting.isEmpty() ) changed.wait( lock );
            if( waiting.isEmpty() ) return null;
            changed.broadcast();
            return waiting.take();
        }
        finally { lock.unlock(); }
    }

    void close()
    {
        lock.lock();
        closed = 1;
        changed.broadcast();
        lock.unlock();
    }
};
