# old objects get references to young ones that nothing else refers to, by instructions; frames that were looked at long ago get them, too
#failures 0
#> 7080
#> 20100

class .box
field n i
field u u

class .main
source main.ph
field static s u

# deep(n): n + (n - 1) + ... + 1, by way of a box in each frame, before and after the call
method static deep(i)i IRIRI
 NEW r1 .box
 SETF r0 r1 .box n i
 NEW r3 .internal.world
 JEQI_I r0 0 bottom
 ADDI_I r2 r0 -1
 CALLS r2 .main deep(i)i r2
 GETF r4 r1 .box n i
 ADD_I r2 r2 r4
 NEW r1 .box
 SETF r2 r1 .box n i
 REMI_I r4 r0 8
 JNEI_I r4 0 quick
 CALLV r3 .internal.world yield()v r3
quick:
 GETF r2 r1 .box n i
 RET r2
bottom:
 CALLV r1 .internal.world yield()v r3
 CALLV r1 .internal.world yield()v r3
 CALLV r1 .internal.world yield()v r3
 LDI r2 0
 RET r2

method run(u)v ordinal 8 RRRRRRIIIIRR
 NEW r2 .internal.world
 NEW r3 .box
 LDI r8 5000
 NEWARR r5 r8 u
 LDI r8 0
 NEWARR r10 r8 u
 LDI r6 0
 CALLV r11 .internal.world yield()v r2
 CALLV r11 .internal.world yield()v r2
l:
 NEW r4 .box
 SETF r6 r4 .box n i
 SETF r4 r3 .box u u
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 GETF r4 r3 .box u u
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8
 MULI_I r9 r6 80
 NEW r4 .box
 SETF r6 r4 .box n i
 AST_R r4 r5 r9
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 ALD_R r4 r5 r9
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8
 NEW r4 .box
 SETF r6 r4 .box n i
 AST_R r4 r10 r6
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 ALD_R r4 r10 r6
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8
 NEW r4 .box
 SETF r6 r4 .box n i
 SETS r4 .main s u
 LDNULL r4
 CALLV r11 .internal.world yield()v r2
 GETS r4 .main s u
 GETF r8 r4 .box n i
 ADD_I r7 r7 r8
 ADDI_I r6 r6 1
 JLTI_I r6 60 l
 LDK r4 string "\n"
 CONCAT r4 r7 r4
 CALLV r11 .internal.bootstrap consolePrint(u)v r1 r4
 LDI r7 200
 CALLS r7 .main deep(i)i r7
 LDK r4 string "\n"
 CONCAT r4 r7 r4
 CALLV r11 .internal.bootstrap consolePrint(u)v r1 r4
 RETN
