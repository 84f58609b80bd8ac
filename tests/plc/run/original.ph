// --original: & and | bind tighter than all other operators of two operands.
package .test;

class original
{
    void run( var boot ) [8]
    {
        var a : int = 6;
        if( a & 2 == 2 ) boot.16( "and first\n" );
        boot.16( ( 1 + 2 & 2 * 4 | 3 ) + "\n" );
    }
};
