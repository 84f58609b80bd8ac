// Mistakes of the first day: signs and words in wrong places.
package .test;

class signs
{
    int a, b;
    int f()
    {
        return
    }
    void run( var boot ) [8]
    {
        var x : int, y : int;
        x := 5;
        foreach( e : boot ) x = 1;
        try { x = 1; } catch( e ) { }
        try { x = 1; } catch( string ) { }
        if( 1 = x ) x = 2;
        if( x == 1 { x = 2; }
        boot.16( "a" "b" );
        x = "a" "b";
    }
};
class extending extends { };
class implementing implements { };
