# versions: frames and closures go on with their code and their fields, calls from them are of the new version
#failures 0
#life 6
#> stay 1: kept 10, static 20
#> load .thing 2
#> .thing: version 2
#> stay 1: kept 11, static 21, old, new tag, own 1
#> closure 1: 11
#> load .thing 3
#> .thing: version 3
#> closure 1: 11
#> no field kept
#> closure of version 3: 9

class .thing
field kept i
field static shared i
field private hidden i
field next u
method .new()v RI
 LDI r1 10
 SETF r1 r0 .thing kept i
 LDI r1 20
 SETS r1 .thing shared i
 RETN
method old().internal.string; RR
 LDK r1 string "old"
 RET r1
method tag().internal.string; RR
 LDK r1 string "old tag"
 RET r1
method private static own()i I
 LDI r0 1
 RET r0
method private static made(.thing;)u RIRR
 GETF r1 r0 .thing kept i
 LDK r2 string "closure 1: "
 CONCAT r3 r2 r1
 RET r3
method stay(u)u RRRIIRRRRI
 GETF r3 r0 .thing kept i
 GETS r4 .thing shared i
 LDK r5 string "stay 1: kept "
 LDK r6 string ", static "
 LDK r7 string ", "
 CONCAT r2 r5 r3 r6 r4
 CALLS r8 .main show(u.internal.bootstrap;)v r2 r1
 LDK r2 string "load .thing 2"
 CALLS r8 .main load(.internal.string;.internal.bootstrap;)v r2 r1
 GETF r3 r0 .thing kept i
 ADDI_I r3 r3 1
 SETF r3 r0 .thing kept i
 GETS r4 .thing shared i
 ADDI_I r4 r4 1
 SETS r4 .thing shared i
 CALLV r8 .thing old().internal.string; r0
 CONCAT r2 r5 r3 r6 r4 r7 r8
 CALLV r8 .thing tag().internal.string; r0
 CONCAT r2 r2 r7 r8
 CALLS r9 .thing own()i
 LDK r8 string ", own "
 CONCAT r2 r2 r8 r9
 CALLS r8 .main show(u.internal.bootstrap;)v r2 r1
 CLOSURE r2 .thing made(.thing;)u r0
 RET r2

class .thing
field next u
field more l
method .new()v R
 RETN
method tag().internal.string; RR
 LDK r1 string "new tag"
 RET r1
method private static made(.thing;)u RR
 LDK r1 string "another closure"
 RET r1
method stay(u)u RRR
 LDNULL r2
 RET r2

class .thing
field next u
method .new()v R
 RETN
method private static made(.thing;)u RRII
 LDI r2 9
 LDK r1 string "closure of version 3: "
 CONCAT r1 r1 r2
 RET r1
method stay(u)u RRR
 CLOSURE r2 .thing made(.thing;)u r0
 RET r2

class .main
source main.ph
method static show(u.internal.bootstrap;)v RRRR
 LDK r2 string "\n"
 TOSTR r0 r0
 CONCAT r3 r0 r2
 CALLV r3 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
method static load(.internal.string;.internal.bootstrap;)v RRRR
 CALLS r2 .main show(u.internal.bootstrap;)v r0 r1
 NEW r3 .internal.world
 CALLV r2 .internal.world yield()v r3
 RETN
method run(u)v ordinal 8 RRRRRR
 NEW r2 .thing
 CALLC r4 .thing .new()v r2
 CALLV r3 .thing stay(u)u r2 r1
 CALLV r4 .internal.closure call()u r3
 CALLS r4 .main show(u.internal.bootstrap;)v r4 r1
 LDK r4 string "load .thing 3"
 CALLS r4 .main load(.internal.string;.internal.bootstrap;)v r4 r1
 CALLV r4 .internal.closure call()u r3
 CALLS r4 .main show(u.internal.bootstrap;)v r4 r1
 CALLS r4 .reader read(.thing;.internal.bootstrap;)v r2 r1
 CALLV r3 .thing stay(u)u r2 r1
 CALLV r4 .internal.closure call()u r3
 CALLS r4 .main show(u.internal.bootstrap;)v r4 r1
 RETN

class .reader
method static read(.thing;.internal.bootstrap;)v RRIR
a:
 GETF r2 r0 .thing kept i
b:
 RETN
c:
 LDK r3 string "no field kept"
 CALLS r3 .main show(u.internal.bootstrap;)v r3 r1
 RETN
 catch a b c .internal.error.link r3
