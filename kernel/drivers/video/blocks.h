/*
 * blocks.h - characters that are geometry, drawn instead of looked up, so that they join from cell to cell: lines and
 * boxes (U+2500), blocks and shades (U+2580), Braille (U+2800). Pure: also built hosted.
 */
#pragma once
#include "kernel/include/types.h"

#define BLOCKS_HEIGHT_MIN 8
#define BLOCKS_HEIGHT_MAX 32

/* A glyph eight pixels wide into `rows`, a byte for each. False: not such a character. */
bool blocks_draw(uint32_t code, unsigned height, uint8_t *rows);
