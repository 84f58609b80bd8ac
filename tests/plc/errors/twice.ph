package .test;
class a
{
    int f( var n : int )
    {
        try { if( n ) return 1; if( n > 1 ) return 2; } finally { undefined = 1; n = 1.5; }
        { var inner : string; }
        inner = 5;
        n = other;
        return 0;
    }
};
