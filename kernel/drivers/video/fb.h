/*
 * fb.h - character cells on the loader's linear frame buffer. Drawing only writes to it (reading it back is slow); what
 * is shown is the caller's to remember. Not locked: one drawer at a time.
 */
#pragma once
#include "kernel/include/types.h"

struct fb_cell {
        uint32_t code;
        uint32_t fg, bg;   /* 0xrrggbb */
        uint8_t columns;   /* 1 or 2 */
        uint8_t cursor;    /* 0 or VTERM_PROP_CURSORSHAPE_* */
        uint8_t underline; /* 0 to 3 */
        bool bold, italic, strike;
};

/* Maps and clears it. False: there is none, or none that can be used (said in the log). */
bool fb_init(void);
bool fb_present(void);
/* Size in cells. */
unsigned fb_rows(void);
unsigned fb_cols(void);
void fb_draw(unsigned row, unsigned col, const struct fb_cell *c);
/* A run of blank cells. */
void fb_blank(unsigned row, unsigned col, unsigned ncells, uint32_t bg);
/* After a batch: what was written becomes visible. */
void fb_flush(void);
