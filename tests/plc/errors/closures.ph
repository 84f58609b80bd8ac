package .test;

class closures
{
    int field;

    void syntax()
    {
        var b = void( var x, var x ) { };
        var c = void( int x ) { };
        var f = void() { var g = void() { var h = void { }; }; };
        var d = void() { return "" + 1 };
        void( var x ) { return x; };
    }

    static void nothing()
    {
        var a = void() { return this; };
        var b = void() { return field; };
        var c = void() { var d = void() { nothing(); syntax(); }; };
        var d = void( var x : nosuch ) { };
    }

    void more( var n : int )
    {
        var a = void() { return unknown + n; };
        var b = void() { break; };
        while( n ) { var k = void() { continue; }; }
        n( 1 );
        var c : int = void() { };
        void() { n = 1; };
        { var x : int; var k = void() { x = 2; }; }
        x = 3;
        a( 1, 2, 3, 4, 5, 6, 7 );
        var s : string = "";
        s( 1 );
    }

    closure f() { return void() { }; }
};
