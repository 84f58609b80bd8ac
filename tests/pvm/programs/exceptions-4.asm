# exceptions
#failures 1
#> uncaught in thread 1: .internal.error.link: .main: no method none()v
#>         at .main.run

class .oops extends .internal.error
field code i

class .main
source main.ph
method run(u)v ordinal 8 RRRR
 LDK r3 string "\n"
 CALLV r2 .main none()v r0
 RETN
