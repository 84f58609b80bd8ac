// Classes of the original that are here in name alone, by the names and ordinals that its programs use.
package .test.lib;
import .phantom.util.testing;
import .internal.stat;
import .internal.io;
import .internal.http;

class original extends testing
{
    private void missing( var call : .internal.closure ) { throws_( call, ".internal.error.unavailable" ); }

    void test()
    {
        var s : stat = new stat();
        var i : .internal.io = new .internal.io();
        var h : http = new http();
        var w : .internal.window = new .internal.window();
        missing( void() { s.stat( 26, 0 ); } );
        missing( void() { s.16( 26, 0 ); } );
        missing( void() { s.idle(); } );
        missing( void() { i.open( "/etc/passwd" ); } );
        missing( void() { i.10( 4 ); } );
        missing( void() { i.11( "text" ); } );
        missing( void() { i.16( 0, 0 ); } );
        missing( void() { i.close(); } );
        missing( void() { h.resolve( "host" ); } );
        missing( void() { ( new .internal.tcp() ).connect( "host" ); } );
        missing( void() { ( new .internal.udp() ).sendTo( null, null ); } );
        missing( void() { w.fill( 0 ); } );
        missing( void() { ( new .internal.io.tty() ).moveWindow( 1, 1 ); } );
        missing( void() { out.setScreenBackground( null ); } );
    }
};
