/* dis.h - a class file as text. */
#pragma once
#include "pvm/file.h"

/* The file was opened; its code need not be verified. Lines go to put, without the end of the line. */
void pvm_disassemble(const struct pvm_file *f, void (*put)(void *arg, const char *line), void *arg);
