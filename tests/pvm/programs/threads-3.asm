# threads
#failures 0
#> 40
#> 

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
method add(ii)i RIII
 ADD_I r3 r1 r2
 RET r3
method run(u)v ordinal 8 RRRRRRRI
 LDK r3 string "\n"
 NEW r4 .internal.closure
 LDK r5 string "add"
 CALLC r2 .internal.closure .new(u.internal.string;)v r4 r0 r5
 LDI r7 20
 BOX r6 r7
 CALLV r6 .internal.closure call(uu)u r4 r6 r6
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r7 1
 CALLV r5 .internal.bootstrap getRoot().internal.directory; r1
 LDK r6 string "k"
 CALLV r2 .internal.directory put(.internal.string;u)v r5 r6 r4
 CALLV r4 .internal.directory get(.internal.string;)u r5 r6
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
