/*
 * escape.c - see escape.h. libvterm has a parser of its own; 0.1.4's trusts the stream (arguments without a bound,
 * buffers on the stack as long as the text) and cannot be saved between two bytes. So only libvterm's interpretation of
 * sequences is used, not its parser.
 */
#include "kernel/drivers/video/escape.h"
#include "kernel/lib/string.h"

enum state { GROUND, ESCAPE, CSI_ENTRY, CSI_ARGS, CSI_INTERMED, STRING, STRING_ESCAPE, NSTATES };

#define REPLACEMENT 0xfffdu
#define BEL         0x07
#define CAN         0x18
#define SUB         0x1a
#define ESC         0x1b
#define DEL         0x7f

struct feeder {
        struct console_parser *p;
        const struct escape_sink *sink;
        void *arg;
};

static void begin(struct console_parser *p, enum state s)
{
        p->state = s;
        p->nargs = 0;
        p->leader = 0;
        p->nintermed = 0;
        p->ignore = 0;
}

static void begin_string(struct console_parser *p, enum string_kind kind)
{
        begin(p, STRING);
        p->string_kind = kind;
        p->string_len = 0;
}

static void end_string(struct feeder *f)
{
        struct console_parser *p = f->p;

        p->state = GROUND;
        if (p->string_kind != STRING_IGNORED)
                f->sink->string(f->arg, p->string_kind, p->string, p->string_len);
}

/* The Linux console's palette sequences have no end of their own: "]R" and "]P" with seven hexadecimal digits. */
static bool ends_by_itself(const struct console_parser *p)
{
        return p->string_kind == STRING_OSC &&
               ((p->string_len == 1 && p->string[0] == 'R') || (p->string_len == 8 && p->string[0] == 'P'));
}

static void string_byte(struct feeder *f, uint8_t c)
{
        struct console_parser *p = f->p;

        if (c == BEL) {
                end_string(f);
        } else if (c >= 0x20 && p->string_len < sizeof(p->string)) {
                p->string[p->string_len++] = c;
                if (ends_by_itself(p))
                        p->state = GROUND;
        }
}

static void intermediate(struct console_parser *p, uint8_t c)
{
        if (p->nintermed < sizeof(p->intermed))
                p->intermed[p->nintermed++] = c;
        else
                p->ignore = 1;
}

static void escape_byte(struct feeder *f, uint8_t c)
{
        struct console_parser *p = f->p;
        char seq[sizeof(p->intermed) + 1];

        if (c < 0x30) {
                intermediate(p, c);
                return;
        }
        if (c >= DEL) {
                p->state = GROUND;
                return;
        }
        if (p->nintermed == 0) {
                switch (c) {
                case '[':
                        begin(p, CSI_ENTRY);
                        return;
                case ']':
                        begin_string(p, STRING_OSC);
                        return;
                case 'P':
                        begin_string(p, STRING_DCS);
                        return;
                case 'X':
                case '^':
                case '_':
                        begin_string(p, STRING_IGNORED);
                        return;
                }
        }
        p->state = GROUND;
        if (p->ignore)
                return;
        if (p->nintermed == 0 && c >= 0x40 && c < 0x60) {
                f->sink->control(f->arg, c + 0x40);
                return;
        }
        memcpy(seq, p->intermed, p->nintermed);
        seq[p->nintermed] = c;
        f->sink->escape(f->arg, seq, p->nintermed + 1u);
}

static void digit(struct console_parser *p, uint8_t c)
{
        uint32_t *arg;

        if (p->nargs == 0) {
                p->args[0] = ARG_MISSING;
                p->nargs = 1;
        }
        arg = &p->args[p->nargs - 1];
        if (*arg == ARG_MISSING)
                *arg = 0;
        *arg = MIN(*arg * 10 + (c - '0'), ARG_MAX);
}

/* Arguments beyond the sixteenth are dropped with what they separate: no sequence has a meaning for so many. */
static void separator(struct console_parser *p, bool more)
{
        if (p->nargs == 0) {
                p->args[0] = ARG_MISSING;
                p->nargs = 1;
        }
        if (p->nargs == ESCAPE_ARGS) {
                p->ignore = 1;
                return;
        }
        if (more)
                p->args[p->nargs - 1] |= ARG_MORE;
        p->args[p->nargs++] = ARG_MISSING;
}

static void csi_end(struct feeder *f, uint8_t c)
{
        struct console_parser *p = f->p;

        p->state = GROUND;
        if (p->ignore || p->nintermed > 1)
                return;
        if (p->nargs == 0) {
                p->args[0] = ARG_MISSING;
                p->nargs = 1;
        }
        f->sink->csi(f->arg, p->leader, p->args, p->nargs, p->nintermed ? p->intermed[0] : 0, c);
}

static void csi_byte(struct feeder *f, uint8_t c)
{
        struct console_parser *p = f->p;

        if (c >= 0x3c && c <= 0x3f) {
                if (p->state == CSI_ENTRY && !p->leader)
                        p->leader = c;
                else
                        p->ignore = 1;
        } else if (c >= '0' && c <= ';') {
                if (p->state == CSI_INTERMED)
                        p->ignore = 1;
                else if (c >= ':')
                        separator(p, c == ':');
                else
                        digit(p, c);
                if (p->state == CSI_ENTRY)
                        p->state = CSI_ARGS;
        } else if (c < 0x30) {
                p->state = CSI_INTERMED;
                intermediate(p, c);
        } else if (c < DEL) {
                csi_end(f, c);
        } else {
                p->state = GROUND; /* no sequence has such a byte: it and the sequence are gone */
        }
}

static void character(struct feeder *f, uint32_t code)
{
        if (code >= 0xa0)
                f->sink->character(f->arg, code);
}

static void end_utf8(struct feeder *f)
{
        if (f->p->utf8_left) {
                f->p->utf8_left = 0;
                character(f, REPLACEMENT);
        }
}

static uint32_t whole_character(const struct console_parser *p)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t code = p->code;

        if (code < least[p->utf8_len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                return REPLACEMENT;
        return code;
}

static void utf8_byte(struct feeder *f, uint8_t c)
{
        struct console_parser *p = f->p;

        if (c < 0xc0) {
                if (p->utf8_left == 0) {
                        character(f, REPLACEMENT);
                        return;
                }
                p->code = p->code << 6 | (c & 0x3f);
                if (--p->utf8_left == 0)
                        character(f, whole_character(p));
                return;
        }
        end_utf8(f);
        if (c < 0xe0)
                p->utf8_len = 2;
        else if (c < 0xf0)
                p->utf8_len = 3;
        else if (c < 0xf8)
                p->utf8_len = 4;
        else {
                character(f, REPLACEMENT);
                return;
        }
        p->utf8_left = p->utf8_len - 1;
        p->code = c & (0x7f >> p->utf8_len);
}

static size_t ascii_run(const char *bytes, size_t len)
{
        size_t n = 0;

        while (n < len && bytes[n] >= 0x20 && bytes[n] < DEL)
                n++;
        return n;
}

static void control(struct feeder *f, uint8_t c)
{
        struct console_parser *p = f->p;
        bool in_string = p->state == STRING || p->state == STRING_ESCAPE;

        if (c == CAN || c == SUB)
                p->state = GROUND;
        else if (c == ESC && in_string)
                p->state = STRING_ESCAPE;
        else if (c == ESC)
                begin(p, ESCAPE);
        else if (in_string)
                string_byte(f, c);
        else if (c != 0)
                f->sink->control(f->arg, c);
}

static void byte_of_sequence(struct feeder *f, uint8_t c)
{
        struct console_parser *p = f->p;

        switch ((enum state)p->state) {
        case STRING_ESCAPE:
                if (c == '\\') {
                        end_string(f);
                        break;
                }
                begin(p, ESCAPE); /* the string is broken off by another sequence */
                escape_byte(f, c);
                break;
        case ESCAPE:
                escape_byte(f, c);
                break;
        case STRING:
                string_byte(f, c);
                break;
        default:
                csi_byte(f, c);
        }
}

size_t escape_feed(struct console_parser *p, const struct escape_sink *sink, void *arg, const char *bytes, size_t len)
{
        struct feeder f = {p, sink, arg};
        size_t at = 0;

        while (at < len && !sink->stop(arg)) {
                uint8_t c = bytes[at];

                if (c < 0x20) {
                        end_utf8(&f);
                        control(&f, c);
                } else if (p->state != GROUND) {
                        if (c != DEL)
                                byte_of_sequence(&f, c);
                } else if (c < DEL) {
                        size_t n = ascii_run(bytes + at, len - at);

                        end_utf8(&f);
                        sink->ascii(arg, bytes + at, n);
                        at += n;
                        continue;
                } else if (c >= 0x80) {
                        utf8_byte(&f, c);
                }
                at++;
        }
        return at;
}

void escape_check(struct console_parser *p)
{
        bool fits = p->state < NSTATES && p->nargs <= ESCAPE_ARGS && p->nintermed <= sizeof(p->intermed) &&
                    p->string_len <= sizeof(p->string) && p->utf8_left <= 3 && p->utf8_len <= 4;

        if (!fits)
                memset(p, 0, sizeof(*p));
}
