package .test;
import missing;

class a
{
    var x : ;
    int f( int y ) { return y; }
    void g( var a : int, var a : int )
    {
        if( a ) { x = 1 }
        while( a { a = 2; }
        a = ;
        a = (1 + 2;
        foo( 1, , 2 );
        for( a = 0; a < 5 ) a++;
        else a = 3;
        catch( string s ) a = 3;
        try a = 4;
        case 5: a = 1;
        a[1;
        1 = a;
        a + 1 = 2;
        return
    }
    void h() { break; continue; }
    thing
    void after() { var y : int; y = "closed; y = 2; }
    int ok() { return 1; }
}

class b { void no_body(); int private private q; };
interface i { var z : int; void m() { } };
class c { void m( var p : int[5] ) {} };
