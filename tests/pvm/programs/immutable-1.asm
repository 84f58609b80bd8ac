# what must not be changed is not, where the same instruction has changed another one before; nor is what is right behind an array's end there
#failures 0
#> .internal.error.state 7
#> .internal.error.state 7
#> .internal.error.state 7
#> .internal.error.state null
#> .internal.error.bounds 0

class .main
source main.ph
field static boot .internal.bootstrap;
field n i
field o u
method print(uu)v RRRRRR
 LDK r3 string " "
 LDK r4 string "\n"
 CALLN r5 getClass r1
 CALLN r5 getName r5
 CONCAT r5 r5 r3 r2 r4
 GETS r3 .main boot .internal.bootstrap;
 CALLV r4 .internal.bootstrap consolePrint(u)v r3 r5
 RETN
method number(i)v RI
 SETF r1 r0 .main n i
 RETN
method other(u)v RR
 SETF r1 r0 .main o u
 RETN
method put([ii)v RRII
 LDI r3 0
 AST_I r2 r1 r3
 RETN
method putd([dd)v RRDI
 LDI r3 0
 AST_D r2 r1 r3
 RETN
method at([ii)i RRII
 ALD_I r3 r1 r2
 RET r3
method run(u)v ordinal 8 RRRRRIIIRD
 CAST r2 r1 .internal.bootstrap;
 SETS r2 .main boot .internal.bootstrap;
 NEW r3 .main
 LDI r5 7
a1:
 CALLV r2 .main number(i)v r3 r5
 ADDI_I r5 r5 1
 JLTI_I r5 8 a1
 CALLV r2 .internal.object setImmutable()v r3
 CALLV r2 .main number(i)v r3 r5
b1:
 JMP c1
c1:
 GETF r6 r3 .main n i
 BOX r4 r6
 CALLV r2 .main print(uu)v r0 r8 r4
 catch a1 b1 c1 all r8

 LDI r5 1
 NEWARR r3 r5 i
 LDI r5 7
a2:
 CALLV r2 .main put([ii)v r0 r3 r5
 ADDI_I r5 r5 1
 JLTI_I r5 8 a2
 CALLV r2 .internal.object setImmutable()v r3
 CALLV r2 .main put([ii)v r0 r3 r5
b2:
 JMP c2
c2:
 LDI r6 0
 ALD_I r6 r3 r6
 BOX r4 r6
 CALLV r2 .main print(uu)v r0 r8 r4
 catch a2 b2 c2 all r8

 LDI r5 1
 NEWARR r3 r5 d
 LDI r5 7
a3:
 I2D r9 r5
 CALLV r2 .main putd([dd)v r0 r3 r9
 ADDI_I r5 r5 1
 JLTI_I r5 8 a3
 CALLV r2 .internal.object setImmutable()v r3
 LDD r9 9
 CALLV r2 .main putd([dd)v r0 r3 r9
b3:
 JMP c3
c3:
 LDI r6 0
 ALD_D r9 r3 r6
 D2I r6 r9
 BOX r4 r6
 CALLV r2 .main print(uu)v r0 r8 r4
 catch a3 b3 c3 all r8

 NEW r3 .main
a4:
 CALLV r2 .main other(u)v r3 r3
 LDNULL r4
 CALLV r2 .main other(u)v r3 r4
 CALLV r2 .internal.object setImmutable()v r3
 CALLV r2 .main other(u)v r3 r3
b4:
 JMP c4
c4:
 GETF r4 r3 .main o u
 CALLV r2 .main print(uu)v r0 r8 r4
 catch a4 b4 c4 all r8

 LDI r5 5
 NEWARR r3 r5 i
 LDI r6 0
 LDI r5 4
a5:
 CALLV r6 .main at([ii)i r0 r3 r5
 LDI r7 11
 AST_I r7 r3 r5
 ADDI_I r5 r5 1
 CALLV r6 .main at([ii)i r0 r3 r5
b5:
 JMP c5
c5:
 BOX r4 r6
 CALLV r2 .main print(uu)v r0 r8 r4
 catch a5 b5 c5 all r8
 RETN
