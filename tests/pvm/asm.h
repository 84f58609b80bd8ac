/*
 * asm.h - an assembler for tests: text, much like what `pvm dis` prints, to a class file.
 *
 *   class .a.b [extends .c] [implements .d .e] [interface|abstract|final]
 *   source NAME
 *   field [static|private|const|public|final] NAME DESCRIPTOR
 *   method [static|private|abstract|final|public] NAME(PARAMS)RESULT [ordinal N] [REGISTERS]     REGISTERS: a letter each, IILFDR
 *   LABEL:
 *   INSTRUCTION OPERANDS       registers r0 ..., labels, names; a class .x.y, a field: .x.y NAME DESCRIPTOR, a method: .x.y NAME(PARAMS)RESULT
 *   LDK rN int|long|float|double NUMBER, string "TEXT", bytes "TEXT", class .x.y
 *   catch FROM TO TARGET all|.class rN
 *   line N
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* A class file, by malloc. Ends the program with a message when the text is wrong. */
uint8_t *pvm_assemble(const char *text, size_t *size);
