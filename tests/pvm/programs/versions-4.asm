# versions: what does not fit is refused, and nothing has changed
#failures 0
#life 6
#> load .t 2
#> .t: its parent was .internal.object, is another
#> load .t 3
#> .t: field x was i, would be l
#> load .t 4
#> .t: field s was static i, would be i
#> load .t 5
#> .t: field x would go, and .user uses it
#> load .t 6
#> .t: method f(i)i would go, and .user uses it
#> load .t 7
#> .t: method f(i)i, which .user uses, would have another result: (i)l
#> load .t 8
#> .t: method f, which .user uses, was not static
#> load .t 9
#> .t: method f, which .user uses, would be private
#> load .t 10
#> .t: it would not implement .face any more
#> load .t 11
#> .t: it would be abstract, there may be objects of it
#> load .t 12
#> .t: a class is no interface
#> load .t 13
#> .t: f(i)i had ordinal 30, would have another
#> load .t 14
#> .kid: its parent .t is final
#> load .t 15
#> .kid: g()i is final in .t
#> load .t 16
#> .kid: g()i has another result than in .t: ()u
#> load .t 17
#> .t is refused: method 0 f at 0: register 9 of 3
#> load .t 18
#> .nothing: no such class
#> load .t 19
#> .t: migrate() writes to register 0, its object
#> load .t 20
#> .t: static field s would go, and .user uses it
#> load .internal.error 2
#> .internal.error is the machine's own
#> load .none 2
#> .none: no such class
#> load .impl 2
#> .impl: method f(i)i of .face would go
#> 42 1
#> load .t 21
#> .t: version 2
#> 43 1

class .face interface
method abstract f(i)i

class .parent

class .kid extends .t
field k i
method g()i RI
 LDI r1 1
 RET r1

class .t implements .face
field x i
field static s i
method f(i)i ordinal 30 RII
 GETF r2 r0 .t x i
 ADD_I r1 r1 r2
 RET r1
method g()i RI
 RET r1

class .t extends .parent implements .face
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face
field x l
field static s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face
field x i
field s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face
field static s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face
field x i
field static s i
method other(i)i ordinal 30 RII
 RET r1

class .t implements .face
field x i
field static s i
method f(i)l ordinal 30 RIL
 RET r2

class .t implements .face
field x i
field static s i
method static f(i)i II
 RET r1

class .t implements .face
field x i
field static s i
method private f(i)i RII
 RET r1

class .t
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face abstract
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face interface
field static s i
method abstract f(i)i ordinal 30

class .t implements .face
field x i
field static s i
method f(i)i ordinal 31 RII
 RET r1

class .t implements .face final
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1
method final g()i RI
 RET r1

class .t implements .face
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1
method g()u RR
 RET r1

class .t implements .face
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r9

class .t implements .face .nothing
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face
field x i
field static s i
method f(i)i ordinal 30 RII
 RET r1
method migrate()v R
 LDNULL r0
 RETN

class .t implements .face
field x i
method f(i)i ordinal 30 RII
 RET r1

class .t implements .face
field y l
field x i
field static s i
method f(i)i ordinal 30 RII
 GETF r2 r0 .t x i
 ADD_I r1 r1 r2
 ADDI_I r1 r1 1
 RET r1
method g()i RI
 RET r1

class .impl implements .face
method f(i)i RI
 RET r1

class .impl implements .face
method f(i)l RIL
 RET r2

class .user
method static use(.t;i)i RIII
 LDI r2 2
 SETF r2 r0 .t x i
 SETS r2 .t s i
 CALLV r3 .t f(i)i r0 r1
 RET r3

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
method static all(.t;.internal.bootstrap;)v RRIRRR
 LDI r2 40
 CALLS r2 .user use(.t;i)i r0 r2
 CALLN r3 g r0
 LDK r4 string " "
 CONCAT r5 r2 r4 r3
 CALLS r5 .main show(u.internal.bootstrap;)v r5 r1
 RETN
method run(u)v ordinal 8 RRRIRR
 NEW r2 .kid
 LDI r3 40
 CALLS r3 .user use(.t;i)i r2 r3
 LDI r3 2
next:
 LDK r4 string "load .t "
 CONCAT r4 r4 r3
 CALLS r5 .main load(.internal.string;.internal.bootstrap;)v r4 r1
 ADDI_I r3 r3 1
 JLEI_I r3 20 next
 LDK r4 string "load .internal.error 2"
 CALLS r5 .main load(.internal.string;.internal.bootstrap;)v r4 r1
 LDK r4 string "load .none 2"
 CALLS r5 .main load(.internal.string;.internal.bootstrap;)v r4 r1
 NEW r4 .impl
 LDK r4 string "load .impl 2"
 CALLS r5 .main load(.internal.string;.internal.bootstrap;)v r4 r1
 CALLS r5 .main all(.t;.internal.bootstrap;)v r2 r1
 LDK r4 string "load .t 21"
 CALLS r5 .main load(.internal.string;.internal.bootstrap;)v r4 r1
 CALLS r5 .main all(.t;.internal.bootstrap;)v r2 r1
 RETN
