# small methods in place of their calls: what they stored before they could not go on is stored once; who leaves them has their arguments
#failures 0
#> 2001 null
#> 20000
#> 21 1021

class .point
field n i
class .place extends .point
field m i

class .counter
field n i
field of u
method bump()i RIRI
 GETF r1 r0 .counter n i
 ADDI_I r1 r1 1
 SETF r1 r0 .counter n i
 GETF r2 r0 .counter of u
 GETF r3 r2 .point n i
 RET r3
method plain()i RI
 GETF r1 r0 .counter n i
 ADDI_I r1 r1 1
 SETF r1 r0 .counter n i
 RET r1
method more(i)i RIIRI
 MULI_I r2 r1 3
 GETF r3 r0 .counter of u
 GETF r4 r3 .point n i
 ADD_I r1 r2 r4
 RET r1

class .main
source main.ph
method static ask(.counter;i)i RIII
 MULI_I r2 r1 2
 ADDI_I r2 r2 1
 CALLV r3 .counter more(i)i r0 r2
 RET r3
method static go(.counter;)i RI
 CALLV r1 .counter bump()i r0
 RET r1
method static any(.counter;)i RIR
 CALLN r2 plain r0
 UNBOX r1 r2
 RET r1

method run(u)v ordinal 8 RRRRRRRIIII
 LDK r6 string "\n"
 LDK r5 string " "
 NEW r2 .counter
 NEW r3 .point
 SETF r3 r2 .counter of u
 LDI r7 0
warm1:
 CALLS r8 .main go(.counter;)i r2
 ADDI_I r7 r7 1
 JLTI_I r7 2000 warm1
 LDNULL r4
 LDI r7 0
 JMP once
again:
 SETF r4 r2 .counter of u
 MOV r3 r2
once:
t1:
 CALLS r8 .main go(.counter;)i r2
e1:
 JEQI_I r7 0 first
c1:
 GETF r8 r2 .counter n i
 ADDI_I r8 r8 -1
 LDK r4 string " null\n"
 CONCAT r3 r8 r4
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3
 JMP second
first:
 LDI r7 1
 JMP again
second:
 LDI r7 0
 SETF r7 r2 .counter n i
 LDK r9 int 20000
boxes:
 CALLS r8 .main any(.counter;)i r2
 ADDI_I r7 r7 1
 JLT_I r7 r9 boxes
 GETF r8 r2 .counter n i
 CONCAT r3 r8 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3

 NEW r3 .point
 SETF r3 r2 .counter of u
 LDI r7 0
warm3:
 LDI r8 3
 CALLS r8 .main ask(.counter;i)i r2 r8
 ADDI_I r7 r7 1
 JLTI_I r7 2000 warm3
 NEW r3 .place
 LDI r9 1000
 SETF r9 r3 .point n i
 SETF r3 r2 .counter of u
 LDI r9 3
 CALLS r9 .main ask(.counter;i)i r2 r9
 CONCAT r3 r8 r5 r9 r6
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
 catch t1 e1 c1 all r3
