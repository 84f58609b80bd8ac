/*
 * uaccess.h - copying through the current user mapping with fix-up. Legal in a section only. They never resolve faults: they
 * return how many bytes were NOT copied; cpu->fault_addr/fault_err then tell the first bad byte. Callers use user_fault(c) (posix/include/call.h).
 */
#pragma once
#include "kernel/include/types.h"
size_t user_copy_in(void *dst, uint64_t src, size_t len);
size_t user_copy_out(uint64_t dst, const void *src, size_t len);
size_t user_zero(uint64_t dst, size_t len);
/* Copies until and including NUL, at most len bytes. >= 0 string length; -EFAULT (see fault_addr), -ENAMETOOLONG. */
long user_copy_string(char *dst, uint64_t src, size_t len);
/* 0 or -EFAULT; *old gets the word that was there. */
int user_cmpxchg32(uint64_t addr, uint32_t expect, uint32_t desired, uint32_t *old);
int user_read32(uint64_t addr, uint32_t *value);
int user_read64(uint64_t addr, uint64_t *value);
