// Tetris on the terminal. Keys: a left, d right, w turn, s down, space drop, q end. The game is objects and a thread like all else:
// pull the plug in the middle of it, and it goes on. Argument 'steps': no clock, each '.' of the input is a step down.
package .programs;

import .phantom.util.*;
import .internal.bootstrap;
import .internal.directory;
import .internal.io.tty;
import .internal.thread;

// One of the seven pieces in one of four turns: 16 bits, a row of four in each hex digit.
class piece
{
    private static int[] shapes;
    int kind;
    int turn;
    int x;
    int y;

    void piece( var kind_ : int )
    {
        kind = kind_;
        x = 3;
        if( shapes == null ) make_shapes();
    }

    void piece( var of : piece )
    {
        kind = of.kind; turn = of.turn; x = of.x; y = of.y;
    }

    private static void make_shapes()
    {
        shapes = new int[]();
        var first : int[] = new int[]();
        first[0] = 0x0f00; first[1] = 0x0660; first[2] = 0x0e40; first[3] = 0x06c0;
        first[4] = 0x0c60; first[5] = 0x8e00; first[6] = 0x2e00;
        for( var k : int = 0; k < 7; k++ )
        {
            var bits : int = first[k];
            for( var t : int = 0; t < 4; t++ )
            {
                shapes[k * 4 + t] = bits;
                if( k != 1 ) bits = turned( bits );
            }
        }
    }

    private static int turned( var bits : int )
    {
        var result : int = 0;
        for( var row : int = 0; row < 4; row++ )
            for( var column : int = 0; column < 4; column++ )
                if( bits & ( 1 << ( row * 4 + column ) ) )
                    result |= 1 << ( column * 4 + 3 - row );
        return result;
    }

    // Is there a block at this column and row of its 4 x 4?
    int has( var column : int, var row : int )
    {
        return ( shapes[kind * 4 + turn] >> ( 15 - row * 4 - column ) ) & 1;
    }
};

class field
{
    const int width = 10;
    const int height = 20;
    private int[] cells = new int[]( 200 );

    int at( var x : int, var y : int ) { return cells[y * width + x]; }

    int fits( var p : piece )
    {
        for( var row : int = 0; row < 4; row++ )
            for( var column : int = 0; column < 4; column++ )
            {
                if( !p.has( column, row ) ) continue;
                var x : int = p.x + column;
                var y : int = p.y + row;
                if( x < 0 || x >= width || y < 0 || y >= height || at( x, y ) ) return 0;
            }
        return 1;
    }

    void put( var p : piece )
    {
        for( var row : int = 0; row < 4; row++ )
            for( var column : int = 0; column < 4; column++ )
                if( p.has( column, row ) ) cells[( p.y + row ) * width + p.x + column] = p.kind + 1;
    }

    private int is_full( var y : int )
    {
        for( var x : int = 0; x < width; x++ ) if( !at( x, y ) ) return 0;
        return 1;
    }

    // Full rows go; gives how many.
    int collapse()
    {
        var gone : int = 0;
        for( var y : int = height - 1; y >= 0; y-- )
        {
            if( is_full( y ) ) { gone++; continue; }
            if( gone == 0 ) continue;
            for( var x : int = 0; x < width; x++ ) cells[( y + gone ) * width + x] = at( x, y );
        }
        for( var i : int = 0; i < gone * width; i++ ) cells[i] = 0;
        return gone;
    }
};

class game
{
    private field f = new field();
    private random numbers;
    private piece falling;
    private int score;
    private int rows;
    private int over;

    void game( var seed : long )
    {
        numbers = new random( seed );
        falling = new piece( numbers.next( 7 ) );
    }

    int isOver() { return over; }
    int points() { return score; }
    int pause() { return rows > 50 ? 100 : 600 - rows * 10; }

    private int try_( var p : piece )
    {
        if( !f.fits( p ) ) return 0;
        falling = p;
        return 1;
    }

    private void move( var by : int )
    {
        var p : piece = new piece( falling );
        p.x += by;
        try_( p );
    }

    private void turn()
    {
        var p : piece = new piece( falling );
        p.turn = ( p.turn + 1 ) % 4;
        if( try_( p ) ) return;
        p.x--;      // beside a wall
        if( try_( p ) ) return;
        p.x += 2;
        try_( p );
    }

    // 0: it has landed.
    int step()
    {
        var p : piece = new piece( falling );
        p.y++;
        if( try_( p ) ) return 1;
        f.put( falling );
        var gone : int = f.collapse();
        rows += gone;
        score += 1 + gone * gone * 10;
        falling = new piece( numbers.next( 7 ) );
        if( !f.fits( falling ) ) over = 1;
        return 0;
    }

    void key( var c : int )
    {
        switch( c )
        {
        case 'a': move( -1 ); break;
        case 'd': move( 1 ); break;
        case 'w': turn(); break;
        case 's': step(); break;
        case ' ': while( step() ) {} break;
        case 'q': over = 1;
        }
    }

    private int shown( var x : int, var y : int )
    {
        var column : int = x - falling.x;
        var row : int = y - falling.y;
        if( column >= 0 && column < 4 && row >= 0 && row < 4 && falling.has( column, row ) ) return falling.kind + 1;
        return f.at( x, y );
    }

    string toString()
    {
        var text : builder = new builder();
        for( var y : int = 0; y < f.height; y++ )
        {
            text.add( "|" );
            for( var x : int = 0; x < f.width; x++ )
            {
                var c : int = shown( x, y );
                text.add( c ? " IOTSZJL".substring( c, 1 ) : "." );
            }
            text.addLine( "|" );
        }
        return text.add( "+----------+ " ).add( score ).add( " points, " ).add( rows ).addLine( " rows" ).toString();
    }
};

class clock
{
    private channel to;
    private game of;
    private bootstrap boot;
    void clock( var to_ : channel, var of_ : game, var boot_ : bootstrap ) { to = to_; of = of_; boot = boot_; }
    void run()
    {
        while( !of.isOver() )
        {
            boot.sleep( of.pause() );
            to.put( '.' );
        }
    }
};

class keyboard
{
    private channel to;
    private tty console;
    void keyboard( var to_ : channel, var console_ : tty ) { to = to_; console = console_; }
    void run()
    {
        var c : int;
        while( ( c = console.getwc() ) >= 0 ) to.put( c );
        to.put( 'q' );
    }
};

class tetris
{
    private tty console = new tty();
    private game g;

    private void play( var c : int )
    {
        if( c == '.' ) g.step(); else g.key( c );
    }

    private void steps()
    {
        var c : int;
        while( g.isOver() == 0 && ( c = console.getwc() ) >= 0 ) play( c );
        console.putws( g.toString() );
    }

    void run( var boot : bootstrap ) [8]
    {
        var args : string[] = boot.getArguments();
        var steps_ : int = args.size() > 0 && args[0] == "steps";
        g = new game( steps_ ? (long)1 : .internal.time.now() );
        boot.getRoot().put( "tetris", g );
        if( steps_ ) { steps(); return; }
        var keys : channel = new channel( 4 );
        boot.startThread( new clock( keys, g, boot ) );
        boot.startThread( new keyboard( keys, console ) );
        while( !g.isOver() )
        {
            console.gotoxy( 0, 0 );
            console.putws( g.toString() );
            play( (int)keys.take() );
        }
        console.putws( "The end: " + g.points() + " points\n" );
    }
};
