# timers: a connection calls its callback, sets itself again in it, and is in the heap; block sleeps
#failures 0
#> slept
#> tick
#> tick
#> tick
#> done

class .main
source main.ph
field boot .internal.bootstrap;
field timer .internal.connection;
field left i
field done .internal.sema;
method tick(i)v ordinal 20 RIRRI
 GETF r2 r0 .main boot .internal.bootstrap;
 LDK r3 string "tick\n"
 CALLV r3 .internal.bootstrap consolePrint(u)v r2 r3
 GETF r4 r0 .main left i
 ADDI_I r4 r4 -1
 SETF r4 r0 .main left i
 JEQI_I r4 0 last
 LDI r4 5
 BOX r3 r4
 LDI r4 0
 GETF r2 r0 .main timer .internal.connection;
 CALLV r4 .internal.connection invoke(ui)i r2 r3 r4
 RETN
last:
 GETF r2 r0 .main done .internal.sema;
 CALLV r3 .internal.sema release()v r2
 RETN
method run(u)v ordinal 8 RRRRIR
 CAST r2 r1 .internal.bootstrap;
 SETF r2 r0 .main boot .internal.bootstrap;
 LDI r4 3
 SETF r4 r0 .main left i
 NEW r5 .internal.sema
 SETF r5 r0 .main done .internal.sema;
 NEW r2 .internal.connection
 SETF r2 r0 .main timer .internal.connection;
 LDK r3 string "tmr:"
 CALLV r4 .internal.connection connect(.internal.string;)i r2 r3
 LDNULL r3
 LDI r4 5
 CALLV r3 .internal.connection block(ui)u r2 r3 r4
 LDK r3 string "slept\n"
 CALLV r3 .internal.bootstrap consolePrint(u)v r1 r3
 LDI r4 20
 CALLV r4 .internal.connection setCallback(ui)i r2 r0 r4
 LDI r4 60000
 BOX r3 r4
 LDI r4 0
 CALLV r4 .internal.connection invoke(ui)i r2 r3 r4
 LDI r4 5
 BOX r3 r4
 LDI r4 0
 CALLV r4 .internal.connection invoke(ui)i r2 r3 r4
 CALLV r3 .internal.sema acquire()v r5
 LDK r3 string "done\n"
 CALLV r3 .internal.bootstrap consolePrint(u)v r1 r3
 RETN
