# exceptions
#failures 1
#> uncaught in thread 1: .internal.error.unavailable: .internal.window.getX is not available on this machine
#>         at .main.run

class .oops extends .internal.error
field code i

class .main
source main.ph
method run(u)v ordinal 8 RRRRR
 LDK r3 string "\n"
 NEW r4 .internal.window
 CALLN r2 getX r4
 RETN
