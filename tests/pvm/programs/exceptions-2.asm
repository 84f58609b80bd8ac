# exceptions
#failures 0
#> .internal.error.stack

class .oops extends .internal.error
field code i

class .main
source main.ph
method down(i)i RII
 line 2
 ADDI_I r2 r1 1
 CALLV r2 .main down(i)i r0 r2
 RET r2
method run(u)v ordinal 8 RRRRIR
 LDK r3 string "\n"
a:
 LDI r4 0
 CALLV r4 .main down(i)i r0 r4
b:
 RETN
c:
 CALLV r2 .internal.object getClass().internal.class; r5
 CALLV r2 .internal.class getName().internal.string; r2
 CONCAT r2 r2 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 RETN
 catch a b c all r5
