# statics: what a class's .static throws is thrown by the instruction that uses the class first
#failures 1
#> caught
#> caught
#> caught
#> uncaught in thread 1: .internal.error.divide: division by zero
#>         at .fourth..static (fourth.ph:7)
#>         at .main.run (main.ph:12)

class .first
method static .static()v II
 DIV_I r0 r0 r1
 RETN

class .second
field static n i
method static .static()v II
 DIV_I r0 r0 r1
 RETN

class .third
method static .static()v II
 DIV_I r0 r0 r1
 RETN
method static f()v I
 RETN

class .fourth
source fourth.ph
method static .static()v II
 line 7
 DIV_I r0 r0 r1
 RETN

class .main
source main.ph
method run(u)v ordinal 8 RRRRIRI
 LDK r3 string "caught\n"
 LDI r6 0
 LDI r4 0
a:
 NEW r5 .first
b:
 RETN
c:
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r3
 LDI r4 0
d:
 GETS r4 .second n i
e:
 RETN
f:
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r3
 LDI r4 0
g:
 CALLS r2 .third f()v
h:
 RETN
i:
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r3
 line 11
 LDI r4 0
 line 12
 NEW r5 .fourth
 line 13
 RETN
 catch a b c all r5
 catch d e f all r5
 catch g h i all r5
