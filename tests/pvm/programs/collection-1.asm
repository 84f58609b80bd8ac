# collection
#calm
#heap 6
#failures 0
#> 8191
#> 8191
#> 1
#> null

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
method run(u)v ordinal 8 RRRRRRIIRR
 LDK r3 string "\n"
 LDI r6 12
 CALLS r4 .node make(i).node; r6
 NEW r8 .internal.weakref
 CALLC r2 .internal.weakref .new(u)v r8 r4
 LDI r7 0
l:
 LDI r6 12
 CALLS r5 .node make(i).node; r6
 ADDI_I r7 r7 1
 JLTI_I r7 100 l
 CALLV r6 .node count()i r4
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLV r6 .node count()i r5
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 CALLV r9 .internal.weakref get()u r8
 SSAME r6 r9 r4
 CONCAT r2 r6 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDNULL r4
 LDNULL r9
 LDI r7 0
m:
 LDI r6 12
 CALLS r5 .node make(i).node; r6
 ADDI_I r7 r7 1
 JLTI_I r7 50 m
 CALLV r9 .internal.weakref get()u r8
 CONCAT r2 r9 r3
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 RETN
