# ksyms.awk - `nm -n kernel.elf` in, the symbol table of kernel/include/ksym.h as assembly out.
# Functions only, in the order of their addresses; the assembler's local labels are left out.
$2 ~ /^[tTW]$/ && $3 !~ /^\.L/ { addr[n] = $1; name[n++] = $3 }
END {
        print ".section .rodata.ksyms, \"a\"\n.balign 8\n.globl ksyms, ksyms_count\nksyms:"
        for (i = 0; i < n; i++) {
                print ".quad 0x" addr[i] ", 1f + " at + 0
                at += length(name[i]) + 1
        }
        print "ksyms_count: .long " n + 0 "\n1:"
        for (i = 0; i < n; i++)
                print ".asciz \"" name[i] "\""
        print ".section .note.GNU-stack, \"\", @progbits"
}
