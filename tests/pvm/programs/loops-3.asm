# what is loaded, or tested, before a loop, and changes in it: each method is hot before its last calls
#failures 0
#> 506 605 506
#> 3003
#> 26
#> 30
#> no field
#> frozen behind 4 0

class .box
field n i
field arr [i
field other [i
field next u
method .new(ii)v RIIRII
 LDI r4 4
 NEWARR r3 r4 i
 LDI r5 0
 AST_I r1 r3 r5
 SETF r3 r0 .box arr [i
 NEWARR r3 r4 i
 AST_I r2 r3 r5
 SETF r3 r0 .box other [i
 LDI r4 3
 SETF r4 r0 .box n i
 RETN

class .imp
field far l
field farther l

class .main
source main.ph
field frozen u
method static swap(.box;)i RIIRRII
 LDI r1 0
 LDI r2 0
 LDI r6 0
l:
 GETF r3 r0 .box arr [i
 ALD_I r5 r3 r6
 ADD_I r2 r2 r5
 GETF r4 r0 .box other [i
 SETF r4 r0 .box arr [i
 SETF r3 r0 .box other [i
 ADDI_I r1 r1 1
 JLTI_I r1 11 l
 RET r2
method static both(.box;)i RIIRIII
 LDI r1 0
 LDI r2 0
 LDI r6 0
l:
 GETF r3 r0 .box arr [i
 ALD_I r5 r3 r6
 ADD_I r2 r2 r5
 GETF r3 r0 .box other [i
 ALD_I r5 r3 r6
 MULI_I r5 r5 10
 ADD_I r2 r2 r5
 ADDI_I r1 r1 1
 JLTI_I r1 3 l
 RET r2
method static joins(.box;[i)i RRIIRIIII
 LDI r2 0
 LDI r3 0
 LDI r6 0
l:
 ANDI_I r7 r2 1
 JEQI_I r7 0 a
 MOV r4 r1
 JMP x
a:
 GETF r4 r0 .box arr [i
x:
 ALD_I r5 r4 r6
 ADD_I r3 r3 r5
 ADDI_I r2 r2 1
 JLTI_I r2 4 l
 RET r3
method static walk(.box;)i RIIR
 LDI r1 0
l:
 GETF r2 r0 .box n i
 ADD_I r1 r1 r2
 GETF r3 r0 .box next u
 MOV r0 r3
 JNNULL r0 l
 RET r1
method static fill([ii)i RIIR
 LDI r2 0
l:
 JNE_I r2 r1 on
 CALLV r3 .internal.object setImmutable()v r0
on:
 AST_I r2 r0 r2
 ADDI_I r2 r2 1
 JLTI_I r2 10 l
 RET r2

method run(u)v ordinal 8 RRRRRRRIIII
 LDK r6 string "\n"
 LDK r5 string " "
 LDI r7 1
 LDI r8 100
 NEW r2 .box
 CALLC r3 .box .new(ii)v r2 r7 r8
 LDI r9 0
warm1:
 CALLS r10 .main swap(.box;)i r2
 ADDI_I r9 r9 1
 JLTI_I r9 1000 warm1
 CALLS r7 .main swap(.box;)i r2
 CALLS r8 .main swap(.box;)i r2
 CALLS r9 .main swap(.box;)i r2
 CONCAT r3 r7 r5 r8 r5 r9 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3

 LDI r7 1
 LDI r8 100
 NEW r2 .box
 CALLC r3 .box .new(ii)v r2 r7 r8
 LDI r9 0
warm2:
 CALLS r10 .main both(.box;)i r2
 ADDI_I r9 r9 1
 JLTI_I r9 1000 warm2
 CONCAT r3 r10 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3

 LDI r7 3
 NEWARR r4 r7 i
 LDI r7 12
 LDI r8 0
 AST_I r7 r4 r8
 LDI r9 0
warm3:
 CALLS r10 .main joins(.box;[i)i r2 r4
 ADDI_I r9 r9 1
 JLTI_I r9 1000 warm3
 CONCAT r3 r10 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3

 LDNULL r4
 LDI r9 0
chain:
 LDI r7 1
 LDI r8 2
 NEW r2 .box
 CALLC r3 .box .new(ii)v r2 r7 r8
 SETF r4 r2 .box next u
 MOV r4 r2
 ADDI_I r9 r9 1
 JLTI_I r9 10 chain
 LDI r9 0
warm4:
 CALLS r10 .main walk(.box;)i r2
 ADDI_I r9 r9 1
 JLTI_I r9 1000 warm4
 CONCAT r3 r10 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3
 NEW r3 .imp
 GETF r4 r2 .box next u
 SETF r3 r4 .box next u
t1:
 CALLS r10 .main walk(.box;)i r2
e1:
 CONCAT r3 r10 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3
c1:
 LDK r3 string "no field\n"
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3

 LDI r9 0
warm5:
 LDI r7 12
 NEWARR r4 r7 i
 LDI r8 100
 CALLS r10 .main fill([ii)i r4 r8
 ADDI_I r9 r9 1
 JLTI_I r9 1000 warm5
 NEWARR r4 r7 i
 LDI r8 5
t2:
 CALLS r10 .main fill([ii)i r4 r8
e2:
 LDK r3 string "never frozen\n"
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3
c2:
 LDI r7 4
 ALD_I r7 r4 r7
 LDI r8 5
 ALD_I r8 r4 r8
 LDK r3 string "frozen behind "
 CONCAT r3 r3 r7 r5 r8 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
 catch t1 e1 c1 all r3
 catch t2 e2 c2 all r3
