/*
 * original.ph - classes of the original's machine that are here in name alone: its programs compile, and what they call says why it is not there.
 */
package .internal;

class stat
{
    private void none() { throw new .internal.error.unavailable( "the machine's figures are in `pvm stat`" ); }
    int stat( var counter : int, var kind : int ) [16] { none(); return 0; }
    int idle() [17] { none(); return 0; }
};

class io
{
    private void none() { throw new .internal.error.unavailable( "files belong to the boot object: boot.fileRead and its like" ); }
    int open( var name : string ) [8] { none(); return 0; }
    void close() [9] { none(); }
    string read( var bytes : int ) [10] { none(); return null; }
    int write( var text : string ) [11] { none(); return 0; }
    int seek( var to : int, var from : int ) [16] { none(); return 0; }
};

class http
{
    void resolve( var name : string ) [16] { throw new .internal.error.unavailable( "there is no network" ); }
};
