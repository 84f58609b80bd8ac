/**
 * What programs of the original do: untyped variables, ordinals, names at run time, types and commas left out.
 **/
package .test;

attribute const * ->!;

import .internal.directory;
import .internal."class";
import .internal.io.tty;

class .test.helper @const, ~shared
{
    int value;
    void init( var v : int @const ) [8] { value = v; }
    int get() [9] { return value; }
    void give_back() { return value; }
    int twice( var n ) { return n + n; }
    void clone_of( var other : .internal.object ) { value = other.9(); }
    int equals( var other : .internal.object ) [4] { return other.9() == value; }
    int hashCode() [15] { return value; }
};

class loose
{
    var boot_object;
    var stuff : void [];
    var words : string[];
    var klass : .internal."class";
    .internal.object thing;
    int i;
    var n : .internal.int;

    void print( var input : string ) { boot_object.16(input); }

    void[] make() { return stuff; }
    int nothing( var a : int ) { if( a ) return 4; }

    void print_all( var what : void [] @const )
    {
        foreach( each in what ) { print( each ); print( " " ); }
        print( "\n" );
    }

    void run( var _boot @const ) [8]
    {
        boot_object = _boot;
        int avar;
        string local;
        .test.helper h;
        var h2 : helper;
        stuff = new void[]();
        stuff[0] = "zero"; stuff[2] = 2; stuff[1] = null;
        if( stuff[2] != 2 ) throw "element";
        if( stuff[1] :== null ) print( "null element\n" );
        print_all( stuff );
        h = new helper();
        h.init( 21 );
        h2 = new .test.helper();
        h2.8( 5 );
        avar = h.9();
        print( avar ); print( " " ); print( h2.get() ); print( " " ); print( h2.give_back() ); print( "\n" );
        thing = h;
        avar = thing.9() + 1;
        print( avar.toString() ); print( "\n" );
        print( thing.get() ); print( "\n" );
        print( thing.*( "twice" )( 8 ) ); print( thing.( "ge".concat( "t" ) )() ); print( "\n" );
        klass = boot_object.8( ".test.helper" );
        h2 = new *(klass) : .test.helper ();
        h2.init( 99 );
        print( h2.get() );
        thing = new *(klass)();
        thing.init( 3 );
        h2 = thing;
        print( h2.get() ); print( "\n" );
        local = "abc";
        print( local.length() + local.charAt( 1 ) ); print( "\n" );
        print( local.substring( 1 2 ) ); print( "\n" );
        var dir : .internal.directory;
        dir = new .internal.directory();
        dir.put( "one", 1 ); dir.put( "h", h );
        if( dir.get( "one" ) == 1 ) print( "directory\n" );
        var obj : .internal.object;
        obj = dir.get( "h" );
        if( !obj.equals( h ) ) throw "equals";
        if( nothing( 0 ) != 0 || nothing( 1 ) != 4 ) throw "nothing";
        {
            var inner : int;
            inner = 12;
        }
        inner = inner + 1;
        print( inner ); print( "\n" );
        i = 5;
        n = i * 2;
        if( n != 10 ) throw "n";
        if( !i == 5 ) throw "not";
        words = new string[]();
        words[1] = "w";
        print( words.12() ); print( words.size() ); print( words[1] ); print( "\n" );
        var env : string [];
        env = boot_object.23();
        if( env.12() < 0 ) throw "env";
        if( 0 | 0 ) throw "or";
        if( 1 & 1 ) {} else throw "and";
        print( 6 ~ ); print( "\n" );
        while( avar > 20 ) avar = avar - 1;
        print( avar ); print( "\n" );
    }
};

;
