// plc --original
package .test;
class a
{
    int f( var a : int, var b : int, var c : int )
    {
        if( a & b == c ) return 1;
        a = a | b & c;
        a = a & b | c;
        a = a + b & c;
        a = ( a + b ) & c;
        a = a * b | c << 2 ^ b;
        return a && b & c;
    }
};
