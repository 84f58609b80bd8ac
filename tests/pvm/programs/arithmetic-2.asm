# arithmetic
#failures 1
#> uncaught in thread 1: .internal.error.divide: division by zero
#>         at .main.run (main.ph:7)

class .main
source main.ph
method run(u)v ordinal 8 RRRRII
 LDK r3 string "\n"
 line 7
 LDI r4 1
 LDI r5 0
 REM_I r4 r4 r5
 RETN
