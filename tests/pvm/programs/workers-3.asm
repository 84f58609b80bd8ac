# threads that run at once: calls and fields of objects of several classes at the same places; a .static that others wait for
#failures 0
#> 12

class .shape
field k i
method area()i RI
 LDI r1 1
 RET r1

class .square extends .shape
field a i
method area()i RI
 LDI r1 2
 RET r1

class .circle extends .shape
field b u
method area()i RI
 LDI r1 3
 RET r1

class .slow
field static n i
method static .static()v RII
 NEW r0 .internal.world
 LDI r1 40
l:
 CALLN r0 yield r0
 NEW r0 .internal.world
 ADDI_I r1 r1 -1
 JGTI_I r1 0 l
 LDI r2 3
 SETS r2 .slow n i
 RETN

class .caller
field shapes [u
field n i
method run()v RRIIIIR
 GETF r1 r0 .caller shapes [u
 LDI r2 0
 LDI r3 0
l:
 ALD_R r6 r1 r3
 CALLV r4 .shape area()i r6
 GETF r5 r6 .shape k i
 JNE_I r4 r5 bad
 CALLN r6 area r6
 UNBOX r4 r6
 JNE_I r4 r5 bad
 ADDI_I r3 r3 1
 ANDI_I r3 r3 3
 ADDI_I r2 r2 1
 JLTI_I r2 400 l
 GETS r4 .slow n i
 SETF r4 r0 .caller n i
 RETN
bad:
 THROW r6

class .main
source main.ph
method run(u)v ordinal 8 RRRRRRIIIR
 LDI r6 4
 NEWARR r2 r6 u
 NEWARR r3 r6 u
 NEWARR r4 r6 u
 LDI r6 0
 LDI r7 1
 NEW r5 .shape
 SETF r7 r5 .shape k i
 AST_R r5 r2 r6
 LDI r6 1
 LDI r7 2
 NEW r5 .square
 SETF r7 r5 .shape k i
 AST_R r5 r2 r6
 LDI r6 2
 LDI r7 3
 NEW r5 .circle
 SETF r7 r5 .shape k i
 AST_R r5 r2 r6
 LDI r6 3
 LDI r7 2
 NEW r5 .square
 SETF r7 r5 .shape k i
 AST_R r5 r2 r6
 LDI r6 0
start:
 NEW r5 .caller
 SETF r2 r5 .caller shapes [u
 AST_R r5 r3 r6
 CALLV r5 .internal.bootstrap startThread(u).internal.thread; r1 r5
 AST_R r5 r4 r6
 ADDI_I r6 r6 1
 JLTI_I r6 4 start
 LDI r6 0
 LDI r7 0
wait:
 ALD_R r5 r4 r6
 CALLN r5 join r5
 ALD_R r5 r3 r6
 GETF r8 r5 .caller n i
 ADD_I r7 r7 r8
 ADDI_I r6 r6 1
 JLTI_I r6 4 wait
 LDK r5 string "\n"
 CONCAT r5 r7 r5
 CALLV r5 .internal.bootstrap consolePrint(u)v r1 r5
 RETN
