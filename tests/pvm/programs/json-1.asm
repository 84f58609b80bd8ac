# JSON
#failures 0
#> 1 null twice
#> 2 null twice
#> 3 null twice
#> 4 null twice
#> JSON, line 2, column 4: ',' or ']' expected, found the end

class .main
source main.ph
method static show(u.internal.bootstrap;)v RRRR
 LDK r2 string "\n"
 TOSTR r0 r0
 CONCAT r3 r0 r2
 CALLV r3 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
method run(u)v ordinal 8 RRRRRIIRRI
 LDK r2 string " { \"b\" : [ 1, 2.5, null, true ], \"\\u0061\" : \"once\", \"a\" : \"twice\", \"n\" : {} } "
 LDI r5 1
l:
 LDI r9 60
m:
 CALLV r3 .internal.string parseJson()u r2
 ADDI_I r9 r9 -1
 JGTI_I r9 0 m
 LDK r4 string "b"
 CALLN r4 get r3 r4
 LDI r6 2
 ALD_R r7 r4 r6
 LDK r4 string "a"
 CALLN r4 get r3 r4
 LDK r8 string " "
 CONCAT r4 r5 r8 r7 r8 r4
 CALLS r4 .main show(u.internal.bootstrap;)v r4 r1
 ADDI_I r5 r5 1
 JLEI_I r5 4 l
a:
 LDK r2 string "[1,\n [2"
 CALLV r3 .internal.string parseJson()u r2
b:
 RETN
c:
 CALLV r4 .internal.error getMessage().internal.string; r4
 CALLS r4 .main show(u.internal.bootstrap;)v r4 r1
 RETN
 catch a b c all r4
