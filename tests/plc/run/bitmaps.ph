// bitmaps: PPM in its forms, and what is none
package .test;
import .internal.*;

class bitmaps
{
    bootstrap boot;

    void show( var b : bitmap )
    {
        var text = b.width() + "x" + b.height() + ":";
        for( var y : int = 0; y < b.height(); y++ )
            for( var x : int = 0; x < b.width(); x++ )
                text = text + " " + b.getPixel( x, y );
        boot.consolePrint( text + "\n" );
    }

    void refuses( var what )
    {
        try { ( new bitmap() ).loadFromString( what ); boot.consolePrint( "taken\n" ); }
        catch( error e ) { boot.consolePrint( e.toString() + "\n" ); }
    }

    void run( var b : bootstrap ) [8]
    {
        boot = b;
        var p : bitmap = new bitmap();
        show( p );
        p.loadFromString( import "small.ppm" );
        show( p );
        p.loadFromString( import "deep.ppm" );
        show( p );
        p.loadFromString( "P3 2 2 15 15 0 0 0 15 0\n0 0 15 # blue\n 1 2 3" );
        show( p );
        var copy : bitmap = p.clone();
        p.loadFromString( "P3 1 1 1 1 1 1" );
        show( p );
        show( copy );
        try { p.loadFromString( "P3 1 1 1 1 1" ); } catch( error e ) { show( p ); }
        try { p.getPixel( 1, 0 ); } catch( error e ) { boot.consolePrint( e.toString() + "\n" ); }
        try { p.getPixel( 0, -1 ); } catch( error e ) { boot.consolePrint( e.toString() + "\n" ); }
        try { p.paintTo( null, 0, 0 ); } catch( error e ) { boot.consolePrint( e.toString() + "\n" ); }
        p.setImmutable();
        try { p.loadFromString( "P3 1 1 1 0 0 0" ); } catch( error e ) { boot.consolePrint( e.toString() + "\n" ); }
        refuses( null );
        refuses( 3 );
        refuses( "" );
        refuses( new binary() );
        refuses( "P5 1 1 255 x" );
        refuses( "P6" );
        refuses( "P6 x 1 255 abc" );
        refuses( "P6 # to the end" );
        refuses( "P6 16385 1 255 abc" );
        refuses( "P6 99999999999 1 255 abc" );
        refuses( "P6 1 -1 255 abc" );
        refuses( "P6 0 1 255 abc" );
        refuses( "P6 1 1 65536 abc" );
        refuses( "P6 1 1 0 abc" );
        refuses( "P6 1 1 255" );
        refuses( "P6 1 1 255x" );
        refuses( "P6 1 1 255 ab" );
        refuses( "P6 1 1 256 abcde" );
        refuses( "P6 1 1 64 abc" );
        refuses( "P6 16384 16384 255 abc" );
        refuses( "P3 1 1 255 1 2" );
        refuses( "P3 1 1 255 1 2 256" );
        refuses( "P3 1 1 255 1 2 x" );
        refuses( "P3 16384 16384 255 1 2 3" );
        refuses( "P6 1 1 255 abcd" );
    }
};
