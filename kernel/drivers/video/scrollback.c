/*
 * scrollback.c - a line in the ring: u16 length, body, u16 length (the same, to walk backwards). The length counts the
 * body. Body: UTF-8, with controls among it:
 *     MARK_PEN kinds attributes fg... bg...  the pen from here on; kinds tells which colours follow, in two bytes each
 *     MARK_BLANKS n                          n blank cells
 * A wide character's right half is not stored. A line wraps over the ring's end like any other byte.
 */
#include "kernel/drivers/video/scrollback.h"
#include "kernel/lib/string.h"

#define MARK_PEN    0x01
#define MARK_BLANKS 0x02
#define PEN_BYTES   7    /* at most */
#define PEN_FG      0x01 /* kinds: the colour is not the default, and follows */
#define PEN_BG      0x02
#define PEN_FG_RGB  0x04 /* CELL_FG_RGB >> 28 */
#define PEN_BG_RGB  0x08
#define FRAME_BYTES 4 /* the two lengths */

static uint8_t *at(struct console_block *b, uint64_t pos)
{
        return console_ring(b) + pos % b->ring_size;
}

static unsigned get16(struct console_block *b, uint64_t pos)
{
        return *at(b, pos) | *at(b, pos + 1) << 8;
}

static void drop_oldest(struct console_block *b)
{
        b->ring_tail += get16(b, b->ring_tail) + FRAME_BYTES;
        b->lines_dropped++;
        if (b->ring_tail > b->ring_head) { /* the length was damaged: begin anew */
                b->ring_tail = b->ring_head;
                b->lines_dropped = b->lines_pushed;
        }
}

/* A body under construction, in volatile memory. */
struct body {
        uint8_t bytes[SCROLLBACK_LINE_MAX(CONSOLE_COLS_MAX)];
        unsigned len, room; /* room leaves 4 bytes for each cell to come */
};

static void put(struct body *body, uint8_t byte)
{
        body->bytes[body->len++] = byte;
}

static void put_code(struct body *body, uint32_t code)
{
        if (code < 0x80) {
                put(body, code < 0x20 ? ' ' : code);
                return;
        }
        if (code < 0x800) {
                put(body, 0xc0 | code >> 6);
        } else {
                if (code < 0x10000) {
                        put(body, 0xe0 | code >> 12);
                } else {
                        put(body, 0xf0 | code >> 18);
                        put(body, 0x80 | (code >> 12 & 0x3f));
                }
                put(body, 0x80 | (code >> 6 & 0x3f));
        }
        put(body, 0x80 | (code & 0x3f));
}

static void put_pen(struct body *body, const struct console_cell *c)
{
        uint8_t kinds = (c->ch & (CELL_FG_RGB | CELL_BG_RGB)) >> 28;

        kinds |= (c->colours & 0xffff ? PEN_FG : 0) | (c->colours >> 16 ? PEN_BG : 0);
        put(body, MARK_PEN);
        put(body, kinds);
        put(body, (c->ch & CELL_ATTRIBUTES) >> 24);
        if (kinds & PEN_FG) {
                put(body, c->colours);
                put(body, c->colours >> 8);
        }
        if (kinds & PEN_BG) {
                put(body, c->colours >> 16);
                put(body, c->colours >> 24);
        }
}

static bool same_pen(const struct console_cell *a, const struct console_cell *b)
{
        return a->colours == b->colours && ((a->ch ^ b->ch) & CELL_PEN) == 0;
}

static bool is_blank(const struct console_cell *c)
{
        uint32_t ch = c->ch & ~CELL_PROTECTED;

        return (ch == 0 || ch == ' ') && c->colours == 0;
}

static bool is_ascii(const struct console_cell *c)
{
        uint32_t code = c->ch & (CELL_CODE | CELL_TAIL);

        return code > ' ' && code < 0x7f;
}

static unsigned blanks(const struct console_cell *cells, unsigned ncells)
{
        unsigned n = 0;

        while (n < ncells && n < 255 && is_blank(&cells[n]))
                n++;
        return n;
}

static void pack(struct body *body, const struct console_cell *cells, unsigned ncells)
{
        struct console_cell pen = {0};

        body->len = 0;
        for (unsigned i = 0; i < ncells;) {
                const struct console_cell *c = &cells[i];
                unsigned n;

                if (is_ascii(c) && same_pen(c, &pen)) { /* nearly always */
                        put(body, c->ch);
                        i++;
                        continue;
                }
                n = blanks(c, ncells - i);
                if (n > 1) {
                        put(body, MARK_BLANKS);
                        put(body, n);
                        i += n;
                        continue;
                }
                i++;
                if (c->ch & CELL_TAIL)
                        continue;
                if (!same_pen(c, &pen) && body->len + PEN_BYTES + 4 * (ncells - i + 1) <= sizeof(body->bytes) &&
                    body->len + PEN_BYTES + 4 * (ncells - i + 1) <= SCROLLBACK_LINE_MAX(ncells)) {
                        put_pen(body, c);
                        pen = *c;
                }
                put_code(body, c->ch & CELL_CODE);
        }
}

void scrollback_push(struct console_block *b, const struct console_cell *cells, unsigned ncells)
{
        struct body body;
        unsigned total, start, first;

        while (ncells && is_blank(&cells[ncells - 1]))
                ncells--;
        pack(&body, cells, MIN(ncells, (unsigned)CONSOLE_COLS_MAX));
        total = body.len + FRAME_BYTES;
        while (b->ring_head + total - b->ring_tail > b->ring_size)
                drop_oldest(b);

        *at(b, b->ring_head) = *at(b, b->ring_head + 2 + body.len) = body.len & 0xff;
        *at(b, b->ring_head + 1) = *at(b, b->ring_head + 3 + body.len) = body.len >> 8;
        start = (b->ring_head + 2) % b->ring_size;
        first = MIN(body.len, b->ring_size - start);
        memcpy(console_ring(b) + start, body.bytes, first);
        memcpy(console_ring(b), body.bytes + first, body.len - first);
        b->ring_head += total;
        b->lines_pushed++;
}

void scrollback_clear(struct console_block *b)
{
        b->ring_tail = b->ring_head;
        b->lines_dropped = b->lines_pushed;
}

unsigned scrollback_lines(const struct console_block *b)
{
        return b->lines_pushed - b->lines_dropped;
}

/* Reading: the body from `pos` to `end`. What was damaged reads as blanks. */
struct reader {
        struct console_block *b;
        uint64_t pos, end;
};

static uint8_t next(struct reader *r)
{
        return r->pos < r->end ? *at(r->b, r->pos++) : 0;
}

static uint32_t next_colour(struct reader *r)
{
        uint32_t low = next(r);

        return low | next(r) << 8;
}

static struct console_cell next_pen(struct reader *r)
{
        uint8_t kinds = next(r);
        struct console_cell pen = {.ch = (uint32_t)next(r) << 24 & CELL_ATTRIBUTES};

        pen.ch |= (uint32_t)(kinds & (PEN_FG_RGB | PEN_BG_RGB)) << 28;
        if (kinds & PEN_FG)
                pen.colours = next_colour(r);
        if (kinds & PEN_BG)
                pen.colours |= next_colour(r) << 16;
        return pen;
}

static uint32_t next_code(struct reader *r, uint8_t lead)
{
        unsigned more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        uint32_t code = more ? lead & (0x3f >> more) : lead;

        while (more--)
                code = code << 6 | (next(r) & 0x3f);
        return code & CELL_CODE;
}

static void unpack(struct reader *r, struct console_cell *cells, unsigned ncells, int (*width)(uint32_t))
{
        struct console_cell pen = {0};
        unsigned i = 0;

        while (i < ncells && r->pos < r->end) {
                uint8_t lead = next(r);

                if (lead == MARK_BLANKS) {
                        i += next(r);
                        continue;
                }
                if (lead == MARK_PEN) {
                        pen = next_pen(r);
                        continue;
                }
                cells[i] = pen;
                cells[i].ch |= next_code(r, lead);
                if (i + 1 < ncells && width(cells[i].ch & CELL_CODE) == 2) {
                        cells[i].ch |= CELL_WIDE;
                        cells[++i] = pen;
                        cells[i].ch |= CELL_TAIL;
                }
                i++;
        }
}

bool scrollback_read(struct console_block *b, unsigned back, struct console_cell *cells, unsigned ncells,
                     int (*width)(uint32_t))
{
        uint64_t end = b->ring_head;
        unsigned len = 0;

        memset(cells, 0, ncells * sizeof(*cells));
        if (back >= scrollback_lines(b))
                return false;
        for (unsigned i = 0; i <= back; i++) {
                if (end < b->ring_tail + FRAME_BYTES)
                        return false;
                len = get16(b, end - 2);
                if (len + FRAME_BYTES > end - b->ring_tail)
                        return false;
                end -= len + FRAME_BYTES;
        }
        unpack(&(struct reader){b, end + 2, end + 2 + len}, cells, ncells, width);
        return true;
}

void scrollback_check(struct console_block *b)
{
        bool fits = b->ring_tail <= b->ring_head && b->ring_head - b->ring_tail <= b->ring_size &&
                    b->lines_dropped <= b->lines_pushed &&
                    b->lines_pushed - b->lines_dropped <= b->ring_size / FRAME_BYTES;

        if (fits)
                return;
        b->ring_head = b->ring_tail = 0;
        b->lines_pushed = b->lines_dropped = 0;
}
