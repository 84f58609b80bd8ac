// Unix files and processes.
package .test.lib;

import .phantom.util.*;
import .phantom.unix.*;
import .internal.binary;
import .internal.bootstrap;
import .internal.closure;

// Reads while another thread waits for the same process.
class waiter
{
    private process of;
    int status;
    void waiter( var p : process ) { of = p; status = -1; }
    void run() { status = of.wait(); }
};

class unix extends testing
{
    bootstrap boot;
    string folder;

    process start( var words : string ) { return new process( boot, words.split( " " ) ); }
    file at( var name : string ) { return new file( boot, folder + "/" + name ); }

    void absent() { at( "absent" ).read( 0, 1 ); }
    void absent_program() { start( "/absent/program" ); }
    void no_program() { boot.processStart( new string[]() ); }
    void not_a_folder() { at( "a" ).names(); }
    void full_folder() { new file( boot, folder ).remove(); }
    void zero_byte() { at( "a" ).rename( folder + "/b\0c" ); }
    void too_much() { boot.fileWrite( folder + "/a", 0, new binary( 3 ), 2, 2 ); }
    void backwards() { at( "a" ).read( -1, 1 ); }
    void forgotten() { boot.processRead( 12345, 1 ); }
    void to_the_dead()
    {
        var p : process = start( "true" );
        for( ;; ) p.send( "more\n" );
    }
    void failing() { process.output( boot, "false".split( " " ) ); }

    void files()
    {
        var a : file = at( "a" );
        check( a.exists() == 0 && a.size() == -1 && a.changed() == -1, "absent" );
        a.append( "one\n" );
        a.append( "two\n" );
        equal( a.text(), "one\ntwo\n" );
        equal( a.size(), 8 );
        check( a.exists() && a.isDirectory() == 0 && a.changed() > 1700000000000, "what it is" );
        equal( a.lines().size(), 2 );
        equal( a.lines()[1], "two" );
        a.write( 4, "TWO and more".toBinary() );
        equal( a.text(), "one\nTWO and more" );
        var part : binary = a.read( 4, 3 );
        equal( part.text( 0, part.length() ), "TWO" );
        equal( a.read( 100, 5 ).length(), 0 );
        a.resize( 3 );
        equal( a.text(), "one" );
        a.setText( "all new \u00e9" );
        equal( a.text(), "all new \u00e9" );
        a.setText( "" );
        equal( a.lines().size(), 0 );
        var big : binary = new binary( 300000 );
        for( var i : int = 0; i < 300000; i += 7 ) big[i] = i % 251;
        a.setBytes( big );
        check( a.bytes() == big && a.size() == 300000, "300000 bytes" );
        a.rename( folder + "/b" );
        check( a.exists() && at( "a" ).exists() == 0 && a.toString() == folder + "/b", "renamed" );
        var d : file = at( "d" );
        d.makeDirectory();
        d.child( "z" ).append( "z" );
        d.child( "x" ).append( "x" );
        check( d.isDirectory(), "directory" );
        equal( d.names().size(), 2 );
        equal( d.names()[0] + d.names()[1], "xz" );
        check( new file( boot, "/proc/self/status" ).text().strstr( "Name:" ) == 0, "a file of no size" );
        throws_( new closure( this, "absent" ), ".internal.error.unavailable" );
        throws_( new closure( this, "full_folder" ), ".internal.error.unavailable" );
        at( "a" ).append( "a" );
        throws_( new closure( this, "not_a_folder" ), ".internal.error.unavailable" );
        throws_( new closure( this, "zero_byte" ), ".internal.error.argument" );
        throws_( new closure( this, "too_much" ), ".internal.error.bounds" );
        throws_( new closure( this, "backwards" ), ".internal.error.bounds" );
        d.child( "x" ).remove();
        d.child( "z" ).remove();
        d.remove();
        check( !d.exists(), "removed" );
    }

    void processes()
    {
        equal( process.output( boot, "echo a  b".split( " " ) ), "a  b\n" );
        var sort : process = start( "sort" );
        sort.send( "pear\napple\n" );
        sort.send( "fig\n" );
        sort.end();
        equal( sort.text(), "apple\nfig\npear\n" );
        equal( sort.wait(), 0 );
        equal( sort.wait(), 0 );
        equal( start( "false" ).wait(), 1 );
        var sleeper : process = start( "sleep 1000" );
        var cat : process = start( "cat" );
        var w : waiter = new waiter( sleeper );
        var t : .internal.thread = boot.startThread( w );
        // A conversation, while another thread waits.
        for( var i : int = 0; i < 20; i++ )
        {
            cat.send( "line " + i + "\n" );
            var line : binary = cat.read();
            equal( line.text( 0, line.length() ), "line " + i + "\n" );
        }
        check( w.status == -1, "it sleeps" );
        sleeper.signal( 15 );
        t.join();
        equal( w.status, 256 + 15 );
        // More than pipes hold, both ways.
        var big : binary = new binary( 400000 );
        for( var i : int = 0; i < 400000; i++ ) big[i] = 'a' + i % 26;
        at( "big" ).setBytes( big );
        var copy : process = start( "cat " + folder + "/big" );
        check( copy.text().toBinary() == big, "400000 bytes" );
        equal( copy.wait(), 0 );
        cat.end();
        check( cat.read() == null, "the end" );
        equal( cat.wait(), 0 );
        throws_( new closure( this, "absent_program" ), ".internal.error.unavailable" );
        throws_( new closure( this, "no_program" ), ".internal.error.argument" );
        throws_( new closure( this, "forgotten" ), ".internal.error.state" );
        throws_( new closure( this, "to_the_dead" ), ".internal.error.unavailable" );
        throws_( new closure( this, "failing" ), ".internal.error.unavailable" );
        // Many, one after the other: none is left over.
        for( var i : int = 0; i < 100; i++ ) equal( start( "true" ).wait(), 0 );
    }

    void test()
    {
        boot = out;
        folder = process.output( boot, "mktemp -d".split( " " ) ).trim();
        files();
        processes();
        equal( start( "rm -r " + folder ).wait(), 0 );
    }
};
