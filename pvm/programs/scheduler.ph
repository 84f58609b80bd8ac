// A scheduler: tasks that are due at times, once or again and again. It sleeps until the next one is due; over a power cut it
// catches up with what was due meanwhile. Argument: how many tasks to run before it ends.
package .programs;

import .phantom.util.*;
import .internal.bootstrap;
import .internal.directory;

interface job { void perform( var due : long ); };

class task
{
    const string name;
    const long every;      // ms; 0: once
    private long due;
    private job work;
    private int runs;
    private int failures;

    void task( var name_ : string, var due_ : long, var every_ : long, var work_ : job )
    {
        name = name_;
        due = due_;
        every = every_;
        work = work_;
    }

    long next() { return due; }

    // A job that throws is counted; the others go on.
    void perform()
    {
        runs++;
        try { work.perform( due ); }
        catch( var e ) { failures++; }
        due += every;
    }

    string toString() { return name + ": " + runs + " runs, " + failures + " failures"; }
};

class by_due implements comparator
{
    int compare( var a, var b )
    {
        var x : long = ( (task)a ).next();
        var y : long = ( (task)b ).next();
        return x < y ? -1 : x > y ? 1 : ( (task)a ).name.compareTo( ( (task)b ).name );
    }
};

class agenda
{
    private list tasks = new list();    // by the time they are due

    void add( var t : task )
    {
        var at : int = sorting.search( tasks, t, new by_due() );
        tasks.insert( at < 0 ? -1 - at : at, t );
    }

    int isEmpty() { return tasks.isEmpty(); }
    task next() { return (task)tasks.first(); }

    void perform_next()
    {
        var t : task = (task)tasks.remove( 0 );
        t.perform();
        if( t.every > 0 ) add( t );
    }

    string toString() { return tasks.join( "\n" ); }
};

class saying implements job
{
    private bootstrap to;
    private string text;
    private long begin;
    void saying( var to_ : bootstrap, var text_ : string, var begin_ : long ) { to = to_; text = text_; begin = begin_; }
    void perform( var due : long ) { to.consolePrint( ( due - begin ) + " ms: " + text + "\n" ); }
};

class failing implements job
{
    void perform( var due : long ) { throw "on purpose"; }
};

class scheduler
{
    void run( var boot : bootstrap ) [8]
    {
        var args : string[] = boot.getArguments();
        var left : int = args.size() > 0 ? args[0].toInt() : 12;
        var begin : long = .internal.time.now();
        var all : agenda = new agenda();
        boot.getRoot().put( "agenda", all );
        all.add( new task( "tick", begin + 10, 10, new saying( boot, "tick", begin ) ) );
        all.add( new task( "tock", begin + 25, 20, new saying( boot, "tock", begin ) ) );
        all.add( new task( "once", begin + 30, 0, new saying( boot, "once", begin ) ) );
        all.add( new task( "bad", begin + 15, 30, new failing() ) );
        while( left > 0 && !all.isEmpty() )
        {
            var wait : long = all.next().next() - .internal.time.now();
            if( wait > 0 ) boot.sleep( (int)wait );
            all.perform_next();
            left--;
        }
        boot.consolePrint( all.toString() + "\n" );
    }
};
