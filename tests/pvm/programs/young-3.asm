# threads wait for a mutex, and end, while they are young and it is old
#failures 0
#life 2000
#> 500

class .worker
field m .internal.mutex;
field static n i
method run()v RRI
 GETF r1 r0 .worker m .internal.mutex;
 CALLV r1 .internal.mutex lock()v r1
 GETS r2 .worker n i
 ADDI_I r2 r2 1
 SETS r2 .worker n i
 GETF r1 r0 .worker m .internal.mutex;
 CALLV r1 .internal.mutex unlock()v r1
 RETN

class .main
source main.ph
method run(u)v ordinal 8 RRRRRRI
 NEW r2 .internal.world
 NEW r3 .internal.mutex
 LDI r6 500
l:
 CALLV r4 .internal.mutex lock()v r3
 NEW r4 .worker
 SETF r3 r4 .worker m .internal.mutex;
 CALLV r5 .internal.bootstrap startThread(u).internal.thread; r1 r4
 LDNULL r4
 CALLV r4 .internal.world yield()v r2
 CALLV r4 .internal.mutex unlock()v r3
 CALLV r4 .internal.thread join()v r5
 LDNULL r5
 ADDI_I r6 r6 -1
 JGTI_I r6 0 l
 GETS r6 .worker n i
 LDK r4 string "\n"
 CONCAT r4 r6 r4
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r4
 RETN
