/*
 * fb.c - drawing glyphs on a linear frame buffer of 32 (or 24, 16, 15) bits a pixel, mapped write-combining.
 *
 * Cost: for the usual 32 bits a glyph is drawn by eight-byte stores of two pixels; the four pairs that two bits of a
 * glyph can be are made once for each pair of colours. About 300 instructions a character, 130 a blank. On screens
 * wider than SCALE_WIDTH glyphs are drawn twice as large. The number of cells is bounded by the console block; what
 * remains of a larger screen stays dark.
 */
#include <console_font.h>
#include "kernel/drivers/video/blocks.h"
#include "kernel/drivers/video/console_block.h"
#include "kernel/drivers/video/fb.h"
#include "kernel/drivers/video/psf.h"
#include "kernel/include/arch/io.h"
#include "kernel/include/boot.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/lib/string.h"

#define GLYPH_WIDTH 8
#define HEIGHT_MAX  BLOCKS_HEIGHT_MAX
#define SCALE_WIDTH 1600
#define FONT_CODES  2048

static struct {
        uint8_t *base; /* NULL: no frame buffer */
        uint32_t pitch, width, height, bytes_per_pixel;
        uint8_t red_pos, green_pos, blue_pos;
        uint8_t red_bits, green_bits, blue_bits;
        unsigned scale, cell_width, cell_height;
        unsigned rows, cols;
        struct psf_font font;
        /* Pairs of pixels for the colours last used. */
        uint32_t pair_fg, pair_bg;
        uint64_t pair[4];
        bool pair_valid;
} fb;

static uint32_t pixel(uint32_t rgb)
{
        uint32_t r = rgb >> 16 & 0xff, g = rgb >> 8 & 0xff, b = rgb & 0xff;

        return r >> (8 - fb.red_bits) << fb.red_pos | g >> (8 - fb.green_bits) << fb.green_pos |
               b >> (8 - fb.blue_bits) << fb.blue_pos;
}

static uint8_t *cell_address(unsigned row, unsigned col)
{
        return fb.base + (size_t)row * fb.cell_height * fb.pitch + (size_t)col * fb.cell_width * fb.bytes_per_pixel;
}

static void make_pairs(uint32_t fg, uint32_t bg)
{
        if (fb.pair_valid && fb.pair_fg == fg && fb.pair_bg == bg)
                return;
        fb.pair_fg = fg;
        fb.pair_bg = bg;
        fb.pair_valid = true;
        for (unsigned i = 0; i < 4; i++) {
                uint64_t left = pixel(i & 2 ? fg : bg), right = pixel(i & 1 ? fg : bg);

                fb.pair[i] = left | right << 32;
        }
}

static bool is_plain(const struct fb_cell *c)
{
        return !(c->bold | c->italic | c->strike) && !(c->underline | c->cursor);
}

/* The rows of a character with what is drawn over and under it: one byte for eight pixels. */
static void compose_glyph(const struct fb_cell *c, const uint8_t *glyph, uint8_t *rows)
{
        unsigned h = fb.font.height;

        for (unsigned y = 0; y < h; y++) {
                uint8_t bits = glyph[y];

                if (c->bold)
                        bits |= bits >> 1;
                if (c->italic)
                        bits = y < h / 3 ? bits >> 1 : y >= 2 * h / 3 ? bits << 1 : bits;
                rows[y] = bits;
        }
        if (c->underline)
                rows[h - 2] = c->underline == 3 ? 0xcc : 0xff;
        if (c->underline == 2)
                rows[h - 4] = 0xff;
        if (c->underline == 3)
                rows[h - 1] = 0x33;
        if (c->strike)
                rows[h / 2] = 0xff;
}

/* 1 a block, 2 an underline, 3 a bar at the left (libvterm's numbers). */
static void compose_cursor(unsigned shape, uint8_t *rows)
{
        unsigned h = fb.font.height;

        for (unsigned y = 0; y < h; y++)
                if (shape == 1)
                        rows[y] = ~rows[y];
                else if (shape == 3)
                        rows[y] ^= 0xc0;
                else if (y >= h - 2)
                        rows[y] = ~rows[y];
}

static void draw_rows32(uint8_t *at, const uint8_t *rows)
{
        const uint64_t pair[4] = {fb.pair[0], fb.pair[1], fb.pair[2], fb.pair[3]};
        const uint8_t *end = rows + fb.font.height;
        size_t pitch = fb.pitch;

        for (; rows < end; rows++, at += pitch) {
                uint64_t *p = (uint64_t *)at;
                unsigned bits = *rows;

                p[0] = pair[bits >> 6];
                p[1] = pair[bits >> 4 & 3];
                p[2] = pair[bits >> 2 & 3];
                p[3] = pair[bits & 3];
        }
}

/* Twice as large: each pixel is a pair of equal ones, on two lines. */
static void draw_rows32_double(uint8_t *at, const uint8_t *rows)
{
        const uint64_t colours[2] = {fb.pair[0], fb.pair[3]};
        const uint8_t *end = rows + fb.font.height;
        size_t pitch = fb.pitch;

        for (; rows < end; rows++, at += 2 * pitch) {
                uint64_t *p = (uint64_t *)at, *q = (uint64_t *)(at + pitch);
                unsigned bits = *rows;

                for (unsigned i = 0; i < GLYPH_WIDTH; i++)
                        p[i] = q[i] = colours[bits >> (GLYPH_WIDTH - 1 - i) & 1];
        }
}

/* Any depth and scale: a row is put together in memory and copied as often as the scale says. */
static void draw_rows(uint8_t *at, const uint8_t *rows, uint32_t fg, uint32_t bg)
{
        uint8_t line[GLYPH_WIDTH * 2 * 4];
        uint32_t colours[2] = {pixel(bg), pixel(fg)};
        unsigned n = GLYPH_WIDTH * fb.scale;

        for (unsigned y = 0; y < fb.font.height; y++) {
                for (unsigned x = 0; x < n; x++)
                        memcpy(line + x * fb.bytes_per_pixel, &colours[rows[y] >> (7 - x / fb.scale) & 1],
                               fb.bytes_per_pixel);
                for (unsigned i = 0; i < fb.scale; i++, at += fb.pitch)
                        memcpy(at, line, n * fb.bytes_per_pixel);
        }
}

void fb_draw(unsigned row, unsigned col, const struct fb_cell *c)
{
        const uint8_t *rows;
        uint8_t own[HEIGHT_MAX], geometry[HEIGHT_MAX];

        if (c->code >= 0x2500 && blocks_draw(c->code, fb.font.height, geometry))
                rows = geometry;
        else
                rows = psf_glyph(&fb.font, c->code);
        if (!is_plain(c)) {
                compose_glyph(c, rows, own);
                if (c->cursor)
                        compose_cursor(c->cursor, own);
                rows = own;
        }
        for (unsigned i = 0; i < c->columns; i++) {
                uint8_t *at = cell_address(row, col + i);

                if (fb.bytes_per_pixel != 4) {
                        draw_rows(at, rows, c->fg, c->bg);
                        continue;
                }
                make_pairs(c->fg, c->bg);
                if (fb.scale == 1)
                        draw_rows32(at, rows);
                else
                        draw_rows32_double(at, rows);
        }
}

static void fill_line(uint8_t *at, size_t npixels, uint32_t value)
{
        if (fb.bytes_per_pixel == 4) {
                uint64_t two = value | (uint64_t)value << 32, count = npixels / 2;

                __asm__ volatile("rep stosq" : "+D"(at), "+c"(count) : "a"(two) : "memory");
                if (npixels & 1)
                        *(uint32_t *)at = value;
                return;
        }
        for (size_t i = 0; i < npixels; i++)
                memcpy(at + i * fb.bytes_per_pixel, &value, fb.bytes_per_pixel);
}

void fb_blank(unsigned row, unsigned col, unsigned ncells, uint32_t bg)
{
        uint8_t *at = cell_address(row, col);
        uint32_t value = pixel(bg);

        for (unsigned y = 0; y < fb.cell_height; y++, at += fb.pitch)
                fill_line(at, ncells * fb.cell_width, value);
}

void fb_flush(void)
{
        io_wmb();
}

bool fb_present(void)
{
        return fb.base;
}

unsigned fb_rows(void)
{
        return fb.rows;
}

unsigned fb_cols(void)
{
        return fb.cols;
}

static bool set_format(unsigned bpp)
{
        fb.bytes_per_pixel = (bpp + 7) / 8;
        fb.red_pos = boot_info.fb.red_pos;
        fb.green_pos = boot_info.fb.green_pos;
        fb.blue_pos = boot_info.fb.blue_pos;
        fb.red_bits = fb.green_bits = fb.blue_bits = bpp >= 24 ? 8 : 5;
        if (bpp == 16)
                fb.green_bits = 6;
        return bpp == 32 || bpp == 24 || bpp == 16 || bpp == 15;
}

static void set_geometry(void)
{
        fb.scale = fb.width >= SCALE_WIDTH ? 2 : 1;
        fb.cell_width = GLYPH_WIDTH * fb.scale;
        fb.cell_height = fb.font.height * fb.scale;
        fb.cols = MIN(fb.width / fb.cell_width, (unsigned)CONSOLE_COLS_MAX);
        fb.rows = MIN(fb.height / fb.cell_height, (unsigned)CONSOLE_ROWS_MAX);
        if (fb.cols)
                fb.rows = MIN(fb.rows, CONSOLE_CELLS_MAX / fb.cols);
}

bool fb_init(void)
{
        static struct psf_code codes[FONT_CODES];
        uint8_t *base;

        if (!boot_info.fb.pa)
                return false;
        fb.width = boot_info.fb.width;
        fb.height = boot_info.fb.height;
        fb.pitch = boot_info.fb.pitch;
        if (!set_format(boot_info.fb.bpp) || fb.pitch < fb.width * fb.bytes_per_pixel) {
                klog(LOG_WARN, "screen: %u bits a pixel are not supported", boot_info.fb.bpp);
                return false;
        }
        if (psf_open(&fb.font, console_font, console_font_size, codes, FONT_CODES) < 0 ||
            fb.font.width != GLYPH_WIDTH || fb.font.height > HEIGHT_MAX || fb.font.height < BLOCKS_HEIGHT_MIN) {
                klog(LOG_WARN, "screen: the font cannot be used");
                return false;
        }
        set_geometry();
        if (fb.rows < 10 || fb.cols < 40) {
                klog(LOG_WARN, "screen: %ux%u is too small", fb.width, fb.height);
                return false;
        }
        base = mmio_map(boot_info.fb.pa, (size_t)fb.pitch * fb.height, true);
        if (!base)
                return false;
        fb.base = base;
        for (unsigned y = 0; y < fb.height; y++)
                fill_line(base + (size_t)y * fb.pitch, fb.width, 0);
        fb_flush();
        return true;
}
