# counted loops whose end is a constant, changes, or is another one each time, in the middle of which somebody comes in
#failures 0
#> 2500 2500
#> 834 2502
#> 1700 1700
#> 3000 2999
#> 100 99
#> 2000 1999

class .main
source main.ph
method print(ii)v RIIRRR
 LDK r3 string " "
 LDK r4 string "\n"
 CONCAT r5 r1 r3 r2 r4
 GETS r3 .main boot .internal.bootstrap;
 CALLV r4 .internal.bootstrap consolePrint(u)v r3 r5
 RETN
field static boot .internal.bootstrap;
method middle(i)v RIIIIR
 LDI r2 0
 LDI r3 0
 LDI r4 0
 JMP m
l:
 ADDI_I r3 r3 1
m:
 ADDI_I r4 r4 1
 ADDI_I r2 r2 1
 JLT_I r2 r1 l
 CALLV r5 .main print(ii)v r0 r4 r3
 RETN
method run(u)v ordinal 8 RRRRRIII
 CAST r2 r1 .internal.bootstrap;
 SETS r2 .main boot .internal.bootstrap;
 LDI r5 0
 LDI r7 0
 JMP c1
l1:
 ADDI_I r7 r7 1
 ADDI_I r5 r5 1
c1:
 JLTI_I r5 2500 l1
 CALLV r2 .main print(ii)v r0 r7 r5

 LDI r5 0
 LDI r7 0
 JMP c2
l2:
 ADDI_I r7 r7 1
 ADDI_I r5 r5 3
c2:
 JLEI_I r5 2500 l2
 CALLV r2 .main print(ii)v r0 r7 r5

 LDI r5 0
 LDI r7 0
 LDI r6 3000
 JMP c3
l3:
 ADDI_I r7 r7 1
 JNEI_I r5 1500 n3
 LDI r6 1700
n3:
 ADDI_I r5 r5 1
c3:
 JLT_I r5 r6 l3
 CALLV r2 .main print(ii)v r0 r7 r5

 LDI r5 3000
 CALLV r2 .main middle(i)v r0 r5
 LDI r5 100
 CALLV r2 .main middle(i)v r0 r5
 LDI r5 2000
 CALLV r2 .main middle(i)v r0 r5
 RETN
