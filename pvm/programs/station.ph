// A weather station whose sensors get a new class while it measures: sensor.next is the class sensor as its next version has it. The station runs on, with the
// sensors that it has, what they have measured, the threads that are in their code, and the alarms: closures, which stay with the code that they were made of.
package .programs;

import .phantom.util.*;
import .internal.bootstrap;
import .internal.closure;
import .internal.io.tty;
import .internal.sema;
import .internal.thread;

class sensor
{
    const string name;
    private int degrees;            // whole ones
    private int measured;
    private int off;

    void sensor( var name_ : string ) { name = name_; }

    void measure( var tenths : int ) { degrees = tenths / 10; measured++; }
    string report() { return name + ": " + degrees + " degrees, measured " + measured + " times"; }
    closure alarm( var above : int ) { return void() { return name + ( degrees > above ? ": alarm, " : ": quiet, " ) + degrees; }; }

    void stop() { off = 1; }

    // A thread's life: whenever there is work it measures, warmer each time.
    void watch( var work : sema, var done : sema )
    {
        for( var tenths : int = 187; ; tenths += 26 )
        {
            work.acquire();
            if( off ) return;
            measure( tenths );
            done.release();
        }
    }
};

class roof_sensor extends sensor
{
    private string side;

    void roof_sensor( var side_ : string ) { super( "roof" ); side = side_; }
    string report() { return super.report() + ", on the " + side; }
};

class station
{
    private tty console = new tty();
    private sensor[] sensors = new sensor[]();
    private closure[] alarms = new closure[]();
    private sema[] work = new sema[]();
    private sema done = new sema( 0 );

    private void say( var text : string ) { console.putws( text + "\n" ); }

    private string read_line()
    {
        var line : builder = new builder();
        for( ; ; )
        {
            var c : int = console.getwc();
            if( c < 0 ) return line.length() > 0 ? line.toString() : null;
            if( c == '\n' || c == '\r' ) return line.toString();
            if( c < 128 ) line.addByte( c );
        }
    }

    private void add( var s : sensor )
    {
        sensors[sensors.size()] = s;
        alarms[alarms.size()] = s.alarm( 20 );
        var its : sema = new sema( 0 );
        work[work.size()] = its;
        new thread( void() { s.watch( its, done ); } ).start();
    }

    private void measure()
    {
        foreach( w in work ) w.release();
        foreach( w in work ) done.acquire();
    }

    // 0: that was the end.
    private int obey( var line : string )
    {
        switch( line )
        {
        case "measure": measure(); say( "measured" ); break;
        case "report": foreach( s in sensors ) say( s.report() ); break;
        case "alarms": foreach( a in alarms ) say( (string)a.call() ); break;
        case "new": add( new sensor( "number " + ( sensors.size() + 1 ) ) ); say( "a sensor more" ); break;
        case "quit": return 0;
        default: say( "measure, report, alarms, new, quit" );
        }
        return 1;
    }

    void run( var boot : bootstrap ) [8]
    {
        add( new sensor( "garden" ) );
        add( new roof_sensor( "north" ) );
        say( "ready" );
        var line : string;
        while( ( line = read_line() ) != null )
            if( obey( line ) == 0 ) break;
        foreach( s in sensors ) s.stop();
        foreach( w in work ) w.release();
    }
};
