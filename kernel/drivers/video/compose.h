/* compose.h - a letter and a combining mark as one character, where Unicode has one. */
#pragma once
#include "kernel/include/types.h"

/* The composed character, or 0. */
uint32_t compose(uint32_t base, uint32_t mark);
