# threads
#failures 1
#> 500
#> 0
#> uncaught in thread 1: .internal.error.state: the mutex is this thread's already
#>         at .main.run

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
method run(u)v ordinal 8 RRRRRRRIIR
 LDK r3 string "\n"
 NEW r4 .shared
 NEW r5 .internal.mutex
 SETF r5 r4 .shared m .internal.mutex;
 NEW r9 .internal.cond
 SETF r9 r4 .shared c .internal.cond;
 LDI r7 0
l:
 NEW r6 .worker
 SETF r4 r6 .worker s .shared;
 CALLV r2 .internal.bootstrap startThread(u).internal.thread; r1 r6
 ADDI_I r7 r7 1
 JLTI_I r7 5 l
 CALLV r2 .internal.mutex lock()v r5
w:
 GETF r8 r4 .shared n i
 JEQI_I r8 500 d
 CALLV r2 .internal.cond wait(.internal.mutex;)v r9 r5
 JMP w
d:
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r7 20
 CALLV r7 .internal.cond twait(.internal.mutex;i)i r9 r5 r7
 CONCAT r2 r7 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r7 1
 CALLV r2 .internal.bootstrap sleep(i)v r1 r7
 CALLV r2 .internal.mutex lock()v r5
 RETN
