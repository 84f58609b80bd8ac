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
        a = a * b | c << 2 ^ a;
        a = f( a, b, c ) & ( b + 1 ) + c;
        return a && b & c;
    }
};
