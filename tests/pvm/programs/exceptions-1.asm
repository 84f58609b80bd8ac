# exceptions
#failures 1
#> 1
#> a method of null
#> 
#> 
#> uncaught in thread 1: .oops
#>         at .main.run (main.ph:12)

class .oops extends .internal.error
field code i

class .main
source main.ph
method deep(i)i RIIR
 line 3
 JGTI_I r1 0 on
 LDNULL r3
 line 4
 CALLN r3 f r3
on:
 line 5
 ADDI_I r2 r1 -1
 CALLV r2 .main deep(i)i r0 r2
 RET r2
method run(u)v ordinal 8 RRRRIRI
 LDK r3 string "\n"
a:
 LDI r4 2
 line 10
 CALLV r4 .main deep(i)i r0 r4
b:
 RETN
c:
 INSTOF r6 r5 .internal.error.reference;
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLV r2 .internal.error getMessage().internal.string; r5
 CONCAT r2 r2 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
d:
 line 12
 NEW r5 .oops
 THROW r5
e:
 RETN
f:
 CONCAT r2 r3 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 line 13
 RETHROW r5
 catch a b c .internal.error r5
 catch d e f all r5
