# collection
#calm
#heap 6
#failures 0
#> the heap is full
#> 2047

class .node
field l .node;
field r .node;
method static make(i).node; IRR
 NEW r1 .node
 JEQI_I r0 0 e
 ADDI_I r0 r0 -1
 CALLS r2 .node make(i).node; r0
 SETF r2 r1 .node l .node;
 CALLS r2 .node make(i).node; r0
 SETF r2 r1 .node r .node;
e:
 RET r1
method count()i RRII
 GETF r1 r0 .node l .node;
 LDI r2 1
 JNULL r1 e
 CALLV r3 .node count()i r1
 ADD_I r2 r2 r3
 GETF r1 r0 .node r .node;
 CALLV r3 .node count()i r1
 ADD_I r2 r2 r3
e:
 RET r2

class .main
source main.ph
method run(u)v ordinal 8 RRRRRRIR
 LDK r3 string "\n"
a:
 NEW r5 .node
 SETF r4 r5 .node l .node;
 MOV r4 r5
 JMP a
b:
 RETN
c:
 LDNULL r4
 LDNULL r5
 CALLV r2 .internal.error getMessage().internal.string; r7
 CONCAT r2 r2 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDI r6 10
 CALLS r5 .node make(i).node; r6
 CALLV r6 .node count()i r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 RETN
 catch a b c .internal.error.memory r7
