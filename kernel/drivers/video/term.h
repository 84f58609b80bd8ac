/*
 * term.h - the terminal emulator of one virtual terminal, over a console block. libvterm interprets control and escape
 * sequences; parsing, text, cells and scrollback are here. No device access and no kernel services: also built hosted.
 *
 * libvterm's state is volatile. At the end of each term_write all of it that matters is in the block (struct
 * console_emulator), and term_restore makes an equal one from there. Not locked: one writer at a time. Readers on other
 * CPUs (drawing) may read cells while they are written: they see a mixture, and the row is marked dirty afterwards.
 */
#pragma once
#include "kernel/drivers/video/console_block.h"

struct VTerm;
struct VTermState;

struct term {
        struct console_block *b;
        struct VTerm *vt;
        struct VTermState *state;
        struct console_cell pen; /* what a cell written now gets, without its code */
        /* Set after a row's cells were changed; cleared by who draws, with a full barrier. */
        uint8_t dirty[CONSOLE_ROWS_MAX];
        unsigned pushed_bytes;                                   /* into the ring, in this term_write */
        bool stop;                                               /* this term_write has dirtied what a section may */
        void (*reply)(void *arg, const char *bytes, size_t len); /* answers to queries: input of the program */
        void (*bell)(void *arg);
        void *arg;
        char memory[4096]; /* for libvterm; it asks at set-up only */
        size_t memory_used;
};

/* A new terminal: the block's zero-filled memory gets its head. rows * cols <= CONSOLE_CELLS_MAX. */
void term_create(struct term *t, struct console_block *b, uint32_t ring_size, bool has_alt, unsigned rows,
                 unsigned cols);
/*
 * The terminal that is in the block. Only reads it. 0, -EINVAL (not one of this version), -ERANGE (it has another
 * size).
 */
int term_restore(struct term *t, struct console_block *b, unsigned rows, unsigned cols);
/* Turn a block that term_restore refused with -ERANGE into one of this size; scratch has CONSOLE_CELLS_MAX cells. */
void term_reshape(struct console_block *b, unsigned rows, unsigned cols, struct console_cell *scratch);
/*
 * A whole terminal in the zero-filled block `to`, with all that is on `from`'s normal screen and in its scrollback;
 * term_restore goes on there.
 */
void term_copy(struct console_block *to, struct console_block *from);
/* Reads every page of the block that term_write may touch; the block's every page. */
void term_touch(const struct term *t);
void term_touch_all(const struct console_block *b);
/* Interprets bytes. Returns how many: fewer than len when a section should not dirty more pages. */
size_t term_write(struct term *t, const char *bytes, size_t len);

/* Cells of a row of the screen that is shown; *used of them were written, the rest is blank. */
const struct console_cell *term_row(const struct term *t, unsigned row, unsigned *used);
/* Where the cursor is and its shape (VTERM_PROP_CURSORSHAPE_*); false when it is hidden. */
bool term_cursor(const struct term *t, unsigned *row, unsigned *col, unsigned *shape);
int term_width(uint32_t code); /* 0, 1 or 2 columns */
