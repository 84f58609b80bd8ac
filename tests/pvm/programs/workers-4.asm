# threads that run at once: an array for which the tables beside the heap have to grow, while others use them
#failures 0
#calm
#> 4999999

class .other
field end i
method run()v RRI
l:
 GETF r2 r0 .other end i
 NEW r1 .other
 JEQI_I r2 0 l
 RETN

class .main
source main.ph
method run(u)v ordinal 8 RRRRRIL
 NEW r2 .other
 CALLV r3 .internal.bootstrap startThread(u).internal.thread; r1 r2
 LDI r5 5000
 MULI_I r5 r5 100
 MULI_I r5 r5 10
 NEWARR r4 r5 l
 ADDI_I r5 r5 -1
 I2L r6 r5
 AST_L r6 r4 r5
 LDI r5 1
 SETF r5 r2 .other end i
 CALLN r3 join r3
 ALD_L r6 r4 r5
 LEN r5 r4
 ADDI_I r5 r5 -1
 ALD_L r6 r4 r5
 LDK r3 string "\n"
 CONCAT r3 r6 r3
 CALLV r3 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
