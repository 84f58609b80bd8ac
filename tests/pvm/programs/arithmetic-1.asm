# arithmetic
#failures 0
#> -2147483648
#> 0
#> -2
#> -1
#> -14
#> 15
#> -4
#> -9223372036854775808
#> 2147483647
#> 9223372036854775807
#> 0
#> nan
#> 1
#> 0.1
#> 0.1
#> 2.0
#> 0
#> 65536
#> 2

class .main
source main.ph
method run(u)v ordinal 8 RRRRIIILLDDFF
 LDK r3 string "\n"
 LDK r4 int -2147483648
 LDI r5 -1
 DIV_I r6 r4 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 REM_I r6 r4 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r4 -7
 LDI r5 3
 DIV_I r6 r4 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 REM_I r6 r4 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r5 33
 SHL_I r6 r4 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 USHRI_I r6 r4 28
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 SHRI_I r6 r4 1
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r7 long 9223372036854775807
 ADDI_L r8 r7 1
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r9 double 1e300
 D2I r6 r9
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 D2L r8 r9
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 SUB_D r9 r9 r9
 LDD r10 0
 DIV_D r9 r9 r10
 D2I r6 r9
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CONCAT r2 r9 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 JLT_D r9 r10 no
 JNLT_D r9 r10 yes
no:
 RETN
yes:
 SNE_D r6 r9 r9
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r9 double 0.1
 CONCAT r2 r9 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r11 float 0.1
 CONCAT r2 r11 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDD r9 7
 LDK r10 double 2.5
 REM_D r9 r9 r10
 CONCAT r2 r9 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r4 int 65536
 MUL_I r6 r4 r4
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 ANDI_I r6 r4 -1
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r4 100
 REMI_I r6 r4 7
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 RETN
