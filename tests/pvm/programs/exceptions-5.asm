# exceptions
#failures 1
#> uncaught in thread 1: .internal.error.link: .nothing: no such class
#>         at .main.run

class .oops extends .internal.error
field code i

class .main
source main.ph
method run(u)v ordinal 8 RRRRR
 LDK r3 string "\n"
 NEW r4 .nothing
 RETN
