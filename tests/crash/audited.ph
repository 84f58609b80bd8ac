// The bank for pvm_sim.c: as start_bank, but what it prints does not depend on who ran when.
package .test;

import .programs.*;
import .internal.bootstrap;
import .internal.thread;

class audited
{
    void run( var boot : bootstrap ) [8]
    {
        var b : bank = new bank( 5, 100 );
        var watch : auditor = new auditor( b );
        var watching : thread = new thread( watch );
        var clerks : thread[] = new thread[]();
        for( var i : int = 0; i < 3; i++ ) clerks[i] = new thread( new clerk( b, i, 40 ) );
        watching.start();
        foreach( c in clerks ) c.start();
        foreach( c in clerks ) c.join();
        watch.finished = 1;
        watching.join();
        b.audit();
        boot.consolePrint( b.attempts() + " transfers, the sum is " + b.total() + "\n" );
    }
};
