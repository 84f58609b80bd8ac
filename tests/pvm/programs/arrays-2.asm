# arrays
#failures 1
#> 3.0
#> uncaught in thread 1: .internal.error.cast: .internal.string into an array of numbers
#>         at .main.run

class .main
source main.ph
method run(u)v ordinal 8 RRRRRIR
 LDK r3 string "\n"
 LDI r5 3
 NEWARR r4 r5 d
 BOX r6 r5
 AST_R r6 r4 r5
 ALD_R r6 r4 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 AST_R r3 r4 r5
 RETN
