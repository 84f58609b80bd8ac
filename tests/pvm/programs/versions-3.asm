# versions: migrate() runs once, before the first use of a field, and again if it throws; parents' and children's in the order of the upgrades; another thread waits for it; it may change
# what is immutable, and what is immutable stays so
#failures 0
#life 6
#> load .item 2
#> .item: version 2
#> load .child 2
#> .child: version 2
#> thrown
#> migrate 1
#> 100 cents
#> 100 cents
#> migrate 2
#> child migrate
#> 200 cents, 50 done
#> migrate 3
#> 300 cents, 300 cents
#> immutable
#> a new one: 7 cents
#> migrate 4
#> 400 cents

class .item
field price i
method .new(i)v RI
 SETF r1 r0 .item price i
 RETN
method toString().internal.string; RIRR
 GETF r1 r0 .item price i
 LDK r2 string " euros"
 CONCAT r3 r1 r2
 RET r3

class .item
field cents l
field price i
field static boot .internal.bootstrap;
field static throws i
field static yields i
method .new(i)v RIL
 I2L r2 r1
 SETF r2 r0 .item cents l
 RETN
method migrate()v RILLRRIRR
 GETS r6 .item throws i
 JEQI_I r6 0 go
 LDI r6 0
 SETS r6 .item throws i
 LDK r4 string "thrown"
 THROW r4
go:
 GETF r1 r0 .item price i
 LDK r4 string "migrate "
 CONCAT r4 r4 r1
 GETS r5 .item boot .internal.bootstrap;
 CALLS r4 .main show(u.internal.bootstrap;)v r4 r5
 GETS r6 .item yields i
 NEW r7 .internal.world
wait:
 JLEI_I r6 0 on
 CALLV r8 .internal.world yield()v r7
 ADDI_I r6 r6 -1
 JMP wait
on:
 I2L r2 r1
 MULI_L r2 r2 100
 SETF r2 r0 .item cents l
 RETN
method toString().internal.string; RLRR
 GETF r1 r0 .item cents l
 LDK r2 string " cents"
 CONCAT r3 r1 r2
 RET r3

class .child extends .item
field z i
method toString().internal.string; RIRR
 CALLC r2 .item toString().internal.string; r0
 RET r2

class .child extends .item
field z i
field done i
method migrate()v RRRI
 GETS r1 .item boot .internal.bootstrap;
 LDK r2 string "child migrate"
 CALLS r2 .main show(u.internal.bootstrap;)v r2 r1
 LDI r3 50
 SETF r3 r0 .child done i
 RETN
method toString().internal.string; RIRRR
 CALLC r2 .item toString().internal.string; r0
 GETF r1 r0 .child done i
 LDK r3 string ", "
 LDK r4 string " done"
 CONCAT r2 r2 r3 r1 r4
 RET r2

class .second
field item .item;
field text u
method run()v RRR
 GETF r1 r0 .second item .item;
 TOSTR r2 r1
 SETF r2 r0 .second text u
 RETN

class .main
source main.ph
field copied u
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
method static item(i)u IRR
 NEW r1 .item
 CALLC r2 .item .new(i)v r1 r0
 RET r1
method run(u)v ordinal 8 RRRRRRRRIRR
 LDI r8 1
 CALLS r2 .main item(i)u r8
 NEW r3 .child
 LDI r8 2
 CALLC r7 .item .new(i)v r3 r8
 LDI r8 3
 CALLS r4 .main item(i)u r8
 LDI r8 4
 CALLS r5 .main item(i)u r8
 CALLV r7 .internal.object setImmutable()v r4
 LDK r7 string "load .item 2"
 CALLS r7 .main load(.internal.string;.internal.bootstrap;)v r7 r1
 LDK r7 string "load .child 2"
 CALLS r7 .main load(.internal.string;.internal.bootstrap;)v r7 r1
 CALLV r9 .internal.object clone()u r5
 CALLS r7 .late boot(.internal.bootstrap;)v r1
a:
 TOSTR r7 r2
b:
 JMP d
c:
 CALLS r7 .main show(u.internal.bootstrap;)v r7 r1
d:
 CALLS r7 .main show(u.internal.bootstrap;)v r2 r1
 CALLS r7 .main show(u.internal.bootstrap;)v r2 r1
 CALLS r7 .main show(u.internal.bootstrap;)v r3 r1
 NEW r6 .second
 SETF r4 r6 .second item .item;
 NEW r10 .internal.thread
 CALLC r7 .internal.thread .new(u)v r10 r6
 CALLS r7 .late slow()v
 CALLV r7 .internal.thread start()v r10
 TOSTR r7 r4
 CALLV r2 .internal.thread join()v r10
 GETF r10 r6 .second text u
 LDK r2 string ", "
 CONCAT r7 r7 r2 r10
 CALLS r7 .main show(u.internal.bootstrap;)v r7 r1
 CALLS r7 .late change(.item;.internal.bootstrap;)v r4 r1
 LDI r8 7
 CALLS r2 .main item(i)u r8
 LDK r7 string "a new one: "
 TOSTR r2 r2
 CONCAT r7 r7 r2
 CALLS r7 .main show(u.internal.bootstrap;)v r7 r1
 CALLS r7 .main show(u.internal.bootstrap;)v r9 r1
 RETN
 catch a b c all r7

class .late
method static change(.item;.internal.bootstrap;)v RRLR
a:
 SETF r2 r0 .item cents l
b:
 RETN
c:
 LDK r3 string "immutable"
 CALLS r3 .main show(u.internal.bootstrap;)v r3 r1
 RETN
 catch a b c .internal.error.state r3
method static boot(.internal.bootstrap;)v RI
 SETS r0 .item boot .internal.bootstrap;
 LDI r1 1
 SETS r1 .item throws i
 RETN
method static slow()v I
 LDI r0 5
 SETS r0 .item yields i
 RETN
