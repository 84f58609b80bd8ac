# old objects get references to young ones that nothing else refers to, by native methods
#failures 0
#> 5040

class .box
field n i
method get()i RI
 GETF r1 r0 .box n i
 RET r1

class .main
source main.ph
field static s u

method run(u)v ordinal 8 RRRRRRIIIRRRRI
 NEW r2 .internal.world
 LDI r8 100
 NEWARR r5 r8 u
 NEW r9 .internal.directory
 LDI r6 1
l:
 NEW r4 .box
 SETF r6 r4 .box n i
 CALLV r11 .internal.container.array set(iu)v r5 r6 r4
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 ALD_R r4 r5 r6
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8

 LDI r8 1
 NEWARR r10 r8 u
 NEW r4 .box
 SETF r6 r4 .box n i
 LDI r8 0
 AST_R r4 r10 r8
 LDNULL r4
 LDI r13 1
 CALLV r11 .internal.container.array copy(iuii)v r5 r6 r10 r8 r13
 LDNULL r10
 CALLV r11 .internal.world yield()v r2
 ALD_R r4 r5 r6
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8

 LDK r4 string "key"
 CONCAT r11 r4 r6
 NEW r4 .box
 SETF r6 r4 .box n i
 CALLV r4 .internal.directory put(.internal.string;u)v r9 r11 r4
 LDNULL r11
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 LDK r4 string "key"
 CONCAT r11 r4 r6
 CALLV r4 .internal.directory get(.internal.string;)u r9 r11
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8
 NEW r4 .box
 SETF r6 r4 .box n i
 CALLV r4 .internal.directory put(.internal.string;u)v r9 r11 r4
 LDNULL r4
 CALLV r12 .internal.world yield()v r2
 CALLV r4 .internal.directory get(.internal.string;)u r9 r11
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8

 NEW r10 .internal.closure
 CALLV r11 .internal.world yield()v r2
 LDK r12 string "get"
 NEW r4 .box
 SETF r6 r4 .box n i
 CALLC r11 .internal.closure .new(u.internal.string;)v r10 r4 r12
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 CALLV r4 .internal.closure call()u r10
 UNBOX r8 r4
 ADD_I r7 r7 r8

 NEW r10 .internal.weakref
 CALLV r11 .internal.world yield()v r2
 NEW r4 .box
 SETF r6 r4 .box n i
 CALLC r11 .internal.weakref .new(u)v r10 r4
 CALLV r11 .internal.world yield()v r2
 CALLV r11 .internal.weakref get()u r10
 JNSAME r11 r4 bad
 LDNULL r4
 LDNULL r11
 CALLV r11 .internal.world collect()v r2
 CALLV r11 .internal.world yield()v r2
 CALLV r11 .internal.weakref get()u r10
 JNNULL r11 bad

 NEW r10 .internal.error
 CALLV r11 .internal.world yield()v r2
 LDK r12 string ""
 CONCAT r12 r6 r12
 CALLC r11 .internal.error .new(.internal.string;)v r10 r12
 LDNULL r12
 CALLV r11 .internal.world yield()v r2
 CALLV r12 .internal.error getMessage().internal.string; r10
 CALLV r8 .internal.string toInt()i r12
 ADD_I r7 r7 r8

 LDK r10 class .main
 LDK r12 string "s"
 NEW r4 .box
 SETF r6 r4 .box n i
 CALLV r11 .internal.class setStatic(.internal.string;u)v r10 r12 r4
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 GETS r4 .main s u
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8

 NEW r10 .internal.binary
 CALLV r11 .internal.world yield()v r2
 CALLC r11 .internal.binary .new(i)v r10 r6
 CALLV r11 .internal.world yield()v r2
 CALLV r11 .internal.binary resize(i)v r10 r6
 CALLV r11 .internal.world yield()v r2
 CALLV r8 .internal.binary length()i r10
 ADD_I r7 r7 r8

 ADDI_I r6 r6 1
 JLEI_I r6 35 l
 LDK r4 string "\n"
 CONCAT r4 r7 r4
 CALLV r11 .internal.bootstrap consolePrint(u)v r1 r4
 RETN
bad:
 THROW r2
