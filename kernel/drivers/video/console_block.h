/*
 * console_block.h - what survives of a virtual terminal: one block of plain data, without pointers, in the persistent
 * space (until a terminal is attached, a smaller one of the same shape in volatile memory). Every field may be read
 * after a reboot by a newer kernel of the same version and has to be checked as input: a bad value must never lead
 * outside of the block.
 *
 * Rows of cells are found through a map (`slot`), so that scrolling moves bytes, not cells, and dirties one page. Cells
 * at and after `used` in a row are blank without having been written. All zero is a valid blank screen.
 */
#pragma once
#include "kernel/include/types.h"

#define CONSOLE_MAGIC     0x54564850u /* "PHVT" */
#define CONSOLE_VERSION   1u
#define CONSOLE_ROWS_MAX  96
#define CONSOLE_COLS_MAX  256
#define CONSOLE_CELLS_MAX 8192 /* rows * cols at most: bounds what one section dirties */
#define CONSOLE_RING                                                                                                   \
        (96u *                                                                                                         \
         1024) /* bytes of scrollback: 1000 full lines of 80 columns; the block is 57 pages, one section makes it */
#define CONSOLE_RING_EARLY (12u * 1024)

/*
 * A character cell in eight bytes, so that the block stays below what one section may dirty. Colours have 17 bits: a
 * flag in `ch`, and in `colours` (foreground low, background high) 0 for the default, 1 to 256 for the palette, or with
 * the flag set red, green and blue in 5, 6 and 5 bits. All zero: a blank in default colours.
 */
struct console_cell {
        uint32_t ch; /* CELL_* */
        uint32_t colours;
};
#define CELL_CODE        0x001fffffu /* code point; 0 draws as a space */
#define CELL_WIDE        0x00200000u /* left half of a wide character */
#define CELL_TAIL        0x00400000u /* right half of one */
#define CELL_PROTECTED   0x00800000u /* against selective erase (DECSCA) */
#define CELL_CURSOR      0x00800000u /* the same bit while drawing */
#define CELL_BOLD        0x01000000u
#define CELL_ITALIC      0x02000000u
#define CELL_REVERSE     0x04000000u
#define CELL_STRIKE      0x08000000u
#define CELL_UNDERLINE   0x30000000u /* 0 to 3: none, single, double, curly */
#define CELL_UNDERLINE_1 0x10000000u
#define CELL_FG_RGB      0x40000000u
#define CELL_BG_RGB      0x80000000u
#define CELL_ATTRIBUTES  (CELL_BOLD | CELL_ITALIC | CELL_REVERSE | CELL_STRIKE | CELL_UNDERLINE)
#define CELL_PEN         (CELL_ATTRIBUTES | CELL_FG_RGB | CELL_BG_RGB) /* with `colours`: how a character looks */

/* Colours outside of cells. */
#define COLOUR_DEFAULT 0x00000000u
#define COLOUR_INDEX   0x01000000u /* + palette index */
#define COLOUR_RGB     0x02000000u /* + red << 16 | green << 8 | blue */
#define COLOUR_KIND    0xff000000u

/* The parser between two bytes (escape.c). */
struct console_parser {
        uint8_t state, nargs, leader, nintermed;
        char intermed[2];
        uint8_t ignore; /* the sequence is broken: wait for its end, do nothing */
        uint8_t string_kind, string_len;
        uint8_t utf8_left, utf8_len;
        uint8_t pad;
        uint32_t code; /* bits of the character so far */
        uint32_t args[16];
        char string[64];
};

struct console_pen {
        uint32_t attributes; /* CELL_ATTRIBUTES */
        uint32_t fg, bg;     /* COLOUR_* */
        uint8_t font, blink, pad[2];
};

/* The emulator between two bytes: libvterm's state in our words. */
struct console_emulator {
        int16_t row, col;
        int16_t top, bottom, left, right; /* scroll region; bottom, right -1: none */
        int16_t saved_row, saved_col;
        int16_t last_row, last_col; /* of the last character, for REP */
        uint32_t last_code;
        uint8_t last_width;
        uint8_t phantom;    /* the last column was written; the next character wraps first */
        uint8_t charset[4]; /* designation: 'u', '0', 'A', 'B' */
        uint8_t gl, gr, single_shift;
        uint8_t protect;
        uint8_t mouse_flags, mouse_protocol;
        uint8_t saved_cursor; /* EMU_CURSOR_* */
        uint8_t eight_bit_controls;
        uint32_t modes; /* EMU_* */
        struct console_pen pen, saved_pen;
        uint8_t tabs[CONSOLE_COLS_MAX / 8];
};
#define EMU_KEYPAD             0x0001u
#define EMU_CURSOR_KEYS        0x0002u
#define EMU_AUTOWRAP           0x0004u
#define EMU_INSERT             0x0008u
#define EMU_NEWLINE            0x0010u
#define EMU_VISIBLE            0x0020u
#define EMU_BLINK              0x0040u
#define EMU_SHAPE              0x0180u /* VTERM_PROP_CURSORSHAPE_* << 7 */
#define EMU_SHAPE_SHIFT        7
#define EMU_ALT_SCREEN         0x0200u
#define EMU_ORIGIN             0x0400u
#define EMU_REVERSE            0x0800u
#define EMU_MARGINS            0x1000u
#define EMU_PASTE              0x2000u
#define EMU_FOCUS              0x4000u
#define EMU_CURSOR_VISIBLE     0x01u
#define EMU_CURSOR_BLINK       0x02u
#define EMU_CURSOR_SHAPE_SHIFT 2

struct console_screen {
        uint8_t slot[CONSOLE_ROWS_MAX];  /* by row */
        uint16_t used[CONSOLE_ROWS_MAX]; /* by slot */
};

struct console_block {
        uint32_t magic, version;
        uint16_t rows, cols;
        uint32_t ring_size;
        uint8_t has_alt;
        uint8_t active; /* screen shown: 0 normal, 1 alternate */
        uint8_t pad[6];
        /*
         * Scrollback: bytes of the ring (scrollback.c). Positions run on for ever; the oldest line is at `ring_tail`.
         */
        uint64_t ring_head, ring_tail;
        uint64_t lines_pushed, lines_dropped;
        struct console_parser parser;
        struct console_emulator emu;
        struct console_screen screen[2];
        uint8_t pad_to_page[4096 - 56 - sizeof(struct console_parser) - sizeof(struct console_emulator) -
                            2 * sizeof(struct console_screen)];
        struct console_cell cells[CONSOLE_CELLS_MAX]; /* the normal screen; row in slot s at s * cols */
        /* Follow: uint8_t ring[ring_size]; and, if has_alt, struct console_cell alt[CONSOLE_CELLS_MAX]. */
};
_Static_assert(offsetof(struct console_block, cells) == PAGE_SIZE, "the head is one page");
_Static_assert(sizeof(struct console_cell) == 8, "no padding");
_Static_assert(CONSOLE_RING % PAGE_SIZE == 0 && CONSOLE_RING_EARLY % PAGE_SIZE == 0, "the parts are whole pages");

static inline uint32_t colour_pack(uint32_t c)
{
        if ((c & COLOUR_KIND) == COLOUR_INDEX)
                return (c & 0xff) + 1;
        if ((c & COLOUR_KIND) == COLOUR_RGB)
                return (c >> 8 & 0xf800) | (c >> 5 & 0x07e0) | (c >> 3 & 0x001f);
        return 0;
}
static inline uint32_t colour_unpack(uint32_t bits, bool rgb)
{
        uint32_t r = bits >> 11 & 0x1f, g = bits >> 5 & 0x3f, b = bits & 0x1f;

        if (rgb)
                return COLOUR_RGB | (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
        return bits ? COLOUR_INDEX | ((bits - 1) & 0xff) : COLOUR_DEFAULT;
}
static inline uint32_t cell_fg(const struct console_cell *c)
{
        return colour_unpack(c->colours & 0xffff, c->ch & CELL_FG_RGB);
}
static inline uint32_t cell_bg(const struct console_cell *c)
{
        return colour_unpack(c->colours >> 16, c->ch & CELL_BG_RGB);
}
static inline void cell_colour(struct console_cell *c, uint32_t fg, uint32_t bg)
{
        c->ch &= ~(CELL_FG_RGB | CELL_BG_RGB);
        c->ch |= ((fg & COLOUR_KIND) == COLOUR_RGB ? CELL_FG_RGB : 0) |
                 ((bg & COLOUR_KIND) == COLOUR_RGB ? CELL_BG_RGB : 0);
        c->colours = colour_pack(fg) | colour_pack(bg) << 16;
}

static inline size_t console_block_bytes(uint32_t ring_size, bool has_alt)
{
        return sizeof(struct console_block) + ring_size +
               (has_alt ? CONSOLE_CELLS_MAX * sizeof(struct console_cell) : 0);
}
static inline uint8_t *console_ring(struct console_block *b)
{
        return (uint8_t *)(b + 1);
}
static inline struct console_cell *console_cells(struct console_block *b, unsigned screen)
{
        return screen ? (struct console_cell *)(console_ring(b) + b->ring_size) : b->cells;
}
