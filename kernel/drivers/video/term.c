/*
 * term.c - see term.h.
 *
 * libvterm's state layer is driven through its parser callbacks (csi, escape, control), its text callback is not used:
 * text is by far the most of what a terminal gets, and a run of ASCII costs a few instructions a character here. Its
 * fields are read and written through its internal header; the version is pinned by the port, and a change of its
 * layout shows at compile time or in drv_console.c (tests).
 *
 * Invariants: T1 slot[] of each screen is a permutation of 0..rows-1. T2 used[slot] <= cols. T3 a CELL_WIDE cell is
 * followed by a CELL_TAIL one in the same row, and only there is a tail. T4 the cursor is on the screen. T5 between two
 * calls nothing that matters is in libvterm alone.
 */
#include <vterm_internal.h>
#include "kernel/drivers/video/compose.h"
#include "kernel/drivers/video/escape.h"
#include "kernel/drivers/video/scrollback.h"
#include "kernel/drivers/video/term.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/*
 * Of one term_write: a write() may push so much before it stops, and one more operation after that (a screenful at
 * most).
 */
#define PUSH_BUDGET 16384u

static struct console_screen *screen_of(const struct term *t)
{
        return &t->b->screen[t->b->active];
}

static struct console_cell *row_cells(const struct term *t, unsigned row)
{
        return console_cells(t->b, t->b->active) + screen_of(t)->slot[row] * t->b->cols;
}

static uint16_t *row_used(const struct term *t, unsigned row)
{
        struct console_screen *s = screen_of(t);

        return &s->used[s->slot[row]];
}

static void mark(struct term *t, unsigned row)
{
        __atomic_store_n(&t->dirty[row], 1, __ATOMIC_RELEASE);
}

static void mark_all(struct term *t)
{
        for (unsigned row = 0; row < t->b->rows; row++)
                mark(t, row);
}

int term_width(uint32_t code)
{
        if (code < 0x300)
                return 1;
        if (vterm_unicode_is_combining(code))
                return 0;
        return vterm_unicode_width(code) == 2 ? 2 : 1;
}

/* ---- cells ---- */

/* Cells up to `upto` count as written from here on. */
static void extend(struct term *t, unsigned row, unsigned upto)
{
        uint16_t *used = row_used(t, row);

        if (*used >= upto)
                return;
        memset(row_cells(t, row) + *used, 0, (upto - *used) * sizeof(struct console_cell));
        *used = upto;
}

/* Before the columns from..to-1 are overwritten: half of a wide character at either edge would be left alone (T3). */
static void split_wide(struct term *t, unsigned row, unsigned from, unsigned to)
{
        struct console_cell *cells = row_cells(t, row);
        unsigned used = *row_used(t, row);

        if (from > 0 && from < used && (cells[from].ch & CELL_TAIL))
                cells[from - 1].ch = (cells[from - 1].ch & ~(CELL_WIDE | CELL_CODE)) | ' ';
        if (to < used && (cells[to].ch & CELL_TAIL))
                cells[to].ch = (cells[to].ch & ~(CELL_TAIL | CELL_CODE)) | ' ';
}

/* Before cells at both sides of this edge part: a wide character across it becomes two blanks (T3). */
static void break_wide(struct term *t, unsigned row, unsigned col)
{
        struct console_cell *c = row_cells(t, row) + col;

        if (col == 0 || col >= *row_used(t, row) || !(c->ch & CELL_TAIL))
                return;
        c[-1].ch = (c[-1].ch & ~(CELL_WIDE | CELL_CODE)) | ' ';
        c[0].ch = (c[0].ch & ~(CELL_TAIL | CELL_CODE)) | ' ';
}

static void put_cell(struct term *t, unsigned row, unsigned col, uint32_t code, unsigned width)
{
        struct console_cell *c;

        if (col + width > t->b->cols)
                width = 1;
        extend(t, row, col);
        split_wide(t, row, col, col + width);
        c = row_cells(t, row) + col;
        *row_used(t, row) = MAX(*row_used(t, row), (uint16_t)(col + width));
        c[0] = t->pen;
        c[0].ch |= code;
        if (width == 2) {
                c[0].ch |= CELL_WIDE;
                c[1] = t->pen;
                c[1].ch |= CELL_TAIL;
        }
        mark(t, row);
}

static void clear_cells(struct term *t, unsigned row, unsigned from, unsigned to, bool selective)
{
        struct console_cell blank = {.ch = t->pen.ch & CELL_BG_RGB, .colours = t->pen.colours & 0xffff0000u};
        bool coloured = blank.ch | blank.colours;
        uint16_t *used = row_used(t, row);
        struct console_cell *cells = row_cells(t, row);

        if (from >= to)
                return;
        break_wide(t, row, from);
        break_wide(t, row, to);
        if (!selective && !coloured && to >= *used) {
                *used = MIN(*used, (uint16_t)from);
        } else {
                if (coloured)
                        extend(t, row, to);
                else
                        to = MIN(to, *used);
                for (unsigned col = from; col < to; col++)
                        if (!selective || !(cells[col].ch & CELL_PROTECTED))
                                cells[col] = blank;
        }
        mark(t, row);
}

/* Rows top..bottom-1 move up by n (down if negative); the rows that come free are blank. */
static void rotate_rows(struct term *t, unsigned top, unsigned bottom, int n)
{
        uint8_t *slot = screen_of(t)->slot, moved[CONSOLE_ROWS_MAX];
        unsigned rows = bottom - top, up = n > 0 ? (unsigned)n : rows - (unsigned)-n;

        memcpy(moved, slot + top, up);
        memmove(slot + top, slot + top + up, rows - up);
        memcpy(slot + bottom - up, moved, up);
        for (unsigned row = n > 0 ? bottom - n : top; row < (n > 0 ? bottom : top - n); row++) {
                *row_used(t, row) = 0;
                clear_cells(t, row, 0, t->b->cols, false);
        }
        for (unsigned row = top; row < bottom; row++)
                mark(t, row);
}

static void push_lines(struct term *t, unsigned n)
{
        for (unsigned row = 0; row < n; row++) {
                uint64_t head = t->b->ring_head;

                scrollback_push(t->b, row_cells(t, row), *row_used(t, row));
                t->pushed_bytes += t->b->ring_head - head;
        }
        if (t->pushed_bytes >= PUSH_BUDGET)
                t->stop = true;
}

/* Whole rows: lines that leave the top of the normal screen are kept. */
static void scroll_rows(struct term *t, unsigned top, unsigned bottom, int n)
{
        int rows = bottom - top;

        if (n == 0 || rows <= 0)
                return;
        n = n > rows ? rows : n < -rows ? -rows : n;
        if (n > 0 && top == 0 && t->b->active == 0)
                push_lines(t, n);
        rotate_rows(t, top, bottom, n);
}

static void move_row_part(struct term *t, unsigned to, unsigned from, unsigned left, unsigned right)
{
        extend(t, from, right);
        extend(t, to, right);
        break_wide(t, to, left);
        break_wide(t, to, right);
        break_wide(t, from, left);
        break_wide(t, from, right);
        memcpy(row_cells(t, to) + left, row_cells(t, from) + left, (right - left) * sizeof(struct console_cell));
        mark(t, to);
}

/* Part of the rows (left and right margins): cells are copied. */
static void scroll_columns(struct term *t, unsigned top, unsigned bottom, unsigned left, unsigned right, int n)
{
        unsigned rows = bottom - top, by = MIN((unsigned)(n < 0 ? -n : n), rows);

        if (n > 0)
                for (unsigned row = top; row + by < bottom; row++)
                        move_row_part(t, row, row + by, left, right);
        else
                for (unsigned row = bottom; row-- > top + by;)
                        move_row_part(t, row, row - by, left, right);
        for (unsigned i = 0; i < by; i++)
                clear_cells(t, n > 0 ? bottom - 1 - i : top + i, left, right, false);
}

/* Within one row: cells of left..right-1 move left by n (right if negative). */
static void shift_row(struct term *t, unsigned row, unsigned left, unsigned right, int n)
{
        struct console_cell *cells = row_cells(t, row);
        unsigned width = right - left, by = MIN((unsigned)(n < 0 ? -n : n), width);

        extend(t, row, right);
        break_wide(t, row, left);
        break_wide(t, row, right);
        if (n > 0) {
                break_wide(t, row, left + by);
                memmove(cells + left, cells + left + by, (width - by) * sizeof(*cells));
                clear_cells(t, row, right - by, right, false);
        } else {
                break_wide(t, row, right - by);
                memmove(cells + left + by, cells + left, (width - by) * sizeof(*cells));
                clear_cells(t, row, left, left + by, false);
        }
        mark(t, row);
}

/* ---- what libvterm asks for ---- */

static bool clip(const struct term *t, VTermRect *r)
{
        r->start_row = MAX(r->start_row, 0);
        r->start_col = MAX(r->start_col, 0);
        r->end_row = MIN(r->end_row, t->b->rows);
        r->end_col = MIN(r->end_col, t->b->cols);
        return r->start_row < r->end_row && r->start_col < r->end_col;
}

static int on_putglyph(VTermGlyphInfo *info, VTermPos pos, void *user)
{
        struct term *t = user;
        uint32_t code = info->chars[0] & CELL_CODE;

        if (pos.row >= 0 && pos.row < t->b->rows && pos.col >= 0 && pos.col < t->b->cols)
                put_cell(t, pos.row, pos.col, code, info->width == 2 ? 2 : 1);
        return 1;
}

static int on_movecursor(VTermPos pos, VTermPos old, int visible, void *user)
{
        (void)pos, (void)old, (void)visible, (void)user;
        return 1;
}

static int on_scrollrect(VTermRect r, int downward, int rightward, void *user)
{
        struct term *t = user;

        if (!clip(t, &r))
                return 1;
        if (downward && r.start_col == 0 && r.end_col == t->b->cols)
                scroll_rows(t, r.start_row, r.end_row, downward);
        else if (downward)
                scroll_columns(t, r.start_row, r.end_row, r.start_col, r.end_col, downward);
        if (rightward)
                for (int row = r.start_row; row < r.end_row; row++)
                        shift_row(t, row, r.start_col, r.end_col, rightward);
        return 1;
}

static int on_erase(VTermRect r, int selective, void *user)
{
        struct term *t = user;

        if (clip(t, &r))
                for (int row = r.start_row; row < r.end_row; row++)
                        clear_cells(t, row, r.start_col, r.end_col, selective);
        return 1;
}

static uint32_t colour(const VTermColor *c)
{
        if (c->type & VTERM_COLOR_DEFAULT_MASK)
                return COLOUR_DEFAULT;
        if (VTERM_COLOR_IS_INDEXED(c))
                return COLOUR_INDEX | c->indexed.idx;
        return COLOUR_RGB | c->rgb.red << 16 | c->rgb.green << 8 | c->rgb.blue;
}

static uint32_t attributes(const struct VTermPen *p)
{
        return (p->bold ? CELL_BOLD : 0) | (p->italic ? CELL_ITALIC : 0) | (p->reverse ? CELL_REVERSE : 0) |
               (p->strike ? CELL_STRIKE : 0) | p->underline * CELL_UNDERLINE_1;
}

/* The pen of new cells, from libvterm's. */
static void take_pen(struct term *t)
{
        const struct VTermPen *p = &t->state->pen;

        t->pen.ch = attributes(p) | (t->state->protected_cell ? CELL_PROTECTED : 0);
        cell_colour(&t->pen, colour(&p->fg), colour(&p->bg));
}

static int on_initpen(void *user)
{
        struct term *t = user;

        t->pen = (struct console_cell){0};
        return 1;
}

/*
 * One sequence may set many: the pen is taken once, after it. What erases in between does so in the default colours
 * (on_initpen).
 */
static int on_setpenattr(VTermAttr attr, VTermValue *val, void *user)
{
        (void)attr, (void)val, (void)user;
        return 1;
}

static void show_screen(struct term *t, unsigned screen)
{
        if (t->b->active == screen)
                return;
        t->b->active = screen;
        t->stop = true;
        mark_all(t);
}

static int on_settermprop(VTermProp prop, VTermValue *val, void *user)
{
        struct term *t = user;

        switch (prop) {
        case VTERM_PROP_ALTSCREEN:
                if (val->boolean && !t->b->has_alt)
                        return 0;
                show_screen(t, val->boolean ? 1 : 0);
                return 1;
        case VTERM_PROP_REVERSE:
                mark_all(t);
                return 1;
        default:
                return 1;
        }
}

static int on_bell(void *user)
{
        struct term *t = user;

        if (t->bell)
                t->bell(t->arg);
        return 1;
}

/* Lines of double width or height: refused, all lines are single. */
static int on_setlineinfo(int row, const VTermLineInfo *new, const VTermLineInfo *old, void *user)
{
        (void)row, (void)new, (void)old, (void)user;
        return 0;
}

static const VTermStateCallbacks state_callbacks = {
        .putglyph = on_putglyph,
        .movecursor = on_movecursor,
        .scrollrect = on_scrollrect,
        .erase = on_erase,
        .initpen = on_initpen,
        .setpenattr = on_setpenattr,
        .settermprop = on_settermprop,
        .bell = on_bell,
        .setlineinfo = on_setlineinfo,
};

static void on_output(const char *bytes, size_t len, void *user)
{
        struct term *t = user;

        if (t->reply)
                t->reply(t->arg, bytes, len);
}

/* ---- text ---- */

static void line_feed(struct term *t)
{
        VTermState *s = t->state;
        VTermRect r = {.start_row = s->scrollregion_top,
                       .end_row = SCROLLREGION_BOTTOM(s),
                       .start_col = SCROLLREGION_LEFT(s),
                       .end_col = SCROLLREGION_RIGHT(s)};

        if (s->pos.row == r.end_row - 1)
                on_scrollrect(r, 1, 0, t);
        else if (s->pos.row < s->rows - 1)
                s->pos.row++;
}

static void wrap(struct term *t)
{
        line_feed(t);
        t->state->pos.col = 0;
        t->state->at_phantom = 0;
}

/* After a character of `width` columns was written at the cursor. */
static void advance(struct term *t, unsigned width)
{
        VTermState *s = t->state;

        if (s->pos.col + (int)width < s->cols)
                s->pos.col += width;
        else
                s->at_phantom = s->mode.autowrap;
}

static void remember(struct term *t, uint32_t code, unsigned width, VTermPos pos)
{
        t->state->combine_chars[0] = code;
        t->state->combine_chars[1] = 0;
        t->state->combine_width = width;
        t->state->combine_pos = pos;
}

/*
 * A mark for the character before the cursor: the two become one character where Unicode has it, else the mark is not
 * shown.
 */
static void combine(struct term *t, uint32_t mark_code)
{
        VTermState *s = t->state;
        VTermPos at = s->combine_pos;
        bool adjacent = s->pos.row == at.row && (s->at_phantom || s->pos.col == at.col + s->combine_width);
        uint32_t composed;
        struct console_cell *c;

        if (!adjacent || at.col >= *row_used(t, at.row))
                return;
        composed = compose(s->combine_chars[0], mark_code);
        c = row_cells(t, at.row) + at.col;
        if (!composed || (c->ch & CELL_CODE) != s->combine_chars[0])
                return;
        c->ch = (c->ch & ~CELL_CODE) | composed;
        s->combine_chars[0] = composed;
        mark(t, at.row);
}

static void put_character(struct term *t, uint32_t code)
{
        VTermState *s = t->state;
        int width = term_width(code);

        if (width == 0) {
                combine(t, code);
                return;
        }
        if (s->at_phantom || s->pos.col + width > s->cols)
                wrap(t);
        if (s->mode.insert)
                shift_row(t, s->pos.row, s->pos.col, s->cols, -width);
        put_cell(t, s->pos.row, s->pos.col, code, width);
        remember(t, code, width, s->pos);
        advance(t, width);
}

/* The character that a byte stands for in a designated set (line drawing, pounds). */
static uint32_t translate(VTermEncodingInstance *set, char byte)
{
        uint32_t code = (uint8_t)byte;
        int n = 0;
        size_t pos = 0;

        set->enc->decode(set->enc, set->data, &code, &n, 1, &byte, &pos, 1);
        return n ? code : (uint8_t)byte;
}

static bool is_ascii_set(const VTermEncodingInstance *set)
{
        return set->enc == vterm_lookup_encoding(ENC_UTF8, 'u') ||
               set->enc == vterm_lookup_encoding(ENC_SINGLE_94, 'B');
}

/* As many as fit into this row, in default set and mode: what most output is. */
static size_t put_run(struct term *t, const char *bytes, size_t n)
{
        VTermState *s = t->state;
        unsigned col = s->pos.col, row = s->pos.row;
        struct console_cell pen = t->pen, *c;
        uint16_t *used;

        n = MIN(n, (size_t)(t->b->cols - col));
        extend(t, row, col);
        split_wide(t, row, col, col + n);
        used = row_used(t, row);
        if (*used < col + n)
                *used = col + n;
        c = row_cells(t, row) + col;
        for (size_t i = 0; i < n; i++, c++) {
                c->ch = pen.ch | (uint8_t)bytes[i];
                c->colours = pen.colours;
        }
        mark(t, row);
        s->pos.col += n - 1;
        remember(t, (uint8_t)bytes[n - 1], 1, s->pos);
        advance(t, 1);
        return n;
}

static void on_ascii(void *arg, const char *bytes, size_t n)
{
        struct term *t = arg;
        VTermState *s = t->state;

        while (n) {
                unsigned set = s->gsingle_set ? s->gsingle_set : s->gl_set;

                if (s->gsingle_set || s->mode.insert || !is_ascii_set(&s->encoding[set])) {
                        s->gsingle_set = 0;
                        put_character(t, translate(&s->encoding[set], *bytes));
                        bytes++;
                        n--;
                } else {
                        size_t took;

                        if (s->at_phantom)
                                wrap(t);
                        took = put_run(t, bytes, n);
                        bytes += took;
                        n -= took;
                }
        }
}

static void on_character(void *arg, uint32_t code)
{
        struct term *t = arg;

        t->state->gsingle_set = 0;
        put_character(t, code);
}

/* ---- sequences ---- */

static void on_control_byte(void *arg, uint8_t c)
{
        struct term *t = arg;

        t->vt->parser.callbacks->control(c, t->state);
}

static void give_escape(struct term *t, const char *bytes, size_t n)
{
        t->vt->parser.callbacks->escape(bytes, n, t->state);
        show_screen(t, t->state->mode.alt_screen); /* a reset clears the mode without a word */
        take_pen(t);
}

static void on_escape_sequence(void *arg, const char *bytes, size_t n)
{
        give_escape(arg, bytes, n);
}

static void give_csi(struct term *t, char leader, const uint32_t *args, unsigned nargs, char intermed, char final)
{
        char leaders[2] = {leader}, intermeds[2] = {intermed};
        long a[ESCAPE_ARGS + 4]; /* libvterm looks a little beyond the last */

        for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
                a[i] = i < nargs ? args[i] : ARG_MISSING;
        t->vt->parser.callbacks->csi(leader ? leaders : NULL, a, nargs, intermed ? intermeds : NULL, final, t->state);
}

/* Several modes in one sequence; libvterm looks at the first alone. 47 is the old number of 1047. */
static void set_modes(struct term *t, char leader, const uint32_t *args, unsigned nargs, char final)
{
        for (unsigned i = 0; i < nargs; i++) {
                uint32_t mode = leader == '?' && args[i] == 47 ? 1047 : args[i];

                give_csi(t, leader, &mode, 1, 0, final);
        }
}

static void report_size(struct term *t)
{
        char answer[32];
        int n = snprintf(answer, sizeof(answer), "\033[8;%u;%ut", t->b->rows, t->b->cols);

        on_output(answer, n, t);
}

/* What libvterm 0.1.4 does not do, or not as programs expect; true when done. */
static bool own_csi(struct term *t, char leader, const uint32_t *args, unsigned nargs, char intermed, char final)
{
        VTermState *s = t->state;

        if (intermed == '!' && !leader && final == 'p') { /* DECSTR */
                vterm_state_reset(s, 0);
                show_screen(t, s->mode.alt_screen);
                return true;
        }
        if (intermed)
                return false;
        if (final == 'h' || final == 'l') {
                set_modes(t, leader, args, nargs, final);
                return true;
        }
        if (leader)
                return false;
        switch (final) {
        case 'J': /* 3: the scrollback */
                if (args[0] == 3)
                        scrollback_clear(t->b);
                return args[0] == 3;
        case 's': /* with margins off this is the older "save cursor", not "set margins" */
                if (!s->mode.leftrightmargin)
                        give_escape(t, "7", 1);
                return !s->mode.leftrightmargin;
        case 'u':
                give_escape(t, "8", 1);
                return true;
        case 't':
                if (args[0] == 18)
                        report_size(t);
                return true;
        case 'b': /* REP of a character of no width would never end */
                return s->combine_width < 1;
        }
        return false;
}

static void on_csi_sequence(void *arg, char leader, const uint32_t *args, unsigned nargs, char intermed, char final)
{
        struct term *t = arg;

        if (!own_csi(t, leader, args, nargs, intermed, final))
                give_csi(t, leader, args, nargs, intermed, final);
        if (t->state->scrollregion_left >= t->state->cols) { /* margins with nothing between them */
                t->state->scrollregion_left = 0;
                t->state->scrollregion_right = -1;
        }
        take_pen(t);
}

static void on_string(void *arg, enum string_kind kind, const char *bytes, size_t n)
{
        struct term *t = arg;

        if (kind == STRING_DCS) /* queries; an OSC sets titles, which there is no place for */
                t->vt->parser.callbacks->dcs(bytes, n, t->state);
}

static bool on_stop(void *arg)
{
        struct term *t = arg;

        return t->stop;
}

static const struct escape_sink sink = {
        .ascii = on_ascii,
        .character = on_character,
        .control = on_control_byte,
        .escape = on_escape_sequence,
        .csi = on_csi_sequence,
        .string = on_string,
        .stop = on_stop,
};

/* ---- libvterm's state in the block ---- */

static const char charset_names[] = {'u', '0', 'A', 'B'};

static VTermEncoding *charset(char name)
{
        return vterm_lookup_encoding(name == 'u' ? ENC_UTF8 : ENC_SINGLE_94, name);
}

static char charset_name(const VTermEncoding *enc)
{
        for (unsigned i = 0; i < sizeof(charset_names); i++)
                if (charset(charset_names[i]) == enc)
                        return charset_names[i];
        return 'u';
}

static struct console_pen save_pen(const struct VTermPen *p)
{
        return (struct console_pen){
                .attributes = attributes(p),
                .fg = colour(&p->fg),
                .bg = colour(&p->bg),
                .font = p->font,
                .blink = p->blink,
        };
}

static VTermColor load_colour(uint32_t c, const VTermColor *otherwise)
{
        VTermColor v = *otherwise;

        if ((c & COLOUR_KIND) == COLOUR_INDEX)
                vterm_color_indexed(&v, c);
        else if ((c & COLOUR_KIND) == COLOUR_RGB)
                vterm_color_rgb(&v, c >> 16, c >> 8, c);
        return v;
}

static void load_pen(const VTermState *s, struct VTermPen *p, const struct console_pen *saved)
{
        uint32_t a = saved->attributes;

        p->bold = !!(a & CELL_BOLD);
        p->italic = !!(a & CELL_ITALIC);
        p->blink = !!saved->blink;
        p->reverse = !!(a & CELL_REVERSE);
        p->strike = !!(a & CELL_STRIKE);
        p->underline = (a & CELL_UNDERLINE) / CELL_UNDERLINE_1;
        p->font = saved->font;
        p->fg = load_colour(saved->fg, &s->default_fg);
        p->bg = load_colour(saved->bg, &s->default_bg);
}

static uint32_t save_modes(const VTermState *s)
{
        return (s->mode.keypad ? EMU_KEYPAD : 0) | (s->mode.cursor ? EMU_CURSOR_KEYS : 0) |
               (s->mode.autowrap ? EMU_AUTOWRAP : 0) | (s->mode.insert ? EMU_INSERT : 0) |
               (s->mode.newline ? EMU_NEWLINE : 0) | (s->mode.cursor_visible ? EMU_VISIBLE : 0) |
               (s->mode.cursor_blink ? EMU_BLINK : 0) | (uint32_t)s->mode.cursor_shape << EMU_SHAPE_SHIFT |
               (s->mode.alt_screen ? EMU_ALT_SCREEN : 0) | (s->mode.origin ? EMU_ORIGIN : 0) |
               (s->mode.screen ? EMU_REVERSE : 0) | (s->mode.leftrightmargin ? EMU_MARGINS : 0) |
               (s->mode.bracketpaste ? EMU_PASTE : 0) | (s->mode.report_focus ? EMU_FOCUS : 0);
}

static void load_modes(VTermState *s, uint32_t m)
{
        s->mode.keypad = !!(m & EMU_KEYPAD);
        s->mode.cursor = !!(m & EMU_CURSOR_KEYS);
        s->mode.autowrap = !!(m & EMU_AUTOWRAP);
        s->mode.insert = !!(m & EMU_INSERT);
        s->mode.newline = !!(m & EMU_NEWLINE);
        s->mode.cursor_visible = !!(m & EMU_VISIBLE);
        s->mode.cursor_blink = !!(m & EMU_BLINK);
        s->mode.cursor_shape = (m & EMU_SHAPE) >> EMU_SHAPE_SHIFT;
        s->mode.alt_screen = !!(m & EMU_ALT_SCREEN);
        s->mode.origin = !!(m & EMU_ORIGIN);
        s->mode.screen = !!(m & EMU_REVERSE);
        s->mode.leftrightmargin = !!(m & EMU_MARGINS);
        s->mode.bracketpaste = !!(m & EMU_PASTE);
        s->mode.report_focus = !!(m & EMU_FOCUS);
}

static void save(struct term *t)
{
        const VTermState *s = t->state;
        struct console_emulator *e = &t->b->emu;

        e->row = s->pos.row;
        e->col = s->pos.col;
        e->phantom = s->at_phantom;
        e->top = s->scrollregion_top;
        e->bottom = s->scrollregion_bottom;
        e->left = s->scrollregion_left;
        e->right = s->scrollregion_right;
        e->saved_row = s->saved.pos.row;
        e->saved_col = s->saved.pos.col;
        e->saved_cursor = (s->saved.mode.cursor_visible ? EMU_CURSOR_VISIBLE : 0) |
                          (s->saved.mode.cursor_blink ? EMU_CURSOR_BLINK : 0) |
                          s->saved.mode.cursor_shape << EMU_CURSOR_SHAPE_SHIFT;
        e->last_row = s->combine_pos.row;
        e->last_col = s->combine_pos.col;
        e->last_code = s->combine_chars[0];
        e->last_width = s->combine_width;
        for (unsigned i = 0; i < ARRAY_SIZE(e->charset); i++)
                e->charset[i] = charset_name(s->encoding[i].enc);
        e->gl = s->gl_set;
        e->gr = s->gr_set;
        e->single_shift = s->gsingle_set;
        e->protect = s->protected_cell;
        e->mouse_flags = s->mouse_flags;
        e->mouse_protocol = s->mouse_protocol;
        e->eight_bit_controls = t->vt->mode.ctrl8bit;
        e->modes = save_modes(s);
        e->pen = save_pen(&s->pen);
        e->saved_pen = save_pen(&s->saved.pen);
        memcpy(e->tabs, s->tabstops, (t->b->cols + 7u) / 8);
}

static int within(int v, int low, int high)
{
        return v < low ? low : v > high ? high : v;
}

/* The opposite of save; every number is brought into its bounds, since the block may be from anywhere. */
static void load(struct term *t)
{
        VTermState *s = t->state;
        const struct console_emulator *e = &t->b->emu;
        int rows = t->b->rows, cols = t->b->cols;

        s->pos = (VTermPos){within(e->row, 0, rows - 1), within(e->col, 0, cols - 1)};
        s->at_phantom = !!e->phantom;
        s->scrollregion_top = within(e->top, 0, rows - 1);
        s->scrollregion_bottom = e->bottom <= s->scrollregion_top ? -1 : within(e->bottom, 0, rows);
        s->scrollregion_left = within(e->left, 0, cols - 1);
        s->scrollregion_right = e->right <= s->scrollregion_left ? -1 : within(e->right, 0, cols);
        s->saved.pos = (VTermPos){within(e->saved_row, 0, rows - 1), within(e->saved_col, 0, cols - 1)};
        s->saved.mode.cursor_visible = !!(e->saved_cursor & EMU_CURSOR_VISIBLE);
        s->saved.mode.cursor_blink = !!(e->saved_cursor & EMU_CURSOR_BLINK);
        s->saved.mode.cursor_shape = e->saved_cursor >> EMU_CURSOR_SHAPE_SHIFT & 3;
        remember(t, e->last_code & CELL_CODE, within(e->last_width, 0, 2),
                 (VTermPos){within(e->last_row, 0, rows - 1), within(e->last_col, 0, cols - 1)});
        for (unsigned i = 0; i < ARRAY_SIZE(e->charset); i++) {
                VTermEncoding *enc = charset(e->charset[i]);

                s->encoding[i].enc = enc ? enc : charset('u');
        }
        s->gl_set = e->gl & 3;
        s->gr_set = e->gr & 3;
        s->gsingle_set = e->single_shift & 3;
        s->protected_cell = !!e->protect;
        s->mouse_flags = e->mouse_flags & (MOUSE_WANT_CLICK | MOUSE_WANT_DRAG | MOUSE_WANT_MOVE);
        s->mouse_protocol = within(e->mouse_protocol, MOUSE_X10, MOUSE_RXVT);
        t->vt->mode.ctrl8bit = !!e->eight_bit_controls;
        load_modes(s, e->modes);
        load_pen(s, &s->pen, &e->pen);
        load_pen(s, &s->saved.pen, &e->saved_pen);
        memcpy(s->tabstops, e->tabs, (cols + 7u) / 8);
        take_pen(t);
}

/* ---- set-up ---- */

/*
 * libvterm asks for memory when it is made (for what is asked later there is none of it: its text and string paths are
 * not used).
 */
static void *give_memory(size_t size, void *user)
{
        struct term *t = user;
        void *p = t->memory + t->memory_used;

        t->memory_used += ALIGN_UP(size, (size_t)16);
        return p;
}

static void take_memory(void *p, void *user)
{
        (void)p, (void)user;
}

static VTermAllocatorFunctions allocator = {.malloc = give_memory, .free = take_memory};

_Static_assert(sizeof(struct VTerm) + sizeof(struct VTermState) + 3 * 64 + 64 + CONSOLE_COLS_MAX / 8 +
                               CONSOLE_ROWS_MAX * sizeof(VTermLineInfo) + 8 * 16 <=
                       sizeof(((struct term *)0)->memory),
               "what vterm_new and vterm_obtain_state ask for");

static void make_emulator(struct term *t)
{
        memset(t->memory, 0, sizeof(t->memory));
        t->memory_used = 0;
        t->vt = vterm_new_with_allocator(t->b->rows, t->b->cols, &allocator, t);
        vterm_set_utf8(t->vt, 1);
        t->state = vterm_obtain_state(t->vt);
        vterm_output_set_callback(t->vt, on_output, t);
}

static void listen(struct term *t)
{
        vterm_state_set_callbacks(t->state, &state_callbacks, t);
}

static void make_head(struct console_block *b, uint32_t ring_size, bool has_alt, unsigned rows, unsigned cols)
{
        b->magic = CONSOLE_MAGIC;
        b->version = CONSOLE_VERSION;
        b->rows = rows;
        b->cols = cols;
        b->ring_size = ring_size;
        b->has_alt = has_alt;
        for (unsigned row = 0; row < rows; row++)
                b->screen[0].slot[row] = b->screen[1].slot[row] = row;
}

void term_create(struct term *t, struct console_block *b, uint32_t ring_size, bool has_alt, unsigned rows,
                 unsigned cols)
{
        make_head(b, ring_size, has_alt, rows, cols);
        t->b = b;
        make_emulator(t);
        listen(t);
        vterm_state_reset(t->state, 1);
        take_pen(t);
        save(t);
        mark_all(t);
}

static bool is_permutation(const uint8_t *slot, unsigned rows)
{
        uint8_t seen[CONSOLE_ROWS_MAX] = {0};

        for (unsigned row = 0; row < rows; row++)
                if (slot[row] >= rows || seen[slot[row]]++)
                        return false;
        return true;
}

/* The head is one that can be worked with: sizes and maps in bounds. */
static bool is_sound(const struct console_block *b)
{
        if (b->magic != CONSOLE_MAGIC || b->version != CONSOLE_VERSION || b->rows < 1 || b->rows > CONSOLE_ROWS_MAX ||
            b->cols < 2 || b->cols > CONSOLE_COLS_MAX || b->rows * b->cols > CONSOLE_CELLS_MAX ||
            b->ring_size != CONSOLE_RING || b->has_alt != 1 || b->active > 1)
                return false;
        for (unsigned i = 0; i < 2; i++) {
                if (!is_permutation(b->screen[i].slot, b->rows))
                        return false;
                for (unsigned row = 0; row < b->rows; row++)
                        if (b->screen[i].used[row] > b->cols)
                                return false;
        }
        return true;
}

int term_restore(struct term *t, struct console_block *b, unsigned rows, unsigned cols)
{
        if (!is_sound(b))
                return -EINVAL;
        if (b->rows != rows || b->cols != cols)
                return -ERANGE;
        t->b = b;
        make_emulator(t);
        vterm_state_reset(t->state, 1);
        load(t);
        t->state->callbacks = &state_callbacks; /* vterm_state_set_callbacks would reset the pen */
        t->state->cbdata = t;
        mark_all(t);
        return 0;
}

/*
 * One screen: the last rows stay, those above go to the scrollback if they are the normal screen's. Returns how many
 * went.
 */
static unsigned reshape_screen(struct console_block *b, unsigned screen, unsigned cursor_row, unsigned rows,
                               unsigned cols, struct console_cell *scratch)
{
        struct console_screen *s = &b->screen[screen];
        struct console_cell *cells = console_cells(b, screen);
        unsigned gone = cursor_row >= rows ? cursor_row - rows + 1 : 0;
        uint16_t used[CONSOLE_ROWS_MAX] = {0};

        for (unsigned row = 0; row < gone && screen == 0; row++)
                scrollback_push(b, cells + s->slot[row] * b->cols, s->used[s->slot[row]]);
        for (unsigned row = 0; row < rows && row + gone < b->rows; row++) {
                unsigned slot = s->slot[row + gone];

                used[row] = MIN(s->used[slot], (uint16_t)cols);
                memcpy(scratch + row * cols, cells + slot * b->cols, used[row] * sizeof(*cells));
                if (used[row] && (scratch[row * cols + used[row] - 1].ch & CELL_WIDE))
                        used[row]--; /* its right half was cut off */
        }
        for (unsigned row = 0; row < rows; row++) {
                s->slot[row] = row;
                s->used[row] = used[row];
                memcpy(cells + row * cols, scratch + row * cols, used[row] * sizeof(*cells));
        }
        return gone;
}

void term_reshape(struct console_block *b, unsigned rows, unsigned cols, struct console_cell *scratch)
{
        struct console_emulator *e = &b->emu;
        unsigned cursor = within(e->row, 0, b->rows - 1), other = within(e->saved_row, 0, b->rows - 1);
        unsigned gone, saved_gone;

        gone = reshape_screen(b, b->active, cursor, rows, cols, scratch);
        saved_gone = reshape_screen(b, !b->active, other, rows, cols, scratch);
        e->row = within((int)cursor - (int)gone, 0, rows - 1);
        e->col = within(e->col, 0, cols - 1);
        e->saved_row = within((int)other - (int)(b->active ? saved_gone : gone), 0, rows - 1);
        e->saved_col = within(e->saved_col, 0, cols - 1);
        e->phantom = 0;
        e->top = e->left = 0;
        e->bottom = e->right = -1;
        for (unsigned col = b->cols; col < cols; col++)
                if (col % 8 == 0)
                        e->tabs[col / 8] |= 1;
                else
                        e->tabs[col / 8] &= ~(1u << col % 8);
        b->rows = rows;
        b->cols = cols;
}

void term_copy(struct console_block *to, struct console_block *from)
{
        struct console_cell line[CONSOLE_COLS_MAX];

        make_head(to, CONSOLE_RING, true, from->rows, from->cols);
        for (unsigned i = scrollback_lines(from); i-- > 0;)
                if (scrollback_read(from, i, line, from->cols, term_width))
                        scrollback_push(to, line, from->cols);
        to->screen[0] = from->screen[0];
        for (unsigned slot = 0; slot < from->rows; slot++)
                memcpy(to->cells + slot * to->cols, from->cells + slot * from->cols,
                       from->screen[0].used[slot] * sizeof(*to->cells));
        to->emu = from->emu;
        to->parser = from->parser;
}

/* ---- use ---- */

void term_touch(const struct term *t)
{
        const volatile uint8_t *p = (const volatile uint8_t *)t->b;
        size_t screen = ALIGN_UP(t->b->rows * t->b->cols * sizeof(struct console_cell), PAGE_SIZE);
        const volatile uint8_t *ring = console_ring(t->b);
        size_t push_max = PUSH_BUDGET + t->b->rows * (SCROLLBACK_LINE_MAX(t->b->cols) + 4);

        for (size_t at = 0; at < PAGE_SIZE + screen; at += PAGE_SIZE)
                (void)p[at];
        if (t->b->has_alt)
                for (size_t at = 0; at < screen; at += PAGE_SIZE)
                        (void)((const volatile uint8_t *)console_cells(t->b, 1))[at];
        for (size_t at = 0; at < MIN(push_max + PAGE_SIZE, (size_t)t->b->ring_size); at += PAGE_SIZE) {
                (void)ring[(t->b->ring_head + at) % t->b->ring_size];
                (void)ring[(t->b->ring_tail + at) % t->b->ring_size]; /* lengths of lines that are dropped */
        }
}

void term_touch_all(const struct console_block *b)
{
        const volatile uint8_t *p = (const volatile uint8_t *)b;

        for (size_t at = 0; at < console_block_bytes(b->ring_size, b->has_alt); at += PAGE_SIZE)
                (void)p[at];
}

size_t term_write(struct term *t, const char *bytes, size_t len)
{
        int left = t->state->pos.row;
        size_t n;

        t->stop = false;
        t->pushed_bytes = 0;
        escape_check(&t->b->parser);
        scrollback_check(t->b);
        n = escape_feed(&t->b->parser, &sink, t, bytes, len);
        save(t);
        mark(t, left); /* after the move: a drawing that took an earlier mark saw the cursor there */
        mark(t, t->state->pos.row);
        return n;
}

const struct console_cell *term_row(const struct term *t, unsigned row, unsigned *used)
{
        const struct console_screen *s = screen_of(t);
        unsigned slot = READ_ONCE(s->slot[row]);

        *used = READ_ONCE(s->used[slot]);
        return console_cells(t->b, t->b->active) + slot * t->b->cols;
}

bool term_cursor(const struct term *t, unsigned *row, unsigned *col, unsigned *shape)
{
        const struct console_emulator *e = &t->b->emu;

        *row = e->row;
        *col = e->col;
        *shape = (e->modes & EMU_SHAPE) >> EMU_SHAPE_SHIFT;
        return e->modes & EMU_VISIBLE;
}
