/*
 * blocks.c - see blocks.h. Pixels of a row are bits, the leftmost 0x80.
 */
#include "kernel/drivers/video/blocks.h"
#include "kernel/lib/string.h"

#define WIDTH 8

/* How the four arms of a box character look, two bits each: left, right, up, down. From the characters' names. */
enum weight { NONE, LIGHT, HEAVY, DOUBLE };
static const uint8_t arms[128] = {
        0x05, 0x0a, 0x50, 0xa0, 0x05, 0x0a, 0x50, 0xa0, 0x05, 0x0a, 0x50, 0xa0, 0x44, 0x48, 0x84, 0x88,
        0x41, 0x42, 0x81, 0x82, 0x14, 0x18, 0x24, 0x28, 0x11, 0x12, 0x21, 0x22, 0x54, 0x58, 0x64, 0x94,
        0xa4, 0x68, 0x98, 0xa8, 0x51, 0x52, 0x61, 0x91, 0xa1, 0x62, 0x92, 0xa2, 0x45, 0x46, 0x49, 0x4a,
        0x85, 0x86, 0x89, 0x8a, 0x15, 0x16, 0x19, 0x1a, 0x25, 0x26, 0x29, 0x2a, 0x55, 0x56, 0x59, 0x5a,
        0x65, 0x95, 0xa5, 0x66, 0x69, 0x96, 0x99, 0x6a, 0x9a, 0xa6, 0xa9, 0xaa, 0x05, 0x0a, 0x50, 0xa0,
        0x0f, 0xf0, 0x4c, 0xc4, 0xcc, 0x43, 0xc1, 0xc3, 0x1c, 0x34, 0x3c, 0x13, 0x31, 0x33, 0x5c, 0xf4,
        0xfc, 0x53, 0xf1, 0xf3, 0x4f, 0xc5, 0xcf, 0x1f, 0x35, 0x3f, 0x5f, 0xf5, 0xff, 0x44, 0x41, 0x11,
        0x14, 0x00, 0x00, 0x00, 0x01, 0x10, 0x04, 0x40, 0x02, 0x20, 0x08, 0x80, 0x09, 0x90, 0x06, 0x60,
};

struct canvas {
        uint8_t *rows;
        int height;
};

/* Columns x0..x1 of rows y0..y1, both ends in. */
static void fill(struct canvas *c, int x0, int x1, int y0, int y1)
{
        x0 = MAX(x0, 0);
        y0 = MAX(y0, 0);
        x1 = MIN(x1, WIDTH - 1);
        y1 = MIN(y1, c->height - 1);
        for (int y = y0; y <= y1 && x0 <= x1; y++)
                c->rows[y] |= (0xff >> x0) & (0xff << (WIDTH - 1 - x1));
}

/*
 * One axis seen lengthwise: the lines of a weight lie across it at center - off and center + off (double), or from
 * center - off to center + off. The two axes differ in their center only, so boxes are drawn once, with x and y
 * exchanged for the vertical arms.
 */
static const int spread[] = {[NONE] = 0, [LIGHT] = 0, [HEAVY] = 1, [DOUBLE] = 2};

static void line(struct canvas *c, bool vertical, int from, int to, int across0, int across1)
{
        if (vertical)
                fill(c, across0, across1, from, to);
        else
                fill(c, from, to, across0, across1);
}

/*
 * Where one line of an arm that comes from the far end stops, seen from the center of the crossing axis: `near` is the
 * arm on the side that this line is nearer to, `far` the other one; a double one there is met at its first line, one on
 * the far side only is closed at its second.
 */
static int stop(enum weight near, enum weight far)
{
        if (near == DOUBLE)
                return spread[DOUBLE];
        if (far == DOUBLE)
                return -spread[DOUBLE];
        return -spread[MAX(near, far)];
}

/* sign: -1 for the arm towards lower coordinates, 1 towards higher ones. */
static void arm(struct canvas *c, bool vertical, int sign, enum weight w, enum weight low, enum weight high)
{
        int mid = vertical ? c->height / 2 : WIDTH / 2 - 1, mid_across = vertical ? WIDTH / 2 - 1 : c->height / 2;
        int end = sign < 0 ? 0 : (vertical ? c->height : WIDTH) - 1;
        int at_low, at_high;

        if (w == NONE)
                return;
        if (w == DOUBLE) {
                at_low = mid + sign * stop(low, high);
                at_high = mid + sign * stop(high, low);
                line(c, vertical, MIN(at_low, end), MAX(at_low, end), mid_across - 2, mid_across - 2);
                line(c, vertical, MIN(at_high, end), MAX(at_high, end), mid_across + 2, mid_across + 2);
                return;
        }
        /* A single line ends at the nearer line of a double one that passes, and closes one that begins here. */
        at_low = mid + sign * (low == DOUBLE && high == DOUBLE ? spread[DOUBLE] : -spread[MAX(low, high)]);
        line(c, vertical, MIN(at_low, end), MAX(at_low, end), mid_across - spread[w], mid_across + spread[w]);
}

/* Dashes are a line with holes, round corners a corner without its outermost point. */
static void finish_box(struct canvas *c, uint32_t code)
{
        uint8_t holes = 0;

        if (code == 0x2504 || code == 0x2505)
                holes = 0x24;
        if (code == 0x2508 || code == 0x2509)
                holes = 0x55;
        if (code == 0x254c || code == 0x254d)
                holes = 0x18;
        for (int y = 0; y < c->height; y++)
                c->rows[y] &= ~holes;
        if (code == 0x2506 || code == 0x2507)
                c->rows[c->height / 3] = c->rows[2 * c->height / 3] = 0;
        if (code == 0x250a || code == 0x250b)
                c->rows[c->height / 4 - 1] = c->rows[c->height / 2] = c->rows[3 * c->height / 4] = 0;
        if (code == 0x254e || code == 0x254f)
                c->rows[c->height / 2] = c->rows[c->height / 2 - 1] = 0;
        if (code >= 0x256d && code <= 0x2570)
                c->rows[c->height / 2] &= ~(0x80 >> (WIDTH / 2 - 1));
}

static void diagonals(struct canvas *c, bool rising, bool falling)
{
        for (int y = 0; y < c->height; y++) {
                int x = y * WIDTH / c->height;

                if (falling)
                        fill(c, x, x, y, y);
                if (rising)
                        fill(c, WIDTH - 1 - x, WIDTH - 1 - x, y, y);
        }
}

static void box(struct canvas *c, uint32_t code)
{
        uint8_t a = arms[code - 0x2500];
        enum weight left = a & 3, right = a >> 2 & 3, up = a >> 4 & 3, down = a >> 6;

        if (code >= 0x2571 && code <= 0x2573) {
                diagonals(c, code != 0x2572, code != 0x2571);
                return;
        }
        arm(c, false, -1, left, up, down);
        arm(c, false, 1, right, up, down);
        arm(c, true, -1, up, left, right);
        arm(c, true, 1, down, left, right);
        finish_box(c, code);
}

static void shade(struct canvas *c, unsigned level)
{
        static const uint8_t pattern[3][2] = {{0x88, 0x22}, {0xaa, 0x55}, {0x77, 0xdd}};

        for (int y = 0; y < c->height; y++)
                c->rows[y] = pattern[level][y & 1];
}

/* Quarters of the cell: bit 0 upper left, 1 upper right, 2 lower left, 3 lower right. */
static void quadrants(struct canvas *c, unsigned bits)
{
        for (unsigned i = 0; i < 4; i++)
                if (bits >> i & 1)
                        fill(c, i & 1 ? WIDTH / 2 : 0, i & 1 ? WIDTH - 1 : WIDTH / 2 - 1, i & 2 ? c->height / 2 : 0,
                             i & 2 ? c->height - 1 : c->height / 2 - 1);
}

static void block(struct canvas *c, uint32_t code)
{
        static const uint8_t quarters[] = {4, 8, 1, 13, 9, 7, 11, 2, 6, 14}; /* U+2596 to U+259F */
        int h = c->height, n = code - 0x2580;

        if (n == 0)
                fill(c, 0, WIDTH - 1, 0, h / 2 - 1);
        else if (n <= 8) /* lower eighths */
                fill(c, 0, WIDTH - 1, h - h * n / 8, h - 1);
        else if (n <= 0xf) /* left eighths, from seven down */
                fill(c, 0, 15 - n, 0, h - 1);
        else if (n == 0x10)
                fill(c, WIDTH / 2, WIDTH - 1, 0, h - 1);
        else if (n <= 0x13)
                shade(c, n - 0x11);
        else if (n == 0x14)
                fill(c, 0, WIDTH - 1, 0, h / 8 - 1);
        else if (n == 0x15)
                fill(c, WIDTH - 1, WIDTH - 1, 0, h - 1);
        else
                quadrants(c, quarters[n - 0x16]);
}

static void braille(struct canvas *c, unsigned dots)
{
        static const uint8_t row[] = {0, 1, 2, 0, 1, 2, 3, 3}, column[] = {0, 0, 0, 1, 1, 1, 0, 1};

        for (unsigned i = 0; i < 8; i++)
                if (dots >> i & 1) {
                        int x = column[i] ? 5 : 1, y = row[i] * c->height / 4 + c->height / 16;

                        fill(c, x, x + 1, y, y + 1);
                }
}

bool blocks_draw(uint32_t code, unsigned height, uint8_t *rows)
{
        struct canvas c = {rows, height};

        if (code < 0x2500 || (code > 0x259f && (code < 0x2800 || code > 0x28ff)))
                return false;
        memset(rows, 0, height);
        if (code < 0x2580)
                box(&c, code);
        else if (code < 0x25a0)
                block(&c, code);
        else
                braille(&c, code & 0xff);
        return true;
}
