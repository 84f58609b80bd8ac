# closures
#failures 0
#> 107
#> 3.5
#> text 1 2.5 4000000000 0.25 null
#> argument 1 of add(ii) is .internal.string
#> .main.add takes 1 argument, 2 given
#> a closure over a method of .other
#> .main: no static method plain()i: static or not, it is the other
#> value 1 of the closure over mixed(.main;.other;u) is .main
#> argument 1 of mixed(.main;.other;u) is .other

class .other
method static given()i I
 LDI r0 1
 RET r0

class .main
source main.ph
method private static add(ii)i IIR
 ADD_I r0 r0 r1
 RET r0
method private static all(.internal.string;ifld).internal.string; RIFLDRRR
 LDK r5 string " "
 LDNULL r7
 CONCAT r6 r0 r5 r1 r5 r2 r5 r3 r5 r4 r5 r7
 RET r6
method private static half(d)d DD
 LDK r1 double 0.5
 MUL_D r0 r0 r1
 RET r0
method private static mixed(.main;.other;u)v RRR
 RETN
method plain()i RI
 RET r1
method static show(u.internal.bootstrap;)v RRRR
 LDK r2 string "\n"
 TOSTR r0 r0
 CONCAT r3 r0 r2
 CALLV r3 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
method static why(.internal.error;.internal.bootstrap;)v RRR
 CALLV r2 .internal.error getMessage().internal.string; r0
 CALLS r2 .main show(u.internal.bootstrap;)v r2 r1
 RETN
method run(u)v ordinal 8 RRRRIFLDRR
 LDI r4 100
 CLOSURE r2 .main add(ii)i r4
 LDI r4 7
 BOX r3 r4
 CALLV r3 .internal.closure call(u)u r2 r3
 CALLS r3 .main show(u.internal.bootstrap;)v r3 r1
 CLOSURE r8 .main half(d)d
 LDI r4 7
 BOX r3 r4
 CALLN r3 call r8 r3
 CALLS r3 .main show(u.internal.bootstrap;)v r3 r1
 LDK r3 string "text"
 LDI r4 1
 LDK r5 float 2.5
 LDK r6 long 4000000000
 LDK r7 double 0.25
 CLOSURE r8 .main all(.internal.string;ifld).internal.string; r3 r4 r5 r6 r7
 CALLV r3 .internal.closure call()u r8
 CALLS r3 .main show(u.internal.bootstrap;)v r3 r1
 LDK r3 string "no"
a:
 CALLV r3 .internal.closure call(u)u r2 r3
b:
 CALLV r3 .internal.closure call(uu)u r2 r3 r3
c:
 CLOSURE r3 .other given()i
d:
 CLOSURE r3 .main plain()i
e:
 CLOSURE r3 .main mixed(.main;.other;u)v r0 r0
 CALLV r3 .internal.closure call(u)u r3 r0
f:
 NEW r3 .other
 CLOSURE r8 .main mixed(.main;.other;u)v
 CALLV r3 .internal.closure call(uuu)u r8 r3 r3 r3
g:
 RETN
af:
 CALLS r9 .main why(.internal.error;.internal.bootstrap;)v r9 r1
 JMP b
bf:
 CALLS r9 .main why(.internal.error;.internal.bootstrap;)v r9 r1
 JMP c
cf:
 CALLS r9 .main why(.internal.error;.internal.bootstrap;)v r9 r1
 JMP d
df:
 CALLS r9 .main why(.internal.error;.internal.bootstrap;)v r9 r1
 JMP e
ef:
 CALLS r9 .main why(.internal.error;.internal.bootstrap;)v r9 r1
 JMP f
ff:
 CALLS r9 .main why(.internal.error;.internal.bootstrap;)v r9 r1
 JMP g
 catch a b af all r9
 catch b c bf all r9
 catch c d cf all r9
 catch d e df all r9
 catch e f ef all r9
 catch f g ff all r9
