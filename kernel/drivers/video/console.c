/*
 * console.c - virtual terminals tty1 to tty4: one is shown on the screen, and gets the keys.
 *
 * Each has an emulator over a block of cells. Until posix attaches the block that survives (console_attach), tty1 works
 * on a small volatile one, so that the kernel's log is seen from the start; others have none and take no output.
 *
 * Drawing is done in batches, by a work item (a section, since it reads persistent cells), not sooner than DRAW_NS after
 * the last, and longer after an expensive one, so that drawing takes at most a tenth of a CPU however much is written. A
 * batch is cut into slices, each a section of its own, so that a barrier does not wait for it. Rows that were written to
 * are marked; only cells that differ from what is shown (`shown`, volatile) are drawn. An absent page abandons the work
 * item anywhere in the reading: `reading` is then still set when it runs again, and all rows are looked at anew.
 *
 * The kernel's log after attaching: bytes are kept in a volatile ring by whoever logs, and written to tty1 by a work
 * item. In a panic lines are drawn straight to the screen, over what is there, and no block is touched.
 *
 * Locks (volatile, interrupts off): screen.lock guards `shown` and drawing to the frame buffer, one row at a time;
 * logger.lock the log's ring, and tty1's early block. vt.writer is a lock between sections, with interrupts on: one
 * writer at a time.
 */
#include <linux/input-event-codes.h>
#include <vterm.h>
#include "kernel/drivers/input/keymap.h"
#include "kernel/drivers/video/console.h"
#include "kernel/drivers/video/fb.h"
#include "kernel/drivers/video/palette.h"
#include "kernel/drivers/video/scrollback.h"
#include "kernel/drivers/video/term.h"
#include "kernel/include/cpu.h"
#include "kernel/include/hooks.h"
#include "kernel/include/input.h"
#include "kernel/include/log.h"
#include "kernel/include/mem.h"
#include "kernel/include/time.h"
#include "kernel/include/tty.h"
#include "kernel/include/work.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define VTS             4
#define DRAW_NS         (NSEC_PER_SEC / 60)
#define DRAW_SHARE      10 /* the next drawing waits that many times as long as the last took */
#define DRAW_NS_MAX     (NSEC_PER_SEC / 4)
#define SLICE_CELLS     48 /* drawn in one section: about 25,000 instructions */
#define SCROLLBACK_COST 8  /* of finding and unpacking a line, in cells drawn */
#define PANIC_ROWS      16
#define ROOM            4096
#define LOG_RING        8192u /* a power of two */
#define LOG_BATCH       512u
#define EARLY_FRAMES    (ALIGN_UP(sizeof(struct console_block) + CONSOLE_RING_EARLY, PAGE_SIZE) / PAGE_SIZE)
#define ROWS_NO_SCREEN  25
#define COLS_NO_SCREEN  80

struct vt {
        struct tty_port port;
        struct term term;
        struct console_block *early; /* the volatile block; NULL when there is none (any more) */
        volatile bool usable;        /* term has a block */
        volatile bool attached;      /* and it is the one in the space */
        volatile uint32_t writer; /* held by who writes: posix/tty, or the log; in sections after their first change */
        volatile unsigned key_modes; /* KEYMAP_*, for the keyboard's interrupt */
        uint64_t view; /* line of the scrollback at the top of the screen, counted from the first ever; NOT_VIEWING */
        int32_t scroll_by;        /* atomic: asked for by keys, done when drawing */
        volatile bool scroll_end; /* back to the terminal itself */
};
#define NOT_VIEWING UINT64_MAX

static struct vt vts[VTS];
static struct vt *volatile shown_vt = &vts[0];

static struct {
        struct spinlock lock;
        struct console_cell *shown; /* l: what is on the screen */
        struct vtimer timer;
        struct work work;
        volatile uint32_t scheduled; /* work or timer is on its way */
        volatile uint32_t all_dirty; /* another terminal, or another part of it, is to be shown */
        bool reading;                /* the work item is in the middle of it */
        uint64_t pass_ns;            /* when the first slice of this drawing began; 0: none did */
        uint64_t took_ns;            /* what all its slices have taken */
        uint64_t next_ns;            /* not sooner than then the next drawing */
        unsigned panic_row, panic_col;
} screen;

static struct {
        struct spinlock lock;
        char ring[LOG_RING]; /* l */
        uint32_t head, tail; /* l */
        struct work work;
} logger;

static struct keymap keymap;

/* ---- drawing ---- */

static unsigned rows(void)
{
        return vts[0].port.rows;
}

static unsigned cols(void)
{
        return vts[0].port.cols;
}

static struct console_cell *shown_row(unsigned row)
{
        return screen.shown + row * cols();
}

static struct fb_cell look(const struct console_cell *c, unsigned cursor_shape)
{
        struct fb_cell f = {
                .code = c->ch & CELL_CODE ? c->ch & CELL_CODE : ' ',
                .fg = palette_rgb(cell_fg(c), PALETTE_FG, c->ch & CELL_BOLD),
                .bg = palette_rgb(cell_bg(c), PALETTE_BG, false),
                .columns = c->ch & CELL_WIDE ? 2 : 1,
                .cursor = c->ch & CELL_CURSOR ? cursor_shape : 0,
                .underline = (c->ch & CELL_UNDERLINE) / CELL_UNDERLINE_1,
                .bold = c->ch & CELL_BOLD,
                .italic = c->ch & CELL_ITALIC,
                .strike = c->ch & CELL_STRIKE,
        };

        if (c->ch & CELL_REVERSE) {
                uint32_t fg = f.fg;

                f.fg = f.bg;
                f.bg = fg;
        }
        return f;
}

static bool draws_blank(const struct console_cell *c)
{
        uint32_t code = c->ch & CELL_CODE;

        return (code == 0 || code == ' ') &&
               !(c->ch & (CELL_CURSOR | CELL_UNDERLINE | CELL_STRIKE | CELL_WIDE | CELL_TAIL | CELL_REVERSE));
}

static bool same(const struct console_cell *a, const struct console_cell *b)
{
        return a->ch == b->ch && a->colours == b->colours;
}

static bool same_background(const struct console_cell *a, const struct console_cell *b)
{
        return ((a->colours ^ b->colours) & 0xffff0000u) == 0 && ((a->ch ^ b->ch) & CELL_BG_RGB) == 0;
}

/* From `col`, cells that are blank in one colour and differ from what is shown. */
static unsigned blank_run(const struct console_cell *cells, const struct console_cell *old, unsigned n)
{
        unsigned i = 0;

        while (i < n && draws_blank(&cells[i]) && same_background(&cells[i], &cells[0]) && !same(&cells[i], &old[i]))
                i++;
        return i;
}

/* Returns false when *budget was used up before the row's end; what is left of it is still as it was. */
static bool draw_row(unsigned row, const struct console_cell *cells, unsigned cursor_shape, int *budget)
{
        uint64_t flags = spin_lock(&screen.lock);
        struct console_cell *old = shown_row(row);
        unsigned n = cols(), col = 0;

        while (col<n && * budget> 0) {
                const struct console_cell *c = &cells[col];
                unsigned run;

                if (same(c, &old[col])) {
                        col++;
                        continue;
                }
                run = blank_run(c, &old[col], n - col);
                if (run) {
                        fb_blank(row, col, run, palette_rgb(cell_bg(c), PALETTE_BG, false));
                        *budget -= 1 + run / 4;
                } else {
                        struct fb_cell f = look(c, cursor_shape);

                        run = f.columns = col + f.columns <= n ? f.columns : 1;
                        if (!(c->ch & CELL_TAIL)) /* drawn with its left half */
                                fb_draw(row, col, &f);
                        *budget -= run;
                }
                memcpy(&old[col], c, run * sizeof(*c));
                col += run;
        }
        spin_unlock(&screen.lock, flags);
        return col == n;
}

/* A row of the terminal into cells; reads the block, so it may end the section. */
static void fetch_screen_row(struct vt *vt, unsigned row, struct console_cell *cells)
{
        unsigned used;
        const struct console_cell *from = term_row(&vt->term, row, &used);

        used = MIN(used, cols());
        memcpy(cells, from, used * sizeof(*cells));
        memset(cells + used, 0, (cols() - used) * sizeof(*cells));
        for (unsigned col = 0; col < used; col++)
                cells[col].ch &= ~CELL_PROTECTED; /* CELL_CURSOR from here on */
        if (vt->term.b->emu.modes & EMU_REVERSE)
                for (unsigned col = 0; col < cols(); col++)
                        cells[col].ch ^= CELL_REVERSE;
}

/* What the keys asked for. */
static void move_view(struct vt *vt, uint64_t first, uint64_t end)
{
        int32_t by = __atomic_exchange_n(&vt->scroll_by, 0, __ATOMIC_SEQ_CST);
        uint64_t top = vt->view == NOT_VIEWING ? end : vt->view;

        if (vt->scroll_end) {
                vt->scroll_end = false;
                vt->view = NOT_VIEWING;
                return;
        }
        if (by > 0)
                top = top - first < (uint64_t)by ? first : top - by;
        else
                top = end - top < (uint64_t)-by ? end : top - by;
        vt->view = top == end ? NOT_VIEWING : top;
}

/* Rows of the scrollback that are in view: 0 when the terminal itself is. */
static unsigned viewed_rows(struct vt *vt)
{
        struct console_block *b = vt->term.b;
        uint64_t first = b->lines_dropped, end = b->lines_pushed;

        if (vt->view != NOT_VIEWING && vt->view < first)
                vt->view = first;
        move_view(vt, first, end);
        if (vt->view == NOT_VIEWING || b->active)
                return 0;
        return MIN(end - vt->view, (uint64_t)rows());
}

static void mark_rows(struct vt *vt)
{
        for (unsigned row = 0; row < rows(); row++)
                __atomic_store_n(&vt->term.dirty[row], 1, __ATOMIC_RELEASE);
}

/* Draws rows that are marked, until the budget is used up. Returns whether all is drawn. */
static bool draw_marked(struct vt *vt, unsigned above, int budget)
{
        struct console_cell cells[CONSOLE_COLS_MAX];
        struct console_block *b = vt->term.b;

        for (unsigned row = 0; row < rows(); row++) {
                unsigned cursor_row, cursor_col, shape;
                bool cursor;

                if (!__atomic_exchange_n(&vt->term.dirty[row], 0, __ATOMIC_SEQ_CST))
                        continue;
                /* Looked at behind the mark: who moves the cursor marks the row that it leaves afterwards. */
                cursor = term_cursor(&vt->term, &cursor_row, &cursor_col, &shape);
                if (row < above) {
                        scrollback_read(b, b->lines_pushed - vt->view - row - 1, cells, cols(), term_width);
                        budget -= SCROLLBACK_COST;
                } else {
                        fetch_screen_row(vt, row - above, cells);
                }
                if (cursor && row == cursor_row + above && cursor_col < cols())
                        cells[cursor_col].ch |= CELL_CURSOR;
                if (!draw_row(row, cells, shape, &budget)) {
                        __atomic_store_n(&vt->term.dirty[row], 1, __ATOMIC_RELEASE);
                        return false;
                }
        }
        return true;
}

/* One slice of a drawing. Returns whether it is complete. */
static bool draw_slice(struct vt *vt, int budget)
{
        uint64_t begin = time_mono_ns();
        unsigned above = viewed_rows(vt);
        bool done;

        if (!screen.pass_ns)
                screen.pass_ns = begin;
        if (screen.reading ||
            (above && !screen.took_ns)) /* the last attempt was abandoned; or all rows may have moved */
                mark_rows(vt);
        screen.reading = true;
        if (__atomic_exchange_n(&screen.all_dirty, 0, __ATOMIC_SEQ_CST))
                mark_rows(vt);
        done = draw_marked(vt, above, budget);
        screen.reading = false;
        fb_flush();
        screen.took_ns += time_mono_ns() - begin;
        if (done) {
                screen.next_ns = screen.pass_ns + MIN(MAX(screen.took_ns * DRAW_SHARE, DRAW_NS), DRAW_NS_MAX);
                screen.took_ns = screen.pass_ns = 0;
        }
        return done;
}

static void draw_work(struct work *w)
{
        struct vt *vt = shown_vt;

        __atomic_store_n(&screen.scheduled, 0, __ATOMIC_SEQ_CST);
        if (vt->usable && !draw_slice(vt, SLICE_CELLS)) {
                __atomic_store_n(&screen.scheduled, 1, __ATOMIC_SEQ_CST);
                work_queue(w);
        }
}

static void timer_fired(struct vtimer *t)
{
        (void)t;
        work_queue(&screen.work);
}

static void schedule_draw(void)
{
        uint64_t now;

        if (!screen.shown || klog_panicking() || __atomic_exchange_n(&screen.scheduled, 1, __ATOMIC_SEQ_CST))
                return;
        now = time_mono_ns();
        if (now >= screen.next_ns)
                work_queue(&screen.work);
        else
                vtimer_arm(&screen.timer, screen.next_ns);
}

static void show_all(void)
{
        __atomic_store_n(&screen.all_dirty, 1, __ATOMIC_SEQ_CST);
        schedule_draw();
}

/* ---- terminals ---- */

static void written(struct vt *vt)
{
        uint32_t modes = vt->term.b->emu.modes;

        vt->key_modes = (modes & EMU_CURSOR_KEYS ? KEYMAP_CURSOR_KEYS : 0) |
                        (modes & EMU_NEWLINE ? KEYMAP_NEWLINE : 0) | (modes & EMU_KEYPAD ? KEYMAP_KEYPAD : 0);
        if (vt == shown_vt)
                schedule_draw();
}

static void lock_writer(struct vt *vt)
{
        while (__atomic_exchange_n(&vt->writer, 1, __ATOMIC_ACQUIRE))
                while (vt->writer)
                        cpu_relax();
}

static void unlock_writer(struct vt *vt)
{
        __atomic_store_n(&vt->writer, 0, __ATOMIC_RELEASE);
}

static size_t vt_write(struct tty_port *p, const char *bytes, size_t len)
{
        struct vt *vt = p->driver;
        size_t n;

        if (!vt->attached)
                return len; /* nobody could ever see it */
        lock_writer(vt);
        n = term_write(&vt->term, bytes, MIN(len, (size_t)ROOM));
        unlock_writer(vt);
        written(vt);
        return n;
}

static size_t vt_room(struct tty_port *p)
{
        (void)p;
        return ROOM;
}

static bool vt_empty(struct tty_port *p)
{
        (void)p;
        return true;
}

static void vt_prepare(struct tty_port *p)
{
        struct vt *vt = p->driver;

        if (vt->usable)
                term_touch(&vt->term);
}

unsigned console_active(void)
{
        return shown_vt - vts + 1;
}

static const struct tty_port_ops vt_ops = {
        .write = vt_write,
        .room = vt_room,
        .empty = vt_empty,
        .prepare = vt_prepare,
};

/* The terminal's answer to a query. */
static void reply(void *arg, const char *bytes, size_t len)
{
        struct vt *vt = arg;

        if (vt->port.input)
                vt->port.input(&vt->port, bytes, len);
}

bool console_is(const struct tty_port *p)
{
        return p->ops == &vt_ops;
}

size_t console_state_size(void)
{
        return console_block_bytes(CONSOLE_RING, true);
}

/*
 * From here on the log is kept in its ring until the terminal is attached. Before the block is read: reading may end
 * the section, and then all this is done again.
 */
static void detach(struct vt *vt)
{
        uint64_t flags = spin_lock(&logger.lock);

        vt->usable = vt->attached = false;
        spin_unlock(&logger.lock, flags);
}

/* What was logged while a screen of an earlier life was on its way: programs did not ask for that in the middle of their own. dmesg has it. */
static void ring_forget(void)
{
        uint64_t flags = spin_lock(&logger.lock);

        logger.tail = logger.head;
        spin_unlock(&logger.lock, flags);
}

static void log_write(struct klog_console *c, const char *text, size_t len);
static struct klog_console log_console = {.write = log_write};

static int attach_new(struct vt *vt, struct console_block *b)
{
        if (!vt->early) {
                term_create(&vt->term, b, CONSOLE_RING, true, rows(), cols());
                return 0;
        }
        term_copy(b, vt->early);
        return term_restore(&vt->term, b, rows(), cols());
}

int console_attach(struct tty_port *p, void *state, bool restored)
{
        struct vt *vt = p->driver;
        int err;

        detach(vt);
        err = restored ? term_restore(&vt->term, state, rows(), cols()) : attach_new(vt, state);
        if (err == -ERANGE)
                term_touch_all(state);
        if (err)
                return err;
        if (vt->early)
                frame_free_contig(direct_pa(vt->early), EARLY_FRAMES);
        vt->early = NULL;
        vt->term.reply = reply;
        vt->term.arg = vt;
        vt->view = NOT_VIEWING;
        vt->usable = vt->attached = true;
        written(vt);
        if (vt == shown_vt)
                show_all();
        if (vt == &vts[0]) {
                log_console.quiet = true;
                if (restored)
                        ring_forget();
                work_queue(&logger.work);
        }
        return 0;
}

int console_reshape(struct tty_port *p, void *state)
{
        struct console_cell *scratch = vmalloc(CONSOLE_CELLS_MAX * sizeof(*scratch));

        (void)p;
        if (!scratch)
                return -ENOMEM;
        term_reshape(state, rows(), cols(), scratch);
        vfree(scratch);
        return 0;
}

/* ---- the kernel's log on tty1 ---- */

static bool row_is_empty(unsigned row)
{
        const struct console_cell *c = shown_row(row);
        unsigned col = 0;

        while (col < cols() && draws_blank(&c[col]))
                col++;
        return col == cols();
}

/* Below what is shown, if there is room for a good part of it, else from the top. */
static void panic_begin(void)
{
        struct vt *vt = &vts[0];
        unsigned row = rows();

        if (vt->usable && !vt->attached)
                draw_slice(vt, INT32_MAX); /* lines of the log that were to be drawn a little later; a volatile block */
        while (row > 0 && row_is_empty(row - 1))
                row--;
        screen.panic_row = row + PANIC_ROWS <= rows() ? row : 0;
}

/* Straight to the screen, in colours that nothing else has. */
static void panic_write(const char *text, size_t len)
{
        static struct fb_cell c = {.fg = 0xffffff, .bg = 0x800000, .columns = 1};
        static bool begun;

        if (!begun) {
                begun = true;
                panic_begin();
        }
        for (; len; text++, len--) {
                if (screen.panic_col == 0)
                        fb_blank(screen.panic_row, 0, cols(), c.bg);
                if (*text != '\n') {
                        c.code = (uint8_t)*text;
                        fb_draw(screen.panic_row, screen.panic_col++, &c);
                }
                if (*text == '\n' || screen.panic_col == cols()) {
                        screen.panic_col = 0;
                        screen.panic_row = (screen.panic_row + 1) % rows();
                }
        }
        fb_flush();
}

/* Before there is a scheduler nobody runs work items: drawn here, no more often than elsewhere. */
static void early_write(struct vt *vt, const char *text, size_t len)
{
        static const char eol[] = "\r\n";

        while (len) {
                const char *nl = memchr(text, '\n', len);
                size_t n = nl ? (size_t)(nl - text) : len;

                term_write(&vt->term, text, n);
                if (nl)
                        term_write(&vt->term, eol, 2);
                n += nl ? 1 : 0;
                text += n;
                len -= n;
        }
        if (screen.shown && time_mono_ns() >= screen.next_ns)
                draw_slice(vt, INT32_MAX);
        schedule_draw();
}

static void ring_put(const char *text, size_t len)
{
        for (; len; text++, len--) {
                logger.ring[logger.head++ % LOG_RING] = *text;
                if (logger.head - logger.tail > LOG_RING)
                        logger.tail++; /* the oldest is lost here; the log itself has it */
        }
}

static void log_write(struct klog_console *c, const char *text, size_t len)
{
        struct vt *vt = &vts[0];
        uint64_t flags;

        (void)c;
        if (klog_panicking()) {
                if (screen.shown)
                        panic_write(text, len);
                return;
        }
        flags = spin_lock(&logger.lock);
        if (vt->usable && !vt->attached) {
                early_write(vt, text, len);
        } else {
                ring_put(text, len);
                if (vt->attached)
                        work_queue(&logger.work);
        }
        spin_unlock(&logger.lock, flags);
}

/* Some of what waits, with carriage returns. Returns its length in `out`, which has room for twice `max`. */
static size_t take_log(char *out, size_t max)
{
        uint64_t flags = spin_lock(&logger.lock);
        size_t n = 0;

        for (; max && logger.tail != logger.head; max--) {
                char c = logger.ring[logger.tail++ % LOG_RING];

                if (c == '\n')
                        out[n++] = '\r';
                out[n++] = c;
        }
        spin_unlock(&logger.lock, flags);
        return n;
}

static void log_work(struct work *w)
{
        struct vt *vt = &vts[0];
        char text[2 * LOG_BATCH];
        size_t n, at = 0;

        if (!vt->attached)
                return;
        vt_prepare(&vt->port);
        hooks.changes();
        n = take_log(text, LOG_BATCH);
        lock_writer(vt);
        while (at < n) /* a batch is too short to dirty more than a section may */
                at += term_write(&vt->term, text + at, n - at);
        unlock_writer(vt);
        written(vt);
        if (n)
                work_queue(w);
}

/* ---- keys ---- */

int console_activate(unsigned vt)
{
        if (vt < 1 || vt > VTS)
                return -ENXIO;
        if (shown_vt != &vts[vt - 1]) {
                vts[vt - 1].scroll_end = true;
                shown_vt = &vts[vt - 1];
                show_all();
        }
        return 0;
}

static void scroll_view(int by)
{
        struct vt *vt = shown_vt;

        __atomic_fetch_add(&vt->scroll_by, by, __ATOMIC_SEQ_CST);
        show_all();
}

static void give_key(const struct key_result *k)
{
        struct vt *vt = shown_vt;

        if (vt->view != NOT_VIEWING) {
                vt->scroll_end = true;
                show_all();
        }
        if (vt->port.input)
                vt->port.input(&vt->port, k->bytes, k->len);
}

/* In interrupt context. */
static void on_input(void *arg, struct input_device *d, const struct input_event_raw *ev)
{
        struct key_result k;

        (void)arg;
        if (ev->type != EV_KEY || ev->code >= BTN_MISC)
                return;
        k = keymap_event(&keymap, ev->code, ev->value, shown_vt->key_modes);
        switch (k.command) {
        case KEY_CMD_NONE:
                if (k.len)
                        give_key(&k);
                break;
        case KEY_CMD_SWITCH:
                console_activate(k.number + 1);
                break;
        case KEY_CMD_SCROLL_UP:
                scroll_view(rows() / 2);
                break;
        case KEY_CMD_SCROLL_DOWN:
                scroll_view(-(int)(rows() / 2));
                break;
        case KEY_CMD_LEDS:
                if (d->set_leds)
                        d->set_leds(d, keymap_leds(&keymap));
                break;
        case KEY_CMD_CTRL_ALT_DEL:
                klog(LOG_INFO, "Ctrl-Alt-Del is ignored: `reboot` and `poweroff` do it");
        }
}

/* A key that is pressed meanwhile is of one layout or the other: the pointer is one store. */
int keyboard_layout_set(const char *name)
{
        return keymap_set(&keymap, name);
}

const char *keyboard_layout(void)
{
        return keymap_name(&keymap);
}

/* ---- set-up ---- */

/* tty1's block until posix gives it one. Without memory for it the log is seen on the serial port alone. */
static void make_early(struct vt *vt)
{
        paddr_t pa = frame_alloc_contig(EARLY_FRAMES, ~0ul);

        if (!pa)
                return;
        vt->early = direct(pa);
        memset(vt->early, 0, EARLY_FRAMES * PAGE_SIZE);
        term_create(&vt->term, vt->early, CONSOLE_RING_EARLY, false, rows(), cols());
        vt->usable = true;
}

static void make_terminals(void)
{
        for (unsigned i = 0; i < VTS; i++) {
                struct vt *vt = &vts[i];
                struct tty_port *p = &vt->port;

                snprintf(p->name, sizeof(p->name), "tty%u", i + 1);
                p->minor = i + 1;
                p->rows = fb_present() ? fb_rows() : ROWS_NO_SCREEN;
                p->cols = fb_present() ? fb_cols() : COLS_NO_SCREEN;
                p->ops = &vt_ops;
                p->driver = vt;
                vt->view = NOT_VIEWING;
                tty_port_register(p);
        }
}

void console_init(void)
{
        bool visible = fb_init();

        make_terminals();
        screen.work.fn = draw_work;
        screen.timer.fn = timer_fired;
        logger.work.fn = log_work;
        if (visible) {
                size_t bytes = rows() * cols() * sizeof(*screen.shown);

                screen.shown = vmalloc(bytes);
                if (screen.shown) {
                        memset(screen.shown, 0, bytes);
                        make_early(&vts[0]);
                        klog_console_register(&log_console);
                }
                klog(LOG_INFO, "screen: %ux%u cells", cols(), rows());
        }
        input_listen(on_input, NULL);
}
