// connections: the kind tmr:, what it does and what it refuses; the other kinds
package .test;
import .internal.*;

class called
{
    string log = "";
    sema done;
    void called( var s : sema ) { done = s; }
    void tick( var seconds : int ) [20] { log = log + ( seconds > 1600000000 ? "tick " : "when? " ); done.release(); }
    void any( var o ) [21] { log = log + ( o instanceof int ? "any " : "what? " ); done.release(); }
    void none() [22] { }
    void text( var s : string ) [23] { log = log + "text "; done.release(); }
};

class timers
{
    bootstrap boot;

    void say( var s : string ) { boot.consolePrint( s + "\n" ); }

    void refuses( var what : closure )
    {
        try { what.call(); say( "nothing thrown" ); }
        catch( error e ) { say( e.toString() ); }
    }

    void run( var b : bootstrap ) [8]
    {
        boot = b;
        var k : connection = new connection();
        var done : sema = new sema();
        var c : called = new called( done );

        refuses( void() { k.block( null, 1 ); } );
        refuses( void() { k.invoke( 1, 0 ); } );
        refuses( void() { k.connect( null ); } );
        refuses( void() { k.connect( "" ); } );
        refuses( void() { k.connect( "tcp:host" ); } );
        refuses( void() { k.connect( "udp:host:7" ); } );
        refuses( void() { k.connect( "url:http://host/" ); } );
        refuses( void() { k.connect( "fio:/etc/passwd" ); } );
        refuses( void() { k.connect( "stat:" ); } );
        say( "connect " + k.connect( "tmr:" ) );
        var before : long = time.monotonic();
        say( "block " + k.block( null, 20 ) );
        say( "slept " + ( time.monotonic() - before >= 20000000 ) );
        k.block( null, -1 );
        refuses( void() { k.invoke( 1, 1 ); } );
        refuses( void() { k.invoke( "soon", 0 ); } );
        refuses( void() { k.invoke( null, 0 ); } );
        refuses( void() { k.setCallback( c, 22 ); } );
        refuses( void() { k.setCallback( c, 99 ); } );
        say( "setCallback " + k.setCallback( c, 20 ) );
        say( "invoke " + k.invoke( 1, 0 ) );
        done.acquire();
        say( c.log + k.setCallback( c, 21 ) );
        k.invoke( 1, 0 );
        done.acquire();
        k.setCallback( c, 23 );
        k.invoke( 0, 0 );
        done.acquire();
        say( c.log );

        // set again: the one before does not come; nor does it when the callback, or the connection, is gone
        k.invoke( 100000, 0 );
        k.setCallback( c, 20 );
        k.invoke( 1, 0 );
        done.acquire();
        k.invoke( 100, 0 );
        k.setCallback( null, 0 );
        k.block( null, 200 );
        say( c.log + "setCallback " + k.setCallback( c, 20 ) );
        k.invoke( 200, 0 );
        say( "disconnect " + k.disconnect() );
        boot.sleep( 400 );
        say( c.log );
        refuses( void() { k.invoke( 1, 0 ); } );
        k.connect( "tmr:" );
        k.invoke( 100000, 0 );
        k.connect( "tmr:" );        // as if disconnected before

        // nobody but the timer knows the connection
        var lonely : connection = new connection();
        lonely.connect( "tmr:" );
        lonely.setCallback( c, 20 );
        lonely.invoke( 20, 0 );
        lonely = null;
        ( new world() ).collect();
        done.acquire();
        say( c.log );
        refuses( void() { k.clone(); } );
    }
};
