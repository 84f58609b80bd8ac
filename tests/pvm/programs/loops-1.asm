# counted loops: many turns, ends at the largest number, beyond it, ways out in the middle
#failures 0
#> 5000050000
#> 1499
#> 2147483640 214
#> -2147483648
#> 40 3

class .main
source main.ph
method run(u)v ordinal 8 RRRRRIIILL
 LDK r4 string "\n"
 LDI r5 0
 LDK r6 int 100000
 LDL r8 0
 JMP c1
l1:
 ADDI_I r5 r5 1
 I2L r9 r5
 ADD_L r8 r8 r9
c1:
 JLT_I r5 r6 l1
 CONCAT r2 r8 r4
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2

 LDK r5 int 2147482148
 LDK r6 int 2147483647
 LDI r7 0
 JMP c2
l2:
 ADDI_I r7 r7 1
 ADDI_I r5 r5 1
c2:
 JLT_I r5 r6 l2
 CONCAT r2 r7 r4
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2

 LDK r5 int 2147482142
 LDK r6 int 2147483640
 LDI r7 0
 JMP c3
l3:
 JGTI_I r7 300 o3
 ADDI_I r7 r7 1
 ADDI_I r5 r5 7
c3:
 JLT_I r5 r6 l3
o3:
 LDK r3 string " "
 CONCAT r2 r5 r3 r7 r4
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2

 LDK r5 int 2147481000
 LDK r6 int 2147483647
 JMP c4
l4:
 ADDI_I r5 r5 1
 JLTI_I r5 0 o4
c4:
 JLE_I r5 r6 l4
o4:
 CONCAT r2 r5 r4
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2

 LDI r5 -2000
 LDI r7 0
 JMP c5
l5:
 JLTI_I r5 40 n5
 ADDI_I r7 r7 1
 JGEI_I r7 3 o5
 ADDI_I r5 r5 -1
n5:
 ADDI_I r5 r5 1
c5:
 JLTI_I r5 1000 l5
o5:
 CONCAT r2 r5 r3 r7 r4
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2

 RETN
