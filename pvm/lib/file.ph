// A Unix file or directory, by its path: what the boot object lets one do with it. Nothing is kept open, so there is nothing to close.
// What Unix refuses throws .internal.error.unavailable with the path and the reason.
package .phantom.unix;

import .internal.binary;
import .internal.bootstrap;

class file
{
    private bootstrap boot;
    private string path;

    void file( var b : bootstrap, var p : string )
    {
        boot = b;
        path = p;
    }

    string toString() { return path; }
    int exists() { return boot.fileKind( path ) != 0; }
    int isDirectory() { return boot.fileKind( path ) == 2; }
    long size() { return boot.fileSize( path ); }     // -1: there is none
    long changed() { return boot.fileTime( path ); }  // ms since 1970; -1: there is none

    // At most n bytes from that one on; fewer: it ends there.
    binary read( var at : long, var n : int ) { return boot.fileRead( path, at, n ); }

    // All of it, also of files that do not know their size, as those in /proc.
    binary bytes()
    {
        var all : binary = new binary( 0 );
        var part : binary = read( 0, 65536 );
        while( part.length() > 0 )
        {
            var used : int = all.length();
            if( used == 0 ) all = part;
            else
            {
                all.resize( used + part.length() );
                all.setRange( part, used, 0, part.length() );
            }
            part = read( all.length(), part.length() < 65536 ? 65536 : 16 * 65536 );
        }
        return all;
    }

    string text()
    {
        var all : binary = bytes();
        return all.text( 0, all.length() );
    }

    // The lines, without their ends.
    string[] lines()
    {
        var all : string = text();
        if( all.endsWith( "\n" ) ) all = all.substring( 0, all.length() - 1 );
        else if( all.length() == 0 ) return new string[]();
        return all.split( "\n" );
    }

    // At that byte; the file is made if there is none.
    void write( var at : long, var data : binary ) { boot.fileWrite( path, at, data, 0, data.length() ); }
    void append( var data : string ) { boot.fileWrite( path, -1, data.toBinary(), 0, data.length() ); }

    // The new contents, at once: who opens the file finds the old ones or these.
    void setBytes( var data : binary ) { boot.fileReplace( path, data, data.length() ); }
    void setText( var data : string ) { boot.fileReplace( path, data.toBinary(), data.length() ); }

    void resize( var n : long ) { boot.fileResize( path, n ); }
    void remove() { boot.fileRemove( path ); }        // a directory must be empty

    void rename( var to : string )
    {
        boot.fileRename( path, to );
        path = to;
    }

    // Of a directory.
    string[] names() { return boot.fileList( path ); }
    file child( var name : string ) { return new file( boot, path.endsWith( "/" ) ? path + name : path + "/" + name ); }
    void makeDirectory() { boot.fileMakeDirectory( path ); }
};
