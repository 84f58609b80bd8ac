# versions: objects with fields of all kinds, children, arrays, weak references, statics; identity stays; what is removed and comes back is new
#failures 0
#life 6
#> v1 1 0.5 0.25 -1 one 2
#> v1 2 1.0 0.5 -2 two 2, 7
#> load .point 2
#> .point: version 2
#> v2 1 0.5 0.25 -1 one 0 null 2
#> v2 2 1.0 0.5 -2 two 0 null 2, 7
#> 1 1 1 1 1
#> v2 1 0.5 0.25 -1 one 5 note 2
#> load .point 1
#> .point: version 3
#> v1 1 0.5 0.25 -1 one 2
#> load .point 2
#> .point: version 4
#> v2 1 0.5 0.25 -1 one 0 null 2
#> v2 2 1.0 0.5 -2 two 0 null 2, 7
#> load .point 2
#> .point: version 4
#> 1 1 1 1 1

class .point
field x i
field f f
field d d
field l l
field name .internal.string;
field back u
field static made i
field static last .point;
method .new(i.internal.string;)v RIR
 SETF r1 r0 .point x i
 SETF r2 r0 .point name .internal.string;
 RETN
method set()v RIFDLFD
 GETF r1 r0 .point x i
 I2F r2 r1
 LDF r5 2
 DIV_F r2 r2 r5
 SETF r2 r0 .point f f
 F2D r3 r2
 LDD r6 2
 DIV_D r3 r3 r6
 SETF r3 r0 .point d d
 I2L r4 r1
 NEG_L r4 r4
 SETF r4 r0 .point l l
 SETF r0 r0 .point back u
 GETS r1 .point made i
 ADDI_I r1 r1 1
 SETS r1 .point made i
 SETS r0 .point last .point;
 RETN
method toString().internal.string; RIFDLRIRR
 LDK r7 string " "
 LDK r8 string "v1 "
 GETF r1 r0 .point x i
 GETF r2 r0 .point f f
 GETF r3 r0 .point d d
 GETF r4 r0 .point l l
 GETF r5 r0 .point name .internal.string;
 GETS r6 .point made i
 CONCAT r8 r8 r1 r7 r2 r7 r3 r7 r4 r7 r5 r7 r6
 RET r8

class .point
field big l
field name .internal.string;
field note .internal.string;
field l l
field f f
field static other l
field static last .point;
field x i
field static made i
field d d
field back u
method .new(i.internal.string;)v RIR
 RETN
method set()v RLR
 LDL r1 5
 SETF r1 r0 .point big l
 LDK r2 string "note"
 SETF r2 r0 .point note .internal.string;
 RETN
method toString().internal.string; RIFDLRIRRLR
 LDK r7 string " "
 LDK r8 string "v2 "
 GETF r1 r0 .point x i
 GETF r2 r0 .point f f
 GETF r3 r0 .point d d
 GETF r4 r0 .point l l
 GETF r5 r0 .point name .internal.string;
 GETF r9 r0 .point big l
 GETF r10 r0 .point note .internal.string;
 GETS r6 .point made i
 CONCAT r8 r8 r1 r7 r2 r7 r3 r7 r4 r7 r5 r7 r9 r7 r10 r7 r6
 RET r8

class .child extends .point
field z i
method .new(i.internal.string;)v RIRRI
 CALLC r3 .point .new(i.internal.string;)v r0 r1 r2
 LDI r4 7
 SETF r4 r0 .child z i
 RETN
method toString().internal.string; RIRR
 CALLC r2 .point toString().internal.string; r0
 GETF r1 r0 .child z i
 LDK r3 string ", "
 CONCAT r2 r2 r3 r1
 RET r2

class .main
source main.ph
method private static show(u.internal.bootstrap;)v RRRR
 LDK r2 string "\n"
 TOSTR r0 r0
 CONCAT r3 r0 r2
 CALLV r3 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
method private static load(.internal.string;.internal.bootstrap;)v RRRR
 CALLS r2 .main show(u.internal.bootstrap;)v r0 r1
 NEW r3 .internal.world
 CALLV r2 .internal.world yield()v r3
 RETN
method private static same(.point;.child;[.point;.internal.weakref;i.internal.bootstrap;)v RRRRIRRIIIIIIR
 LDI r7 0
 ALD_R r6 r2 r7
 SSAME r8 r6 r0
 LDI r7 1
 ALD_R r6 r2 r7
 SSAME r9 r6 r1
 CALLV r6 .internal.weakref get()u r3
 SSAME r10 r6 r0
 CALLV r11 .internal.object hashCode()i r0
 SEQ_I r11 r11 r4
 GETF r6 r0 .point back u
 SSAME r12 r6 r0
 GETS r6 .point last .point;
 SSAME r7 r6 r1
 AND_I r12 r12 r7
 LDK r6 string " "
 CONCAT r13 r8 r6 r9 r6 r10 r6 r11 r6 r12
 CALLS r6 .main show(u.internal.bootstrap;)v r13 r5
 RETN
method run(u)v ordinal 8 RRRRRRRRII
 NEW r2 .point
 LDI r8 1
 LDK r7 string "one"
 CALLC r6 .point .new(i.internal.string;)v r2 r8 r7
 CALLV r6 .point set()v r2
 NEW r3 .child
 LDI r8 2
 LDK r7 string "two"
 CALLC r6 .child .new(i.internal.string;)v r3 r8 r7
 CALLV r6 .point set()v r3
 LDI r8 2
 NEWARR r4 r8 .point;
 LDI r8 0
 AST_R r2 r4 r8
 LDI r8 1
 AST_R r3 r4 r8
 NEW r5 .internal.weakref
 CALLC r6 .internal.weakref .new(u)v r5 r2
 CALLV r9 .internal.object hashCode()i r2
 CALLS r6 .main show(u.internal.bootstrap;)v r2 r1
 CALLS r6 .main show(u.internal.bootstrap;)v r3 r1
 LDK r7 string "load .point 2"
 CALLS r6 .main load(.internal.string;.internal.bootstrap;)v r7 r1
 CALLS r6 .main show(u.internal.bootstrap;)v r2 r1
 CALLS r6 .main show(u.internal.bootstrap;)v r3 r1
 CALLS r6 .main same(.point;.child;[.point;.internal.weakref;i.internal.bootstrap;)v r2 r3 r4 r5 r9 r1
 CALLV r6 .point set()v r2
 CALLS r6 .main show(u.internal.bootstrap;)v r2 r1
 LDK r7 string "load .point 1"
 CALLS r6 .main load(.internal.string;.internal.bootstrap;)v r7 r1
 CALLS r6 .main show(u.internal.bootstrap;)v r2 r1
 LDK r7 string "load .point 2"
 CALLS r6 .main load(.internal.string;.internal.bootstrap;)v r7 r1
 CALLS r6 .main show(u.internal.bootstrap;)v r2 r1
 CALLS r6 .main show(u.internal.bootstrap;)v r3 r1
 CALLS r6 .main load(.internal.string;.internal.bootstrap;)v r7 r1
 CALLS r6 .main same(.point;.child;[.point;.internal.weakref;i.internal.bootstrap;)v r2 r3 r4 r5 r9 r1
 RETN
