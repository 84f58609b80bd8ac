# arrays
#failures 1
#> 3
#> 9
#> 9
#> 0
#> 0
#> 9
#> 1
#> 1
#> 0
#> 1
#> uncaught in thread 1: .internal.error.bounds: index 5 of 3 elements
#>         at .main.run (main.ph:8)

class .main
source main.ph
method run(u)v ordinal 8 RRRRRIIRRD
 LDK r3 string "\n"
 LDI r5 2
 NEWARR r4 r5 i
 LDI r6 9
 AST_I r6 r4 r5
 LEN r5 r4
 CONCAT r2 r5 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r5 2
 ALD_I r6 r4 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 ALD_R r7 r4 r5
 CONCAT r2 r7 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLN r8 iterator r4
l:
 CALLN r7 hasNext r8
 UNBOX r6 r7
 JEQI_I r6 0 e
 CALLN r7 next r8
 CONCAT r2 r7 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 JMP l
e:
 LDI r5 1
 NEWARR r7 r5 [i
 LDI r5 0
 AST_R r4 r7 r5
 INSTOF r6 r7 [[i
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 INSTOF r6 r7 [u
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 INSTOF r6 r4 [u
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 INSTOF r6 r4 .internal.container.array;
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r5 5
 line 8
 ALD_I r6 r4 r5
 RETN
