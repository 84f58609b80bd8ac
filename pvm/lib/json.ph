// JSON: text.parseJson() and json.parse( text ) read it, json.print( value ) writes it.
package .phantom.util;

import .internal.directory;

// What prints itself: the text must be JSON, and stands in the printed text as it is.
interface json_printable
{
    string toJson();
};

// The language's truth is an int, so true and false are read as 1 and 0; who wants them in a printed text says json.truth( n ).
class json_truth implements json_printable
{
    private int is;
    void json_truth( var is_ : int ) { is = is_; }
    string toJson() { return is ? "true" : "false"; }
    string toString() { return toJson(); }
};

class json
{
    private static const int DEPTH = 256;       // as deep as parseJson reads

    private builder out = new builder();
    private int indent;

    // A directory for an object, an array for an array; string, int, long, double, null. Bad text: .internal.error.argument says where and why.
    static void parse( var text : string ) { return text.parseJson(); }

    // Directories and maps whose keys are strings, lists, sets and all else with an iterator, strings, numbers, null, what is json_printable.
    static string print( var value ) { return print( value, 0 ); }

    // A line for each element, each level this many blanks further in; 0: all on one line.
    static string print( var value, var indent_ : int )
    {
        var to : json = new json();
        to.indent = indent_;
        to.value( value, 0 );
        return to.out.toString();
    }

    static json_printable truth( var is : int ) { return new json_truth( is ); }

    // The text in quotes, with escapes for what JSON wants escaped.
    static string quote( var text : string )
    {
        var to : json = new json();
        to.text( text );
        return to.out.toString();
    }

    private void text( var s : string )
    {
        var n : int = s.length();
        var from : int = 0;
        out.addByte( '"' );
        for( var i : int = 0; i < n; i++ )
        {
            var c : int = s.charAt( i );
            if( c >= ' ' && c != '"' && c != '\\' ) continue;
            out.add( s.substring( from, i - from ) ).addByte( '\\' );
            from = i + 1;
            switch( c )
            {
            case '\n': out.addByte( 'n' ); break;
            case '\r': out.addByte( 'r' ); break;
            case '\t': out.addByte( 't' ); break;
            case '\b': out.addByte( 'b' ); break;
            case '\f': out.addByte( 'f' ); break;
            case '"': case '\\': out.addByte( c ); break;
            default: out.add( "u" ).add( format.pad( format.hex( c ), 4, 0, "0" ) );
            }
        }
        out.add( s.substring( from, n - from ) ).addByte( '"' );
    }

    private void line( var depth : int )
    {
        if( indent > 0 ) out.addByte( '\n' ).repeat( " ", depth * indent );
    }

    // Before an element: a comma unless it is the first.
    private void separate( var number : int, var depth : int )
    {
        if( number > 0 ) out.add( indent > 0 ? "," : ", " );
        line( depth );
    }

    private void member( var key, var value_, var number : int, var depth : int )
    {
        if( !( key instanceof string ) ) throw new .internal.error.argument( "JSON has strings as keys, not " + key );
        separate( number, depth );
        text( (string)key );
        out.add( ": " );
        value( value_, depth );
    }

    private void value( var v, var depth : int )
    {
        var n : int = 0;
        if( v :== null ) out.add( "null" );
        else if( v instanceof string ) text( (string)v );
        else if( v instanceof int || v instanceof long ) out.add( v );
        else if( v instanceof float || v instanceof double )
        {
            var d : double = (double)v;
            if( d - d != 0.0 ) throw new .internal.error.argument( "JSON has no number " + v );
            out.add( v );
        }
        else if( v instanceof json_printable ) out.add( ( (json_printable)v ).toJson() );
        else if( depth == DEPTH )
            throw new .internal.error.argument( "nested deeper than " + DEPTH + ": does it contain itself?" );
        else if( v instanceof directory )
        {
            var d : directory = (directory)v;
            out.addByte( '{' );
            foreach( key in d.keys() ) member( key, d.get( key ), n++, depth + 1 );
            if( n > 0 ) line( depth );
            out.addByte( '}' );
        }
        else if( v instanceof map )
        {
            var m : map = (map)v;
            out.addByte( '{' );
            foreach( key in m ) member( key, m.get( key ), n++, depth + 1 );
            if( n > 0 ) line( depth );
            out.addByte( '}' );
        }
        else if( v instanceof .internal.container.array || v instanceof iterable )
        {
            out.addByte( '[' );
            foreach( item in v )
            {
                separate( n++, depth + 1 );
                value( item, depth + 1 );
            }
            if( n > 0 ) line( depth );
            out.addByte( ']' );
        }
        else throw new .internal.error.argument( "JSON has nothing for an object of " + v.getClass().getName() );
    }
};
