# threads that run at once: a bank whose clerks move money under a lock; the sum is the same at any time
#failures 0
#> 800

class .bank
field m .internal.mutex;
field c .internal.cond;
field a [i
field left i

class .clerk
field b .bank;
field seed i
method run()v RRRRIIIIIR
 GETF r1 r0 .clerk b .bank;
 GETF r2 r1 .bank m .internal.mutex;
 GETF r4 r0 .clerk seed i
 LDI r8 0
l:
 MULI_I r4 r4 13
 ADDI_I r4 r4 5
 ANDI_I r5 r4 7
 SHRI_I r6 r4 3
 ANDI_I r6 r6 7
 CALLV r9 .internal.mutex lock()v r2
 GETF r3 r1 .bank a [i
 ALD_I r7 r3 r5
 ADDI_I r7 r7 -1
 AST_I r7 r3 r5
 ALD_I r7 r3 r6
 ADDI_I r7 r7 1
 AST_I r7 r3 r6
 CALLV r9 .internal.mutex unlock()v r2
 ADDI_I r8 r8 1
 JLTI_I r8 60 l
 CALLV r9 .internal.mutex lock()v r2
 GETF r7 r1 .bank left i
 ADDI_I r7 r7 -1
 SETF r7 r1 .bank left i
 GETF r3 r1 .bank c .internal.cond;
 CALLV r9 .internal.cond signal()v r3
 CALLV r9 .internal.mutex unlock()v r2
 RETN

class .main
source main.ph
method run(u)v ordinal 8 RRRRRRRIIIIR
 NEW r2 .bank
 NEW r3 .internal.mutex
 SETF r3 r2 .bank m .internal.mutex;
 NEW r4 .internal.cond
 SETF r4 r2 .bank c .internal.cond;
 LDI r7 8
 NEWARR r5 r7 i
 SETF r5 r2 .bank a [i
 LDI r8 100
fill:
 ADDI_I r7 r7 -1
 AST_I r8 r5 r7
 JGTI_I r7 0 fill
 LDI r8 4
 SETF r8 r2 .bank left i
start:
 NEW r6 .clerk
 SETF r2 r6 .clerk b .bank;
 SETF r8 r6 .clerk seed i
 CALLV r11 .internal.bootstrap startThread(u).internal.thread; r1 r6
 ADDI_I r8 r8 -1
 JGTI_I r8 0 start
 CALLV r11 .internal.mutex lock()v r3
look:
 LDI r8 0
 LDI r9 0
sum:
 ALD_I r10 r5 r9
 ADD_I r8 r8 r10
 ADDI_I r9 r9 1
 JLTI_I r9 8 sum
 JNEI_I r8 800 bad
 GETF r9 r2 .bank left i
 JEQI_I r9 0 end
 CALLV r11 .internal.cond wait(.internal.mutex;)v r4 r3
 JMP look
end:
 LDK r11 string "\n"
 CONCAT r11 r8 r11
 CALLV r11 .internal.bootstrap consolePrint(u)v r1 r11
 RETN
bad:
 THROW r5
