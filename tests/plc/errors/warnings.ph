package .test;
class a
{
    int f( var a : int, var x : double, var l : long )
    {
        if( !a && l ) return 1;
        if( a || l && x ) return 2;
        a = x; a = l; a = 1.5; a = 2.0; a += x; x = l;
        f( a x l );
        a / 0;
        if( a == "s" ) return;
        if( x ) { var inner : int; inner = 1; }
        inner = 2;
        var a : int;
    }
    string g() { while( 1 ) { } }
    string h() { for( ; ; ) { if( g() == "" ) break; } }
    string k( var a : int ) { switch( a ) { case 1: return "x"; default: throw "y"; } }
    string m( var a : int ) { try { return "x"; } catch( string s ) { throw s; } }
    string n( var a : int ) { if( a ) return "x"; else return "y"; }
    string o( var a : int ) { do { if( a ) continue; return "z"; } while( a ); }
};
