// JSON: what is read, what is printed, that the one is the other's inverse, and what is said of bad text.
package .test.lib;

import .phantom.util.*;
import .internal.directory;

class opaque { };

class jsontext extends testing
{
    // Read, it is printed as this; and that, read again, as itself.
    void reads( var text_ : string, var printed : string )
    {
        equal( json.print( json.parse( text_ ) ), printed );
        equal( json.print( json.parse( printed ) ), printed );
        equal( json.print( json.parse( json.print( json.parse( text_ ), 3 ) ) ), printed );
    }

    void same( var text_ : string ) { reads( text_, text_ ); }

    void bad( var text_ : string, var why : string )
    {
        try { text_.parseJson(); }
        catch( .internal.error.argument e )
        {
            equal( e.getMessage(), "JSON, line " + why );
            return;
        }
        throw new failure( "read, but bad: " + text_ );
    }

    void refused( var value, var why : string )
    {
        try { json.print( value ); }
        catch( .internal.error.argument e )
        {
            equal( e.getMessage(), why );
            return;
        }
        throw new failure( "printed, but expected: " + why );
    }

    string nested( var depth : int ) { return new builder().repeat( "[", depth ).repeat( "]", depth ).toString(); }

    void values()
    {
        var v;
        v = " {\"b\" : [1, 2.5,\t\"x\"], \"a\":null,\r\n \"\" : {} } ".20();
        var d : directory = (directory)v;
        equal( d.size(), 3 );
        check( d.get( "a" ) == null, "null" );
        var a : void[] = d.get( "b" );
        equal( a.size(), 3 );
        check( a[0] instanceof int && a[1] instanceof double && a[2] instanceof string, "types" );
        a[7] = "grows";
        check( json.parse( "2147483648" ) instanceof long, "a long" );
        check( json.parse( "9223372036854775808" ) instanceof double, "more than a long" );
        check( json.parse( "1e2" ) instanceof double, "an exponent" );
        if( json.parse( "false" ) ) throw new failure( "false is true" );
        if( !json.parse( "true" ) ) throw new failure( "true is false" );
        equal( json.parse( "{\"k\": 1, \"j\": 2, \"k\": 3}" ).size(), 2 );
        equal( json.parse( "{\"k\": 1, \"j\": 2, \"k\": 3}" ).get( "k" ), 3 );
    }

    void texts()
    {
        same( "null" );
        same( "[]" );
        same( "{}" );
        same( "[[], {}, [[1]], {\"a\": {\"b\": [null]}}]" );
        reads( "[1,true,false]", "[1, 1, 0]" );
        reads( "{\"z\":1,\"a\":2,\"m\":3,\"z\":4}", "{\"a\": 2, \"m\": 3, \"z\": 4}" );

        reads( "[0, -0, 42, -42]", "[0, 0, 42, -42]" );
        same( "[2147483647, -2147483648, 2147483648, -2147483649, 9223372036854775807, -9223372036854775808]" );
        reads( "9223372036854775808", "9.223372036854776e+18" );
        reads( "[0.5, -0.0, 1E3, 1e-7, 5e-324, 1.7976931348623157e308]", "[0.5, -0.0, 1000.0, 1e-07, 5e-324, 1.7976931348623157e+308]" );
        reads( "[0.1, 123456789012345678901234567890, 1e-999]", "[0.1, 1.2345678901234568e+29, 0.0]" );

        same( "\"\"" );
        same( "\"plain, \u00e9, \u20ac, 😀\"" );
        reads( "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" );
        reads( "\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"", "\"A\u00e9\u20ac😀\"" );
        reads( "\"\\u0000\\u001F\x7f\"", "\"\\u0000\\u001f\x7f\"" );
        equal( json.parse( "\"\\u0000\"" ).length(), 1 );
        reads( "{\"a\\nb\": 1}", "{\"a\\nb\": 1}" );
        same( nested( 256 ) );
    }

    void printed()
    {
        var m : map = new map();
        m.put( "z", new list().add( 1 ).add( "two" ) );
        m.put( "a", json.truth( 1 ) );
        m.put( "f", 1.5f );
        equal( json.print( m ), "{\"z\": [1, \"two\"], \"a\": true, \"f\": 1.5}" );
        equal( json.print( m, 2 ), "{\n  \"z\": [\n    1,\n    \"two\"\n  ],\n  \"a\": true,\n  \"f\": 1.5\n}" );
        equal( json.print( new map(), 2 ), "{}" );
        equal( json.print( new int[]( 3 ) ), "[0, 0, 0]" );
        var s : set = new set();
        s.add( 7 );
        equal( json.print( s ), "[7]" );
        equal( json.quote( "a\"b" ), "\"a\\\"b\"" );

        refused( new opaque(), "JSON has nothing for an object of .test.lib.opaque" );
        refused( 1e308 * 10, "JSON has no number inf" );
        refused( new list().add( 0.0 / 0.0 ), "JSON has no number nan" );
        m = new map();
        m.put( 1, 2 );
        refused( m, "JSON has strings as keys, not 1" );
        var l : list = new list();
        l.add( l );
        refused( l, "nested deeper than 256: does it contain itself?" );
    }

    void bad_texts()
    {
        bad( "", "1, column 1: a value expected, found the end" );
        bad( " \n ", "2, column 2: a value expected, found the end" );
        bad( "nul", "1, column 1: a value expected, found 'n'" );
        bad( "True", "1, column 1: a value expected, found 'T'" );
        bad( "nullx", "1, column 5: the end expected, found 'x'" );
        bad( "1 2", "1, column 3: the end expected, found '2'" );
        bad( "[1\n,2\n 3]", "3, column 2: ',' or ']' expected, found '3'" );
        bad( "[1,]", "1, column 4: a value expected, found ']'" );
        bad( "[", "1, column 2: a value expected, found the end" );
        bad( "[1", "1, column 3: ',' or ']' expected, found the end" );
        bad( "[1}", "1, column 3: ',' or ']' expected, found '}'" );
        bad( "{", "1, column 2: a name in quotes expected, found the end" );
        bad( "{a: 1}", "1, column 2: a name in quotes expected, found 'a'" );
        bad( "{\"a\" 1}", "1, column 6: ':' expected, found '1'" );
        bad( "{\"a\": }", "1, column 7: a value expected, found '}'" );
        bad( "{\"a\": 1,}", "1, column 9: a name in quotes expected, found '}'" );
        bad( "{\"a\": 1 \"b\"}", "1, column 9: ',' or '}' expected, found '\"'" );
        bad( "'a'", "1, column 1: a value expected, found '''" );
        bad( "[\"\u00e9\u00e9\", \u20ac]", "1, column 8: a value expected, found '\u20ac'" );
        bad( "\ufeff1", "1, column 1: a value expected, found '\ufeff'" );

        bad( "-", "1, column 2: a digit expected, found the end" );
        bad( "+1", "1, column 1: a value expected, found '+'" );
        bad( ".5", "1, column 1: a value expected, found '.'" );
        bad( "1.", "1, column 3: a digit expected, found the end" );
        bad( "1.e5", "1, column 3: a digit expected, found 'e'" );
        bad( "1e+", "1, column 4: a digit expected, found the end" );
        bad( "01", "1, column 2: the end expected, found '1'" );
        bad( "0x10", "1, column 2: the end expected, found 'x'" );
        bad( "[1e999]", "1, column 2: a number that a double can hold expected, found '1'" );
        bad( "NaN", "1, column 1: a value expected, found 'N'" );

        bad( "\"a", "1, column 3: '\"' expected, found the end" );
        bad( "\"a\nb\"", "1, column 3: an escape for a control character expected, found '\\x0a'" );
        bad( "\"\\", "1, column 3: one of \"\\/bfnrtu behind a backslash expected, found the end" );
        bad( "\"\\x41\"", "1, column 3: one of \"\\/bfnrtu behind a backslash expected, found 'x'" );
        bad( "\"\\u12g4\"", "1, column 6: 4 hexadecimal digits behind \\u expected, found 'g'" );
        bad( "\"\\u12", "1, column 6: 4 hexadecimal digits behind \\u expected, found the end" );
        bad( "\"\\ud83d\"", "1, column 2: a pair of surrogates expected, found '\\'" );
        bad( "\"\\ude00\\ud83d\"", "1, column 2: a pair of surrogates expected, found '\\'" );
        bad( "\"\\ud83d\\u0041\"", "1, column 2: a pair of surrogates expected, found '\\'" );
        bad( "\"\\ud83d\\n\"", "1, column 9: 'u', the other half of a surrogate pair, expected, found 'n'" );

        bad( nested( 257 ), "1, column 257: nothing nested deeper than 256 expected, found '['" );
        bad( new builder().repeat( "{\"a\":", 300 ).toString(), "1, column 1281: nothing nested deeper than 256 expected, found '{'" );
    }

    // Thousands of members in any order, and long texts: the time stays linear, the directory sorted.
    void large()
    {
        var by_number : map = new map();
        var text_ : builder = new builder();
        text_.add( "{" );
        for( var i : int = 0; i < 20000; i++ )
        {
            var n : int = ( i * 7919 ) % 10007;     // each of 10007 at least once
            text_.add( i > 0 ? "," : "" ).add( json.quote( "k" + n ) ).add( ":" ).add( i );
            by_number.put( "k" + n, i );
        }
        var d : directory = (directory)json.parse( text_.addByte( '}' ).toString() );
        equal( d.size(), 10007 );
        foreach( key in by_number )
            if( d.get( key ) != by_number.get( key ) ) throw new failure( key + " is " + d.get( key ) );
        var before : string = "";
        foreach( key in d.keys() )
        {
            if( key <= before ) throw new failure( key + " behind " + before );
            before = key;
        }
        equal( json.print( json.parse( json.print( d ) ) ), json.print( d ) );
    }

    // Values by chance come back as they were printed.
    void random_value( var by : random, var depth : int )
    {
        switch( by.next( depth < 5 ? 8 : 6 ) )
        {
        case 0: return null;
        case 1: return by.next( 1000000 ) - 500000;
        case 2: return ( (long)by.next( 1000000 ) << 32 ) + by.next( 1000 );
        case 3: return ( by.next( 1000000 ) - 500000 ) / 1024.0;
        case 4: return "";
        case 5:
            var text_ : string = "";
            for( var i : int = by.next( 6 ); i > 0; i-- )
            {
                var c : int = by.next( 0x10ffff );
                if( by.next( 2 ) ) c = c & 127;
                if( c < 0xd800 || c > 0xdfff ) text_ += .internal.string.fromCodePoint( c );
            }
            return text_;
        case 6:
            var items : list = new list();
            for( var i : int = by.next( 5 ); i > 0; i-- ) items.add( random_value( by, depth + 1 ) );
            return items;
        }
        var members : directory = new directory();
        for( var i : int = by.next( 5 ); i > 0; i-- ) members.put( "m" + by.next( 100 ), random_value( by, depth + 1 ) );
        return members;
    }

    void test()
    {
        values();
        texts();
        printed();
        bad_texts();
        large();
        var by : random = new random( 1 );
        for( var i : int = 0; i < 500; i++ )
        {
            var text_ : string = json.print( random_value( by, 0 ) );
            same( text_ );
        }
        // No cut of a text is a text, and none does harm.
        var whole : string = "{\"a\": [1.5e3, \"\\u00e9\\ud83d\\ude00\", null, true], \"b\": {\"c\": -1}}";
        json.parse( whole );
        for( var i : int = 0; i < whole.length(); i++ )
        {
            var cut : int = 0;
            try { json.parse( whole.substring( 0, i ) ); }
            catch( .internal.error.argument e ) { cut = 1; }
            check( cut, "read up to " + i );
        }
    }
};
