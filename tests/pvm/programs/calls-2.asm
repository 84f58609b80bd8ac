# calls
#failures 1
#> 1
#> 2
#> 3
#> 4
#> 2
#> uncaught in thread 1: .internal.error.link: .main: no method over with 0 arguments
#>         at .main.run (main.ph:9)

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
method over(i)i RII
 LDI r2 1
 RET r2
method over(d)i RDI
 LDI r2 2
 RET r2
method over(.internal.string;)i RRI
 LDI r2 3
 RET r2
method over(u)i RRI
 LDI r2 4
 RET r2
method run(u)v ordinal 8 RRRRIRDLRF
 LDK r3 string "\n"
 LDI r4 1
 BOX r5 r4
 CALLN r8 over r0 r5
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDL r7 1
 BOX r5 r7
 CALLN r8 over r0 r5
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLN r8 over r0 r3
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLN r8 over r0 r0
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDF r9 1
 BOX r5 r9
 CALLN r8 over r0 r5
 CONCAT r2 r8 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 line 9
 CALLN r8 over r0
 RETN
