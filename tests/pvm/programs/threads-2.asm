# threads
#failures 1
#> 1 threads wait for what can never happen

class .shared
field m .internal.mutex;
field c .internal.cond;
field n i

class .worker
field s .shared;
method run()v RRRIIRRR
 GETF r1 r0 .worker s .shared;
 GETF r2 r1 .shared m .internal.mutex;
 NEW r6 .internal.world
 LDI r3 0
l:
 CALLV r5 .internal.mutex lock()v r2
 GETF r4 r1 .shared n i
 CALLV r5 .internal.world yield()v r6
 ADDI_I r4 r4 1
 SETF r4 r1 .shared n i
 CALLV r5 .internal.mutex unlock()v r2
 ADDI_I r3 r3 1
 JLTI_I r3 100 l
 GETF r7 r1 .shared c .internal.cond;
 CALLV r5 .internal.cond signal()v r7
 RETN

class .main
source main.ph
method run(u)v ordinal 8 RRRRRI
 LDK r3 string "\n"
 NEW r4 .internal.sema
 CALLV r2 .internal.sema acquire()v r4
 RETN
