// A bank: threads move money between accounts all the time, and at any instant, of any snapshot, the sum is the same.
// Arguments: accounts, threads, transfers of each thread.
package .programs;

import .phantom.util.*;
import .internal.bootstrap;
import .internal.directory;
import .internal.mutex;
import .internal.thread;

class account
{
    const int number;
    private int balance;
    private int transfers;
    mutex lock = new mutex();

    void account( var number_ : int, var balance_ : int )
    {
        number = number_;
        balance = balance_;
    }

    // The lock is held.
    int holds() { return balance; }
    int used() { return transfers; }
    void change( var by : int ) { balance += by; transfers++; }
};

class bank
{
    private account[] accounts;
    private const int sum;
    private mutex counting = new mutex();
    private int done;
    private int refused;

    void bank( var n : int, var each : int )
    {
        accounts = new account[]( n );
        for( var i : int = 0; i < n; i++ ) accounts[i] = new account( i, each );
        sum = n * each;
    }

    int size() { return accounts.size(); }

    // Locks are taken in the order of the accounts' numbers, so that nobody waits in a circle.
    int transfer( var from : account, var to : account, var amount : int )
    {
        if( from :== to ) return 0;
        var first : account = from.number < to.number ? from : to;
        var second : account = from.number < to.number ? to : from;
        first.lock.lock();
        second.lock.lock();
        try
        {
            if( from.holds() < amount ) return 0;
            from.change( -amount );
            to.change( amount );
            return 1;
        }
        finally
        {
            second.lock.unlock();
            first.lock.unlock();
        }
    }

    void random_transfer( var r : random )
    {
        var moved : int = transfer( accounts[r.next( size() )], accounts[r.next( size() )], 1 + r.next( 50 ) );
        counting.lock();
        if( moved ) done++; else refused++;
        counting.unlock();
    }

    // Stops all transfers for as long as it takes to add.
    void audit()
    {
        var found : int = 0;
        foreach( a in accounts ) a.lock.lock();
        foreach( a in accounts )
        {
            if( a.holds() < 0 ) throw new .internal.error.state( "account " + a.number + " holds " + a.holds() );
            found += a.holds();
        }
        foreach( a in accounts ) a.lock.unlock();
        if( found != sum ) throw new .internal.error.state( "the sum is " + found + ", it was " + sum );
    }

    int attempts() { return done + refused; }
    int total() { return sum; }
};

class clerk
{
    private bank of;
    private random numbers;
    private int left;

    void clerk( var of_ : bank, var seed : int, var transfers : int )
    {
        of = of_;
        numbers = new random( seed );
        left = transfers;
    }

    // 'left' is a field: after a power cut it goes on where it was.
    void run()
    {
        while( left > 0 )
        {
            of.random_transfer( numbers );
            left--;
        }
    }
};

class auditor
{
    private bank of;
    private channel stop;
    int audits;
    int finished;
    void auditor( var of_ : bank ) { of = of_; }
    void run()
    {
        while( !finished )
        {
            of.audit();
            audits++;
            ( new .internal.world() ).yield();
        }
    }
};

class start_bank
{
    private static int number( var args : string[], var at : int, var otherwise : int )
    {
        return at < args.size() ? args[at].toInt() : otherwise;
    }

    void run( var boot : bootstrap ) [8]
    {
        var args : string[] = boot.getArguments();
        var n : int = number( args, 0, 10 );
        var threads : int = number( args, 1, 4 );
        var transfers : int = number( args, 2, 1000 );
        if( n < 2 || threads < 1 )
        {
            boot.consolePrint( "2 accounts and 1 thread at least\n" );
            return;
        }
        var b : bank = new bank( n, 100 );
        boot.getRoot().put( "bank", b );
        var watch : auditor = new auditor( b );
        var watching : thread = new thread( watch );
        var clerks : thread[] = new thread[]();
        for( var i : int = 0; i < threads; i++ ) clerks[i] = new thread( new clerk( b, i, transfers ) );
        watching.start();
        foreach( c in clerks ) c.start();
        foreach( c in clerks ) c.join();
        watch.finished = 1;
        watching.join();
        b.audit();
        boot.consolePrint( b.attempts() + " transfers, the sum is " + b.total() + ", audited " + ( watch.audits > 0 ? "meanwhile" : "never" ) + "\n" );
    }
};
