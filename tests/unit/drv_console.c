/*
 * drv_console.c - the console's emulator and its persistent block: known streams give known screens; for random streams
 * of text and escape sequences, a terminal that is restored from a copy of its block between any two bytes ends with
 * the same block as one that was not; hostile streams and damaged blocks keep the invariants and stay inside the block
 * (the sanitizers see the rest).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <vterm.h>
#include "kernel/drivers/video/scrollback.h"
#include "kernel/drivers/video/term.h"

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
        seed = seed * 6364136223846793005ul + 1442695040888963407ul;
        return (uint32_t)(seed >> 33) % n;
}

static struct console_block *new_block(void)
{
        return calloc(1, console_block_bytes(CONSOLE_RING, true));
}

static struct console_block *copy_block(const struct console_block *b)
{
        return memcpy(malloc(console_block_bytes(CONSOLE_RING, true)), b, console_block_bytes(CONSOLE_RING, true));
}

static char answer[256];
static size_t answer_len;

static void reply(void *arg, const char *bytes, size_t len)
{
        (void)arg;
        for (size_t i = 0; i < len && answer_len < sizeof(answer) - 1; i++)
                answer[answer_len++] = bytes[i];
}

static struct term *new_term(unsigned rows, unsigned cols)
{
        struct term *t = calloc(1, sizeof(*t));

        term_create(t, new_block(), CONSOLE_RING, true, rows, cols);
        t->reply = reply;
        return t;
}

static void free_term(struct term *t)
{
        free(t->b);
        free(t);
}

static void write_all(struct term *t, const char *bytes, size_t len)
{
        while (len) {
                size_t n = term_write(t, bytes, len);

                assert_true(n > 0 && n <= len);
                bytes += n;
                len -= n;
        }
}

static void say(struct term *t, const char *s)
{
        write_all(t, s, strlen(s));
}

/* T1 to T4 of term.c. */
static void check(const struct term *t)
{
        struct console_block *b = t->b;

        for (unsigned screen = 0; screen < 2; screen++) {
                bool seen[CONSOLE_ROWS_MAX] = {false};

                for (unsigned row = 0; row < b->rows; row++) {
                        unsigned slot = b->screen[screen].slot[row];
                        unsigned used = b->screen[screen].used[slot];
                        struct console_cell *c = console_cells(b, screen) + slot * b->cols;

                        assert_true(slot < b->rows && !seen[slot]);
                        seen[slot] = true;
                        assert_true(used <= b->cols);
                        for (unsigned col = 0; col < used; col++) {
                                bool tail = c[col].ch & CELL_TAIL;
                                bool after_wide = col > 0 && (c[col - 1].ch & CELL_WIDE);

                                assert_int_equal(tail, after_wide);
                        }
                        assert_false(used && (c[used - 1].ch & CELL_WIDE));
                }
        }
        assert_true(b->emu.row >= 0 && b->emu.row < b->rows);
        assert_true(b->emu.col >= 0 && b->emu.col < b->cols);
        assert_true(b->ring_head - b->ring_tail <= b->ring_size);
}

/* A row as text, blanks at the end cut off; other than ASCII as '?'. */
static const char *row_text(const struct term *t, unsigned row)
{
        static char text[4][CONSOLE_COLS_MAX + 1];
        static unsigned turn;
        char *out = text[turn++ % 4];
        unsigned used, len = 0;
        const struct console_cell *c = term_row(t, row, &used);

        for (unsigned col = 0; col < used; col++) {
                uint32_t code = c[col].ch & CELL_CODE;

                out[col] = code == 0 ? ' ' : code < 0x7f ? (char)code : '?';
                if (out[col] != ' ')
                        len = col + 1;
        }
        out[len] = 0;
        return out;
}

static struct console_cell cell(const struct term *t, unsigned row, unsigned col)
{
        unsigned used;
        const struct console_cell *c = term_row(t, row, &used);

        return col < used ? c[col] : (struct console_cell){0};
}

static uint32_t fg(const struct term *t, unsigned row, unsigned col)
{
        struct console_cell c = cell(t, row, col);

        return cell_fg(&c);
}

static uint32_t bg(const struct term *t, unsigned row, unsigned col)
{
        struct console_cell c = cell(t, row, col);

        return cell_bg(&c);
}

static void known_streams(void **state)
{
        struct term *t = new_term(5, 20);
        unsigned row, col, shape;

        (void)state;
        say(t, "hello\r\nworld\033[1;31mX\033[0mY");
        assert_string_equal(row_text(t, 0), "hello");
        assert_string_equal(row_text(t, 1), "worldXY");
        assert_int_equal(fg(t, 1, 5), COLOUR_INDEX | 1);
        assert_true(cell(t, 1, 5).ch & CELL_BOLD);
        assert_int_equal(fg(t, 1, 6), COLOUR_DEFAULT);

        say(t, "\033[2J\033[H0123456789012345678");
        say(t, "9");
        assert_true(term_cursor(t, &row, &col, &shape));
        assert_int_equal(row, 0);
        assert_int_equal(col, 19); /* the wrap waits for the next character */
        say(t, "w");
        assert_string_equal(row_text(t, 1), "w");

        say(t, "\033[2J\033[Ha\r\nb\r\nc\r\nd\r\ne\r\nf"); /* scrolls one line */
        assert_string_equal(row_text(t, 0), "b");
        assert_string_equal(row_text(t, 4), "f");
        assert_int_equal(scrollback_lines(t->b), 1);

        say(t, "\033[2;4r\033[4;1H\n"); /* a region scrolls, and keeps nothing */
        assert_string_equal(row_text(t, 0), "b");
        assert_string_equal(row_text(t, 1), "d");
        assert_string_equal(row_text(t, 3), "");
        assert_string_equal(row_text(t, 4), "f");
        assert_int_equal(scrollback_lines(t->b), 1);
        say(t, "\033[r\033[2;1H\033[L");
        assert_string_equal(row_text(t, 2), "d");
        say(t, "\033[1;1Hxyz\033[1;1H\033[2@");
        assert_string_equal(row_text(t, 0), "  xyz");
        say(t, "\033[3P");
        assert_string_equal(row_text(t, 0), "yz");

        say(t, "\033[?1049h\033[Halt");
        assert_string_equal(row_text(t, 0), "alt");
        say(t, "\033[?1049l");
        assert_string_equal(row_text(t, 0), "yz");

        say(t, "\033c\033(0qx\033(B\016q\017");
        assert_int_equal(cell(t, 0, 0).ch & CELL_CODE, 0x2500);
        assert_int_equal(cell(t, 0, 1).ch & CELL_CODE, 0x2502);

        say(t, "\033c\xe4\xb8\xad!\xc3\xa4"
               "e\xcc\x81");
        assert_true(cell(t, 0, 0).ch & CELL_WIDE);
        assert_true(cell(t, 0, 1).ch & CELL_TAIL);
        assert_int_equal(cell(t, 0, 2).ch, '!');
        assert_int_equal(cell(t, 0, 3).ch, 0xe4);
        assert_int_equal(cell(t, 0, 4).ch, 0xe9);
        say(t, "\033[1;2Hz"); /* half of the wide one is written over */
        assert_int_equal(cell(t, 0, 0).ch & (CELL_WIDE | CELL_CODE), ' ');

        say(t, "\033c\033[38;2;19;34;49;48;5;200mT\033[K");
        assert_int_equal(fg(t, 0, 0), COLOUR_RGB | 0x102031);
        assert_int_equal(bg(t, 0, 19), COLOUR_INDEX | 200);
        check(t);
        free_term(t);
}

static void answers(void **state)
{
        struct term *t = new_term(5, 20);

        (void)state;
        answer_len = 0;
        memset(answer, 0, sizeof(answer));
        say(t, "\033[3;4H\033[6n\033[c\033[18t");
        assert_string_equal(answer, "\033[3;4R\033[?1;2c\033[8;5;20t");
        free_term(t);
}

/* What ends of itself although it looks endless: sequences of libvterm's that a stranger could hang it with. */
static void hostile_sequences(void **state)
{
        struct term *t = new_term(24, 80);
        char many[4096];

        (void)state;
        say(t, "\033[99999999999999999999b");
        say(t, "\xe4\xb8\xad\033[2000b");
        check(t);
        memset(many, ';', sizeof(many));
        memcpy(many, "\033[1", 3);
        many[sizeof(many) - 2] = 'm';
        many[sizeof(many) - 1] = 0;
        say(t, many);
        say(t, "\033[38m\033[38;5m\033[38;2m\033[48;2;1m\033[4:m\033[4:9m\033[38:2:1:2:3m");
        say(t, "\033[99999999A\033[99999999B\033[99999999C\033[99999999D\033[99999999L\033[99999999M\033[99999999P\033["
               "99999999@");
        say(t, "\033[99999999S\033[99999999T\033[99999999X\033[99999999I\033[99999999Z\033[0;0r\033[5;3r\033[99;2r");
        say(t, "\033[?69h\033[80;80s\033[81;1s\033[79;81sxx\033[?6h\033[H\nx\033[10@\033[10'}\033[10'~");
        for (unsigned i = 0; i < 2000; i++)
                say(t, "\xcc\x81");                 /* marks without end */
        say(t, "\xc2\x80\xc2\x85\xc2\x9b\xc2\x9f"); /* C1 in UTF-8 */
        say(t, "\xf4\x90\x80\x80\xed\xa0\x80\xc0\x80\xff\xfe\xf8\x88\x80\x80\x80");
        say(t, "\033]0;");
        say(t, many);
        say(t, "\033");
        say(t, "\\\033P$q");
        say(t, "m\033\\\033P$qzz\033\\");
        say(t, "\033#8\033#3\033#6\033[!p\033[?1047h\033c");
        check(t);
        free_term(t);
}

/* ---- random streams ---- */

static size_t random_piece(char *out)
{
        static const char *const text[] = {"word ",      "ls -l\r\n", "\r\n",
                                           "\t",         "\b\b ",     "\xe4\xb8\xad\xe6\x96\x87",
                                           "\xc3\xa9",   "e\xcc\x88", "\xe2\x94\x80\xe2\x94\x82",
                                           "0123456789", "\n",        "\033M",
                                           "\033D",      "\033E",     "\0337",
                                           "\0338",      "\033(0",    "\033(B",
                                           "\033)0",     "\016",      "\017",
                                           "\033=",      "\033>",     "\033H",
                                           "\033#8",     "\033N",     "\033A"};
        static const char finals[] = "@ABCDEFGHIJKLMPSTXZ`abcdefghjklmnqrsu";
        static const unsigned modes[] = {1,  4,    5,    6,    7,    12,   20,   25,   47,
                                         69, 1000, 1002, 1004, 1006, 1047, 1048, 1049, 2004};
        size_t n = 0;

        switch (rnd(10)) {
        case 0:
        case 1:
        case 2:
        case 3: {
                const char *s = text[rnd(sizeof(text) / sizeof(*text))];

                return strlen(strcpy(out, s));
        }
        case 4:
                return sprintf(out, "\033[%s%u%c", rnd(3) ? "?" : "", modes[rnd(sizeof(modes) / sizeof(*modes))],
                               "hl"[rnd(2)]);
        case 5:
                return sprintf(out, "\033[%u;%u;%u;%u%cm", rnd(50), rnd(110), rnd(50), rnd(50), rnd(4) ? ';' : ':');
        case 6:
                if (rnd(2))
                        return sprintf(out, "\033[38;2;%u;%u;%u;48;5;%um", rnd(256), rnd(256), rnd(256), rnd(256));
                return sprintf(out, "\033[%u\"q\033[?%uJ", rnd(3), rnd(3));
        case 7:
                n = 1 + rnd(40);
                for (size_t i = 0; i < n; i++)
                        out[i] = (char)(' ' + rnd(95));
                return n;
        case 8:
                n = 1 + rnd(6);
                for (size_t i = 0; i < n; i++)
                        out[i] = (char)(1 + rnd(255));
                return n;
        default:
                n = sprintf(out, "\033[%s", rnd(12) ? "" : "?");
                for (unsigned i = rnd(4); i > 0; i--)
                        n += sprintf(out + n, "%u%s", rnd(rnd(4) ? 12 : 300), i > 1 ? ";" : "");
                if (!rnd(10))
                        out[n++] = " \"$'!"[rnd(5)];
                out[n++] = finals[rnd(sizeof(finals) - 1)];
                out[n] = 0;
                return n;
        }
}

static size_t random_stream(char *out, size_t max)
{
        size_t n = 0;

        while (n + 256 < max)
                n += random_piece(out + n);
        return n;
}

static struct console_block *canonical(const struct console_block *b)
{
        struct console_block *c = copy_block(b);

        for (unsigned screen = 0; screen < 2; screen++) /* cells that are not used may be anything */
                for (unsigned slot = 0; slot < c->rows; slot++)
                        memset(console_cells(c, screen) + slot * c->cols + c->screen[screen].used[slot], 0,
                               (c->cols - c->screen[screen].used[slot]) * sizeof(struct console_cell));
        return c;
}

static void same_block(const struct console_block *a, const struct console_block *b)
{
        struct console_block *x = canonical(a), *y = canonical(b);
        size_t len = console_block_bytes(CONSOLE_RING, true);

        if (memcmp(x, y, len) != 0) {
                size_t at = 0;

                while (((char *)x)[at] == ((char *)y)[at])
                        at++;
                fail_msg("blocks differ at byte %zu (seed %lu)", at, seed);
        }
        free(x);
        free(y);
}

/* Restored into fresh memory, from a copy: nothing of the old emulator can help. */
static struct term *reincarnate(struct term *t)
{
        struct term *n = calloc(1, sizeof(*n));
        struct console_block *b = copy_block(t->b);

        assert_int_equal(term_restore(n, b, b->rows, b->cols), 0);
        assert_memory_equal(b, t->b, console_block_bytes(CONSOLE_RING, true)); /* restoring writes nothing */
        n->reply = reply;
        free_term(t);
        return n;
}

static void save_and_restore(void **state)
{
        static char stream[20000];

        (void)state;
        for (unsigned round = 0; round < 150; round++) {
                unsigned rows = 2 + rnd(40), cols = 2 + rnd(130);
                struct term *a = new_term(rows, cols), *b = new_term(rows, cols);
                size_t len = random_stream(stream, sizeof(stream)), at = 0;

                while (at < len) {
                        size_t n = 1 + rnd(rnd(3) ? 8 : 700);

                        n = n < len - at ? n : len - at;
                        answer_len = 0;
                        write_all(a, stream + at, n);
                        answer_len = 0;
                        write_all(b, stream + at, n);
                        if (!rnd(4))
                                b = reincarnate(b);
                        at += n;
                }
                check(a);
                check(b);
                same_block(a->b, b->b);
                free_term(a);
                free_term(b);
        }
}

/* A write may be cut anywhere: byte by byte gives the same as at once. */
static void byte_by_byte(void **state)
{
        static char stream[8000];

        (void)state;
        for (unsigned round = 0; round < 60; round++) {
                struct term *a = new_term(24, 80), *b = new_term(24, 80);
                size_t len = random_stream(stream, sizeof(stream));

                write_all(a, stream, len);
                for (size_t i = 0; i < len; i++)
                        write_all(b, stream + i, 1);
                same_block(a->b, b->b);
                free_term(a);
                free_term(b);
        }
}

static void random_bytes(void **state)
{
        static char stream[4000];

        (void)state;
        for (unsigned round = 0; round < 300; round++) {
                struct term *t = new_term(1 + rnd(60), 2 + rnd(130));

                for (size_t i = 0; i < sizeof(stream); i++)
                        stream[i] = rnd(3) ? "\033[]0123456789;?hlmABCDHJK\n\r\xe4\xb8"[rnd(29)] : (char)rnd(256);
                write_all(t, stream, sizeof(stream));
                check(t);
                free_term(t);
        }
}

static void damaged_blocks(void **state)
{
        static char stream[3000];

        (void)state;
        for (unsigned round = 0; round < 400; round++) {
                struct term *t = new_term(25, 80), *n = calloc(1, sizeof(*n));
                struct console_block *b;
                struct console_cell line[80];

                write_all(t, stream, random_stream(stream, sizeof(stream)));
                b = copy_block(t->b);
                for (unsigned i = 1 + rnd(20); i > 0; i--) {
                        size_t where = rnd(3) ? rnd(1400) : rnd(console_block_bytes(CONSOLE_RING, true));

                        if (where >= 16) /* sizes and version are tested by hand */
                                ((uint8_t *)b)[where] ^= 1u << rnd(8);
                }
                if (term_restore(n, b, 25, 80) == 0) {
                        for (unsigned i = 0; i < 40; i++)
                                scrollback_read(b, i, line, 80, term_width);
                        write_all(n, stream, random_stream(stream, sizeof(stream)));
                        for (unsigned i = 0; i < 40; i++)
                                scrollback_read(b, i, line, 80, term_width);
                }
                free(b);
                free(n);
                free_term(t);
        }
}

static void refused_blocks(void **state)
{
        struct term *t = new_term(25, 80), n = {0};

        (void)state;
        assert_int_equal(term_restore(&n, t->b, 48, 128), -ERANGE);
        t->b->version++;
        assert_int_equal(term_restore(&n, t->b, 25, 80), -EINVAL);
        t->b->version--;
        t->b->rows = 200;
        assert_int_equal(term_restore(&n, t->b, 25, 80), -EINVAL);
        t->b->rows = 25;
        t->b->screen[0].slot[3] = 25;
        assert_int_equal(term_restore(&n, t->b, 25, 80), -EINVAL);
        t->b->screen[0].slot[3] = 4;
        assert_int_equal(term_restore(&n, t->b, 25, 80), -EINVAL);
        memset(t->b, 0, PAGE_SIZE);
        assert_int_equal(term_restore(&n, t->b, 25, 80), -EINVAL);
        free_term(t);
}

static void another_size(void **state)
{
        struct console_cell *scratch = calloc(CONSOLE_CELLS_MAX, sizeof(*scratch));
        static char stream[6000];

        (void)state;
        for (unsigned round = 0; round < 150; round++) {
                unsigned rows = 2 + rnd(60), cols = 2 + rnd(130);
                struct term *t = new_term(2 + rnd(60), 2 + rnd(130)), *n = calloc(1, sizeof(*n));

                write_all(t, stream, random_stream(stream, sizeof(stream)));
                term_reshape(t->b, rows, cols, scratch);
                assert_int_equal(term_restore(n, t->b, rows, cols), 0);
                check(n);
                write_all(n, stream, random_stream(stream, sizeof(stream)));
                check(n);
                free(n);
                free_term(t);
        }
        {
                struct term *t = new_term(5, 20), *n = calloc(1, sizeof(*n));
                struct console_cell line[10];

                say(t, "1\r\n2\r\n3 is a longer line\r\n4\r\n5");
                term_reshape(t->b, 3, 10, scratch);
                assert_int_equal(term_restore(n, t->b, 3, 10), 0);
                assert_string_equal(row_text(n, 0), "3 is a lon");
                assert_string_equal(row_text(n, 2), "5");
                assert_int_equal(scrollback_lines(t->b), 2);
                assert_true(scrollback_read(t->b, 0, line, 10, term_width));
                assert_int_equal(line[0].ch, '2');
                free(n);
                free_term(t);
        }
        free(scratch);
}

/* ---- the same as libvterm alone ---- */

/* Without what is different on purpose: wide characters (halves, insertion), marks, C1, several modes in one sequence. */
static size_t plain_piece(char *out)
{
        static const char *const text[] = {"word ",      "ls -l\r\n", "\r\n",   "\t",    "\b\b ", "\xc3\xa9",
                                           "0123456789", "\n",        "\033M",  "\033D", "\033E", "\0337",
                                           "\0338",      "\033(0",    "\033(B", "\033H", "\033#8"};
        static const char finals[] = "@ABCDEFGHIJKLMPSTXZ`adefgjkmr";
        static const unsigned modes[] = {4, 1, 6, 7, 25, 69, 1047, 1049, 2004};
        unsigned mode = modes[rnd(sizeof(modes) / sizeof(*modes))];
        size_t n;

        switch (rnd(7)) {
        case 0:
        case 1:
                return strlen(strcpy(out, text[rnd(sizeof(text) / sizeof(*text))]));
        case 2:
                return sprintf(out, "\033[%s%u%c", mode == 4 ? "" : "?", mode, "hl"[rnd(2)]);
        case 3:
                return sprintf(out, "\033[%u;%um", rnd(2), 30 + rnd(8));
        case 4:
                n = 1 + rnd(40);
                for (size_t i = 0; i < n; i++)
                        out[i] = (char)(' ' + rnd(95));
                return n;
        default:
                n = sprintf(out, "\033[");
                for (unsigned i = rnd(3); i > 0; i--)
                        n += sprintf(out + n, "%u%s", rnd(rnd(4) ? 12 : 90), i > 1 ? ";" : "");
                out[n++] = finals[rnd(sizeof(finals) - 1)];
                out[n] = 0;
                return strstr(out, "3J") ? 0 : n;
        }
}

static uint32_t visible(uint32_t code)
{
        return code == ' ' || code == UINT32_MAX ? 0 : code;
}

static void compare(const struct term *t, VTerm *vt)
{
        VTermScreen *screen = vterm_obtain_screen(vt);
        VTermPos cursor;

        vterm_state_get_cursorpos(vterm_obtain_state(vt), &cursor);
        assert_int_equal(cursor.row, t->b->emu.row);
        assert_int_equal(cursor.col, t->b->emu.col);
        for (int row = 0; row < t->b->rows; row++)
                for (int col = 0; col < t->b->cols; col++) {
                        struct console_cell mine = cell(t, row, col);
                        VTermScreenCell its;

                        vterm_screen_get_cell(screen, (VTermPos){row, col}, &its);
                        assert_int_equal(visible(mine.ch & CELL_CODE), visible(its.chars[0]));
                        if (visible(mine.ch & CELL_CODE))
                                assert_int_equal(!!(mine.ch & CELL_BOLD), its.attrs.bold);
                }
}

static void like_libvterm(void **state)
{
        char piece[300];

        (void)state;
        for (unsigned round = 0; round < 40; round++) {
                unsigned rows = 3 + rnd(30), cols = 4 + rnd(90);
                struct term *t = new_term(rows, cols);
                VTerm *vt = vterm_new(rows, cols);

                vterm_set_utf8(vt, 1);
                vterm_screen_enable_altscreen(vterm_obtain_screen(vt), 1);
                vterm_screen_reset(vterm_obtain_screen(vt), 1);
                for (unsigned i = 0; i < 250; i++) {
                        size_t n = plain_piece(piece);

                        write_all(t, piece, n);
                        vterm_input_write(vt, piece, n);
                        if (i % 10 == 9)
                                compare(t, vt);
                }
                vterm_free(vt);
                free_term(t);
        }
}

/* ---- scrollback ---- */

static bool like(const struct console_cell *a, const struct console_cell *b)
{
        uint32_t x = a->ch & ~CELL_PROTECTED, y = b->ch & ~CELL_PROTECTED;

        return (x == y || ((x & CELL_CODE) <= ' ' && (y & CELL_CODE) <= ' ' && ((x ^ y) & ~CELL_CODE) == 0)) &&
               a->colours == b->colours;
}

static void lines_kept(void **state)
{
        struct term *t = new_term(10, 128);
        struct console_cell line[128];
        char text[200];

        (void)state;
        for (unsigned i = 0; i < 5000; i++) {
                int n = snprintf(text, sizeof(text), "\033[3%um%u\033[m ", i % 8, i);

                memset(text + n, 'a' + i % 26, 70);
                strcpy(text + n + 70, "\r\n");
                say(t, text);
        }
        assert_true(scrollback_lines(t->b) >= 1000);
        for (unsigned back = 0; back < scrollback_lines(t->b); back++) {
                unsigned i = 5000 - 10 - back;
                char number[16];

                assert_true(scrollback_read(t->b, back, line, 128, term_width));
                snprintf(number, sizeof(number), "%u", i);
                for (unsigned c = 0; number[c]; c++) {
                        assert_int_equal(line[c].ch & CELL_CODE, number[c]);
                        assert_int_equal(cell_fg(&line[c]), COLOUR_INDEX | i % 8);
                }
                assert_int_equal(line[strlen(number) + 50].ch, 'a' + i % 26);
        }
        assert_false(scrollback_read(t->b, scrollback_lines(t->b), line, 128, term_width));
        say(t, "\033[3J");
        assert_int_equal(scrollback_lines(t->b), 0);
        free_term(t);
}

/* A thousand lines of 80 columns, full of text, fit. */
static void a_thousand_full_lines(void **state)
{
        struct term *t = new_term(48, 128);
        char text[83];

        (void)state;
        memset(text, 'x', 80);
        strcpy(text + 80, "\r");
        for (unsigned i = 0; i < 1200; i++)
                say(t, text), say(t, "\n");
        assert_true(scrollback_lines(t->b) >= 1000);
        free_term(t);
}

static void random_lines(void **state)
{
        struct console_block *b = new_block();
        static struct console_cell kept[64][120];
        struct console_cell back[120];
        unsigned pushed = 0;

        (void)state;
        b->ring_size = CONSOLE_RING_EARLY;
        for (unsigned round = 0; round < 3000; round++) {
                struct console_cell *line = kept[pushed++ % 64];
                struct console_cell pen = {0};

                memset(line, 0, sizeof(kept[0]));
                for (unsigned i = 0; i < 120; i++) {
                        if (i % 16 == 3) { /* seldom enough for all changes to be kept */
                                pen.ch = (uint32_t)rnd(64) << 24;
                                cell_colour(&pen,
                                            rnd(2)   ? COLOUR_INDEX | rnd(256)
                                            : rnd(2) ? COLOUR_RGB | rnd(1 << 24)
                                                     : 0,
                                            rnd(2)   ? COLOUR_INDEX | rnd(256)
                                            : rnd(2) ? COLOUR_RGB | rnd(1 << 24)
                                                     : 0);
                        }
                        line[i] = pen;
                        line[i].ch |= rnd(5) ? ' ' + rnd(95) : rnd(2) ? 0xa1 + rnd(0x200) : 0;
                }
                scrollback_push(b, line, 120);
                for (unsigned i = 0; i < 64 && i < pushed && i < scrollback_lines(b); i += 1 + rnd(5)) {
                        assert_true(scrollback_read(b, i, back, 120, term_width));
                        for (unsigned c = 0; c < 120; c++)
                                assert_true(like(&back[c], &kept[(pushed - 1 - i) % 64][c]));
                }
        }
        free(b);
}

/* The early block, without an alternate screen, becomes a whole one. */
static void early_to_attached(void **state)
{
        struct console_block *early = calloc(1, console_block_bytes(CONSOLE_RING_EARLY, false)), *b = new_block();
        struct term t = {0}, *n = calloc(1, sizeof(*n));
        struct console_cell line[80];

        (void)state;
        term_create(&t, early, CONSOLE_RING_EARLY, false, 5, 80);
        for (unsigned i = 0; i < 50; i++) {
                char text[40];

                snprintf(text, sizeof(text), "line %u\r\n", i);
                say(&t, text);
        }
        say(&t, "\033[?1049hstill here\033[3");
        term_copy(b, early);
        assert_int_equal(term_restore(n, b, 5, 80), 0);
        assert_string_equal(row_text(n, 4), "still here");
        assert_string_equal(row_text(n, 3), "line 49");
        assert_true(scrollback_read(b, 0, line, 80, term_width));
        assert_int_equal(line[5].ch, '4');
        say(n, "1mred");
        assert_int_equal(fg(n, 4, 10), COLOUR_INDEX | 1);
        say(n, "\033[?1049h");
        assert_string_equal(row_text(n, 4), "");
        free(early);
        free(b);
        free(n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_streams),     cmocka_unit_test(answers),
                cmocka_unit_test(hostile_sequences), cmocka_unit_test(save_and_restore),
                cmocka_unit_test(byte_by_byte),      cmocka_unit_test(random_bytes),
                cmocka_unit_test(damaged_blocks),    cmocka_unit_test(refused_blocks),
                cmocka_unit_test(another_size),      cmocka_unit_test(like_libvterm),
                cmocka_unit_test(lines_kept),        cmocka_unit_test(a_thousand_full_lines),
                cmocka_unit_test(random_lines),      cmocka_unit_test(early_to_attached),
        };

        seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 0) : 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
