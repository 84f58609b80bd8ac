# exceptions
#failures 1
#> uncaught in thread 1: .internal.int: 0
#>         at .main.run

class .oops extends .internal.error
field code i

class .main
source main.ph
method run(u)v ordinal 8 RRRRIR
 LDK r3 string "\n"
 LDI r4 0
 BOX r5 r4
 THROW r5
 RETN
