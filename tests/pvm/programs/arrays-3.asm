# arrays of one type have one class, also over a recovery
#failures 0
#> one class

class .main
source main.ph
method run(u)v ordinal 8 RRRIIRRRI
 LDI r3 1
 NEWARR r2 r3 .main;
 LDI r4 0
l:
 NEWARR r5 r3 .main;
 CALLV r6 .internal.object getClass().internal.class; r5
 CALLV r7 .internal.object getClass().internal.class; r2
 SSAME r8 r6 r7
 JEQI_I r8 0 bad
 ADDI_I r4 r4 1
 JLTI_I r4 300 l
 LDK r6 string "one class\n"
 CALLV r7 .internal.bootstrap consolePrint(u)v r1 r6
 RETN
bad:
 LDK r6 string "two classes\n"
 CALLV r7 .internal.bootstrap consolePrint(u)v r1 r6
 RETN
