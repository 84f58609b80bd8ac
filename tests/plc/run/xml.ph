// toXML and fromXML.
package .test;
import .internal.*;

class parent { int shade; string label; };
class node extends parent
{
    int shade; long l; float f; double d; node next; void any; int[] numbers; string[] words; node[] nodes; directory index; binary bytes;
    private int secret; static int counted; .internal.class kind;
    void setParent( var v : int ) { ( (parent)this ).shade = v; }
    int getParent() { return ( (parent)this ).shade; }
    void hide( var v : int ) { secret = v; }
    int hidden() { return secret; }
    string whole() { return this.toXML(); }
    void become( var text : string ) { this.fromXML( text ); }
};
class started { static int n; int x; static void begin() { n = 41; } };
class special extends error { int code; };
class link { link next; int n; };

class xml
{
    bootstrap boot;
    void tell( var text : string ) { boot.16( text + "\n" ); }

    void wrong( var o, var text : string )
    {
        try { o.fromXML( text ); tell( "no error" ); }
        catch( error e ) { tell( e.getClass() + ": " + e.getMessage() ); }
    }

    void values()
    {
        var v;
        v = "a < b & \"c\" > d\r\n"; tell( v.toXML() );
        v = "nul\0 and \x1b"; tell( v.toXML() );
        v = 5; tell( v.toXML() );
        v = (long)1 << 40; tell( v.toXML() );
        v = (float)0.1; tell( v.toXML() );
        v = 1e300 * 1e300; tell( v.toXML() );
        tell( this.getClass().toXML() );
    }

    node made()
    {
        var n : node = new node();
        n.shade = 1; n.setParent( 2 ); n.label = "caf\u00e9 <1>"; n.l = -9223372036854775807 - 1; n.f = 1.5; n.d = -1e-310; n.hide( 7 );
        n.next = new node(); n.next.next = n; n.next.label = "x\ty\0z";
        n.any = 3.25;
        n.numbers = new int[](); n.numbers[2] = -5;
        n.words = new string[](); n.words[0] = "one"; n.words[2] = "three";
        n.nodes = new node[](); n.nodes[0] = n.next; n.nodes[1] = n;
        n.index = new directory(); n.index.put( "a", 1 ); n.index.put( "b", n ); n.index.put( "c", null );
        n.bytes = boot.createBinary( 3 ); n.bytes.setByte( 1, 255 );
        n.kind = n.getClass();
        return n;
    }

    void round()
    {
        var n : node = made(); var c : node = new node();
        var text : string = n.toXML(); var full : string = n.whole();
        tell( full );
        tell( "private: " + ( text.strstr( "secret" ) != -1 ) + ( full.strstr( "secret" ) != -1 ) );
        c.become( full );
        tell( "again: " + ( c.whole() == full ) + ( c.next.next :== c ) + ( c.nodes[1] :== c ) + ( c.index.get( "b" ) :== c ) + ( c.nodes[0] :== c.next ) );
        tell( c.shade + " " + c.getParent() + " " + c.hidden() + " " + c.any + " " + c.d + " " + c.bytes.getByte( 1 ) + " " + c.next.label.length() );
        c = new node(); c.hide( 9 );
        c.fromXML( text );
        tell( "what is not told stays: " + c.hidden() );
        wrong( new node(), full );
    }

    void others()
    {
        var a : int[] = new int[](); var b : void[] = new void[](); var d : directory = new directory(); var s : special = new special(); var t : special = new special();
        a[3] = 1;
        wrong( a, "<objects><array id='0' class='[i'><int>1</int><int> 2 </int></array></objects>" );
        tell( a.size() + ": " + a[1] );
        wrong( b, "<?xml version='1.0'?>\n<!-- numbers -->\n<objects><array id='0' class='[u'><int>1</int><string>&#x41;&#66;&apos;</string><ref id='0'/><null/></array></objects>\n" );
        tell( b.size() + " " + b[1] + " " + ( b[2] :== b ) );
        wrong( d, "<objects><directory id=\"0\"><entry><string>k</string><ref id=\"1\"/></entry></directory><binary id=\"1\">0aFf</binary></objects>" );
        tell( "" + ( (binary)d.get( "k" ) ).getByte( 1 ) );
        s.code = 4;
        t.fromXML( s.toXML() );
        tell( "" + t.code );
        var head : link = null;
        for( var i : int = 0; i < 50000; i++ ) { var l : link = new link(); l.next = head; l.n = i; head = l; }
        var copy : link = new link(); var n : int = 0;
        copy.fromXML( head.toXML() );
        for( var l : link = copy; l != null; l = l.next ) n++;
        tell( n + " links, the first " + copy.n );
    }

    void refused()
    {
        var n : node = new node(); var a : string[] = new string[]();
        n.shade = 5;
        wrong( n, "" );
        wrong( n, "<objects>" );
        wrong( n, "<objects></objects>" );
        wrong( n, "<objects>\n  <object id=\"0\" class=\".test.node\"><int name=\"shade\">6</int><int name=\"none\">1</int></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><int name=\"shade\">6</int><string name=\"l\">6</string></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><double name=\"shade\">6.5</double></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><int name=\"shade\">99999999999</int></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><ref name=\"next\" id=\"1\"/></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><ref name=\"next\" id=\"1\"/></object><directory id=\"1\"/></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.parent\"/></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"/><object id=\"1\" class=\".internal.thread\"/></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"/><object id=\"1\" class=\".test.nowhere\"/></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"/><object id=\"2\" class=\".test.node\"/></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><string name=\"label\">&nbsp;</string></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><string name=\"label\">&#xd800;</string></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><string name=\"label\" bytes=\"hex\">0</string></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"><int name=\"shade\">1</long></object></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\" color=\"red\"/></objects>" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"/></objects> more" );
        wrong( n, "<objects><object id=\"0\" class=\".test.node></objects>" );
        wrong( a, "<objects><array id=\"0\" class=\"[.internal.string;\"><int>1</int></array></objects>" );
        wrong( "text", "<string>other</string>" );
        wrong( new mutex(), "<objects/>" );
        try { n.any = new mutex(); n.toXML(); } catch( error e ) { tell( e.getMessage() ); }
        n.setImmutable();
        wrong( n, "<objects><object id=\"0\" class=\".test.node\"/></objects>" );
        tell( "still " + n.shade );
    }

    void run( var b : bootstrap ) [8]
    {
        boot = b;
        values();
        round();
        others();
        refused();
    }
};
