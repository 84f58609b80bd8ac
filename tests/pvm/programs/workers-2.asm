# threads that run at once: arrays grow, and are cut, under who stores into them. What an element has was stored there, or it has nothing
#failures 0
#> whole

class .box
field n i

class .writer
field refs [u
field ints [i
field first i
method run()v RRRRIIIIRRI
 GETF r1 r0 .writer refs [u
 GETF r2 r0 .writer ints [i
 GETF r4 r0 .writer first i
 LDI r10 250
l:
 NEW r3 .box
 SETF r4 r3 .box n i
 AST_R r3 r1 r4
 AST_I r4 r2 r4
 LDI r5 0
look:
 LEN r6 r1
 SUB_I r6 r6 r5
 JLEI_I r6 0 done
 ALD_R r8 r1 r5
 JNULL r8 number
 GETF r7 r8 .box n i
 JNE_I r7 r5 bad
number:
 LEN r6 r2
 SUB_I r6 r6 r5
 JLEI_I r6 0 done
 ALD_I r7 r2 r5
 JEQI_I r7 0 next
 JNE_I r7 r5 bad
next:
 ADDI_I r5 r5 37
 JMP look
done:
 REMI_I r7 r10 50
 JNEI_I r7 0 grow
 LDI r7 20
 CALLV r9 .internal.container.array resize(i)v r1 r7
 CALLV r9 .internal.container.array resize(i)v r2 r7
grow:
 ADDI_I r4 r4 4
 ADDI_I r10 r10 -1
 JGTI_I r10 0 l
 RETN
bad:
 THROW r8
catch look done done .internal.error.bounds r9

class .main
source main.ph
method run(u)v ordinal 8 RRRRRRII
 LDI r6 0
 NEWARR r2 r6 u
 NEWARR r3 r6 i
 LDI r6 4
 LDI r7 4
 NEWARR r5 r7 u
start:
 ADDI_I r6 r6 -1
 NEW r4 .writer
 SETF r2 r4 .writer refs [u
 SETF r3 r4 .writer ints [i
 SETF r6 r4 .writer first i
 CALLV r4 .internal.bootstrap startThread(u).internal.thread; r1 r4
 AST_R r4 r5 r6
 JGTI_I r6 0 start
wait:
 ALD_R r4 r5 r6
 CALLN r4 join r4
 ADDI_I r6 r6 1
 JLTI_I r6 4 wait
 LDK r4 string "whole\n"
 CALLV r4 .internal.bootstrap consolePrint(u)v r1 r4
 RETN
