// plc -L LIB
// Mistakes of the first day: words of other languages, spelling, what was not imported.
package .test;
import .phantom.util.lists;
import .internal.nothing;

class parent { int width; int size() { return width; } private int hidden; private void secret() { } };
class child extends parnt { };
class other implements { };

class beginner extends parent
{
    int count;
    int first, second;

    int wrong() { return "text"; }
    void helper( var number : int ) { }

    void run( var boot : bootstrap ) [8]
    {
        var s : String; var b : bool; var i : integer; var c : char; var o : Object; var m : map; var l : list;
        var text : string;
        var number : int;
        var number : int;
        number = true; text = NULL; number = self; number = cuont; number = widht; number = Count; number = zzz;
        text.lenght(); text.Length(); text.subString( 1, 2 ); text.zzz(); this.hepler( 1 ); helper; number = size;
        text.length = 1; number = this.widht; this.size = 2; number = hiddn;
        print( "x" );
        new parent().secrt();
        for( var i : int = 0; i < 2; i++ ) { var number : int; }
        { var text : string; }
    }
};
