// Test support: a test is a child with a method test(); a check that fails throws what was expected and what was found.
package .phantom.util;

class failure extends .internal.error { };

abstract class testing
{
    private int checks;
    var out;

    abstract void test();

    void run( var boot ) [8]
    {
        out = boot;
        checks = 0;
        test();
        print( "ok " + checks + " checks\n" );
    }

    void print( var text : string ) { out.consolePrint( text ); }

    void equal( var found, var expected )
    {
        checks++;
        if( found != expected ) throw new failure( "found " + found + ", expected " + expected );
    }

    void check( var true_ : int, var what : string )
    {
        checks++;
        if( true_ == 0 ) throw new failure( what );
    }

    // Runs block.run() and wants an error of this class (its name) out of it.
    void throws_( var block, var name : string )
    {
        checks++;
        try { block.*( "call" )(); }
        catch( failure f ) { throw f; }
        catch( var e )
        {
            var found : string = e.getClass().getName();
            if( found != name ) throw new failure( "thrown " + found + ", expected " + name );
            return;
        }
        throw new failure( "nothing thrown, expected " + name );
    }
};
