// A channel between threads.
package .test.lib;

import .phantom.util.*;
import .internal.thread;

class producer
{
    private channel to;
    private int from;
    void producer( var to_ : channel, var from_ : int ) { to = to_; from = from_; }
    void run() { for( var i : int = 0; i < 100; i++ ) to.put( from + i ); }
};

class consumer
{
    private channel of;
    int sum;
    int n;
    void consumer( var of_ : channel ) { of = of_; }
    void run()
    {
        var item;
        while( ( item = of.take() ) != null ) { sum += (int)item; n++; }
    }
};

class threads extends testing
{
    void test()
    {
        var c : channel = new channel( 3 );
        var p : thread = new thread( new producer( c, 0 ) );
        var q : thread = new thread( new producer( c, 1000 ) );
        var one : consumer = new consumer( c );
        var two : consumer = new consumer( c );
        var r : thread = new thread( one );
        var s : thread = new thread( two );
        p.start(); q.start(); r.start(); s.start();
        p.join(); q.join();
        c.close();
        r.join(); s.join();
        equal( one.n + two.n, 200 );
        equal( one.sum + two.sum, 4950 * 2 + 100000 );
    }
};
