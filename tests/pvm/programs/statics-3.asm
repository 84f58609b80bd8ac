# statics: a .static for which there is no stack has not run, and runs when there is
#failures 0
#calm
#> .internal.error.stack 41

class .counted
field static n i
method static .static()v IIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII
 LDI r0 41
 SETS r0 .counted n i
 RETN

class .main
source main.ph
method down(i)i RIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII
 JEQI_I r1 0 end
 ADDI_I r2 r1 -1
 CALLV r2 .main down(i)i r0 r2
 RET r2
end:
 GETS r2 .counted n i
 RET r2
method run(u)v ordinal 8 RRRRIRIR
 LDI r4 700
again:
 ADDI_I r4 r4 -1
a:
 CALLV r6 .main down(i)i r0 r4
b:
 LDK r3 string " "
 CONCAT r2 r7 r3 r6
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r2
 LDK r3 string "\n"
 CALLV r2 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
c:
 CALLV r2 .internal.object getClass().internal.class; r5
 CALLV r7 .internal.class getName().internal.string; r2
 JMP again
 catch a b c all r5
