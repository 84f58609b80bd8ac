# calls
#failures 0
#> 7
#> 49
#> 49
#> 49
#> square
#> shape
#> 5
#> 25
#> 1
#> 0
#> 1

class .shape implements .thing
field size i
method .new(i)v RI
 SETF r1 r0 .shape size i
 RETN
method area()i RI
 GETF r1 r0 .shape size i
 RET r1
method name().internal.string; ordinal 20 RR
 LDK r1 string "shape"
 RET r1
method private hidden()i RI
 LDI r1 5
 RET r1
method show()i RI
 CALLC r1 .shape hidden()i r0
 RET r1

class .square extends .shape
field extra l
method .new(i)v RIR
 CALLC r2 .shape .new(i)v r0 r1
 RETN
method area()i RI
 CALLC r1 .shape area()i r0
 MUL_I r1 r1 r1
 RET r1
method name().internal.string; RR
 LDK r1 string "square"
 RET r1

class .thing interface
method abstract area()i

class .main
source main.ph
method both(.shape;)i RRRI
 CALLV r3 .shape area()i r1
 RET r3
method run(u)v ordinal 8 RRRRRRIRR
 LDK r3 string "\n"
 LDI r6 7
 NEW r4 .shape
 CALLC r2 .shape .new(i)v r4 r6
 NEW r5 .square
 CALLC r2 .square .new(i)v r5 r6
 CALLV r6 .main both(.shape;)i r0 r4
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLV r6 .main both(.shape;)i r0 r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLV r6 .thing area()i r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLN r7 area r5
 CONCAT r2 r7 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLO r7 20 r5
 CONCAT r2 r7 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r8 string "name"
 CALLD r7 r4 r8
 CONCAT r2 r7 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLV r6 .shape show()i r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r8 string ".square"
 NEWD r5 r8
 BOX r7 r6
 CALLN r2 .new r5 r7
 CALLN r7 area r5
 CONCAT r2 r7 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 INSTOF r6 r5 .thing;
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 INSTOF r6 r4 .square;
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 VEQ r6 r7 r7
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 RETN
