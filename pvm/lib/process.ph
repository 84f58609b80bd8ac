// A Unix program that runs beside this one: its standard input and output are ours, its errors go where ours go.
// Reading, writing and waiting stop this thread alone. When the machine itself was killed on a store, its processes are not there any more: .internal.error.state.
package .phantom.unix;

import .internal.binary;
import .internal.bootstrap;
import .phantom.util.builder;

class process
{
    private bootstrap boot;
    private int number;
    private int status;

    // args[0] is looked for as a shell does.
    void process( var b : bootstrap, var args : string[] )
    {
        boot = b;
        status = -1;
        number = boot.processStart( args );
    }

    void send( var text : string ) { send( text.toBinary(), text.length() ); }

    void send( var data : binary, var n : int )
    {
        var done : int = 0;
        while( done < n ) done += boot.processWrite( number, data, done, n - done );
    }

    // It finds the end of its input.
    void end() { boot.processCloseInput( number ); }

    // What there is of its output, 65536 bytes at most; null: that was all.
    binary read() { return boot.processRead( number, 65536 ); }

    // All the rest of its output.
    string text()
    {
        var all : binary = new binary( 0 );
        var part : binary = read();
        while( part != null )
        {
            var used : int = all.length();
            all.resize( used + part.length() );
            all.setRange( part, used, 0, part.length() );
            part = read();
        }
        return all.text( 0, all.length() );
    }

    void signal( var n : int ) { boot.processSignal( number, n ); }

    // Until it has ended: its exit status, or 256 and the signal that killed it.
    int wait()
    {
        if( status < 0 )
        {
            status = boot.processWait( number );
            boot.processForget( number );
        }
        return status;
    }

    // What a program prints that gets no input; it must succeed.
    static string output( var b : bootstrap, var args : string[] )
    {
        var p : process = new process( b, args );
        p.end();
        var all : string = p.text();
        var s : int = p.wait();
        if( s != 0 ) throw new .internal.error.unavailable( args[0] + ": ended with " + s );
        return all;
    }
};
