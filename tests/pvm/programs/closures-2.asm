# closures that are kept, and call others
#failures 0
#> 1 5050
#> 2 10100
#> 3 15150
#> thread 7

class .main
source main.ph
field sum l
field kept u
method private static add(.main;ul)v RRLLR
 GETF r3 r0 .main sum l
 ADD_L r3 r3 r2
 SETF r3 r0 .main sum l
 SETF r1 r0 .main kept u
 RETN
method private static each(iu)v IRIRRR
 LDI r2 1
l:
 BOX r3 r2
 CALLN r4 call r1 r3
 ADDI_I r2 r2 1
 JLE_I r2 r0 l
 RETN
method private static started(.main;i.internal.bootstrap;)v RIRRR
 LDK r3 string "thread "
 LDK r4 string "\n"
 CONCAT r3 r3 r1 r4
 CALLV r3 .internal.bootstrap consolePrint(u)v r2 r3
 RETN
method run(u)v ordinal 8 RRIIRRRRL
 LDI r2 1
l:
 LDK r4 string "a value that is kept"
 CLOSURE r5 .main add(.main;ul)v r0 r4
 LDI r3 100
 CLOSURE r6 .main each(iu)v r3
 CALLN r7 call r6 r5
 GETF r8 r0 .main sum l
 LDK r4 string " "
 LDK r5 string "\n"
 CONCAT r4 r2 r4 r8 r5
 CALLV r7 .internal.bootstrap consolePrint(u)v r1 r4
 ADDI_I r2 r2 1
 JLEI_I r2 3 l
 LDI r3 7
 CLOSURE r4 .main started(.main;i.internal.bootstrap;)v r0 r3
 NEW r5 .internal.thread
 CALLC r6 .internal.thread .new(u)v r5 r4
 CALLV r6 .internal.thread start()v r5
 CALLV r6 .internal.thread join()v r5
 RETN
