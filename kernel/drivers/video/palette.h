/* palette.h - what the colours of cells look like. */
#pragma once
#include "kernel/include/types.h"

#define PALETTE_FG 0xc8c8c8u
#define PALETTE_BG 0x000000u

/* 0xrrggbb of a COLOUR_*; `otherwise` for the default. Bold makes the first eight bright, as programs expect. */
uint32_t palette_rgb(uint32_t colour, uint32_t otherwise, bool bold);
