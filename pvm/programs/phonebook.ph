// A phone book without a command to save: what was added is there, after whatever happens to the machine.
package .programs;

import .phantom.util.*;
import .internal.bootstrap;
import .internal.directory;
import .internal.io.tty;

class entry
{
    const string name;
    private list numbers = new list();
    private int looked_up;

    void entry( var name_ : string ) { name = name_; }

    int add( var number : string )
    {
        if( numbers.contains( number ) ) return 0;
        numbers.add( number );
        return 1;
    }

    int remove( var number : string ) { return numbers.removeItem( number ); }
    int isEmpty() { return numbers.isEmpty(); }
    void found() { looked_up++; }
    int popularity() { return looked_up; }
    string toString() { return name + ": " + numbers.join( ", " ); }
};

class by_name implements comparator
{
    int compare( var a, var b ) { return ( (entry)a ).name.compareTo( ( (entry)b ).name ); }
};

class by_popularity implements comparator
{
    int compare( var a, var b ) { return ( (entry)b ).popularity() - ( (entry)a ).popularity(); }
};

class book
{
    private map entries = new map();

    string add( var name : string, var number : string )
    {
        var e : entry = (entry)entries.get( name );
        if( e == null )
        {
            e = new entry( name );
            entries.put( name, e );
        }
        return e.add( number ) ? e.toString() : name + " has this number already";
    }

    string remove( var name : string, var number : string )
    {
        var e : entry = (entry)entries.get( name );
        if( e == null ) return "nobody of the name " + name;
        if( number == "" )
        {
            entries.remove( name );
            return name + " is gone";
        }
        if( !e.remove( number ) ) return name + " has no number " + number;
        if( !e.isEmpty() ) return e.toString();
        entries.remove( name );
        return name + " is gone";
    }

    // All whose name has the text in it.
    list find( var text : string )
    {
        var found : list = new list();
        foreach( e in entries.values() )
        {
            var one : entry = (entry)e;
            if( one.name.toLower().strstr( text.toLower() ) < 0 ) continue;
            one.found();
            found.add( one );
        }
        return found.sort( new by_name() );
    }

    list all( var order : comparator ) { return entries.values().sort( new by_name() ).sort( order ); }
    int size() { return entries.size(); }
};

class phonebook
{
    private tty console = new tty();
    private book numbers;

    // The line that is typed, or null at the end.
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

    private void say( var text : string ) { console.putws( text + "\n" ); }

    private void show( var entries : list )
    {
        if( entries.isEmpty() ) say( "nobody" );
        foreach( e in entries ) say( e.toString() );
    }

    private static list words( var line : string )
    {
        var all : list = new list();
        foreach( word in line.split( " " ) )
            if( word != "" ) all.add( word );
        return all;
    }

    // 0: that was the end.
    private int obey( var line : string )
    {
        var w : list = words( line );
        if( w.isEmpty() ) return 1;
        var command : string = (string)w.remove( 0 );
        var number : string = "";
        if( command == "add" || command == "remove" )
        {
            if( w.size() > 1 ) number = (string)w.pop();
            else if( command == "add" ) { say( "a name and a number expected" ); return 1; }
        }
        var name : string = w.join( " " );
        switch( command )
        {
        case "add": say( numbers.add( name, number ) ); break;
        case "remove": say( numbers.remove( name, number ) ); break;
        case "find": show( numbers.find( name ) ); break;
        case "list": show( numbers.all( new by_name() ) ); break;
        case "top": show( numbers.all( new by_popularity() ).slice( 0, numbers.size() < 3 ? numbers.size() : 3 ) ); break;
        case "quit": return 0;
        default: say( "add NAME NUMBER, remove NAME [NUMBER], find TEXT, list, top, quit" );
        }
        return 1;
    }

    void run( var boot : bootstrap ) [8]
    {
        var root : directory = boot.getRoot();
        numbers = (book)root.get( "phonebook" );
        if( numbers == null )
        {
            numbers = new book();
            root.put( "phonebook", numbers );
        }
        say( numbers.size() + " in the book" );
        var line : string;
        while( ( line = read_line() ) != null )
        {
            try { if( !obey( line ) ) break; }
            catch( .internal.error e ) { say( e.toString() ); }
        }
        say( numbers.size() + " in the book" );
    }
};
