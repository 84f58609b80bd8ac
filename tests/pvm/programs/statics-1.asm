# statics
#failures 0
#> 42
#> 43
#> c
#> 
#> 

class .counted
field static n i
field static name .internal.string;
method static .static()v IR
 LDI r0 41
 SETS r0 .counted n i
 LDK r1 string "c"
 SETS r1 .counted name .internal.string;
 RETN
method static next()i I
 GETS r0 .counted n i
 ADDI_I r0 r0 1
 SETS r0 .counted n i
 RET r0

class .main
source main.ph
method run(u)v ordinal 8 RRRRIR
 LDK r3 string "\n"
 CALLS r4 .counted next()i
 CONCAT r2 r4 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLS r4 .counted next()i
 CONCAT r2 r4 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 GETS r5 .counted name .internal.string;
 CONCAT r2 r5 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r5 class .counted
 CONCAT r2 r3 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 RETN
