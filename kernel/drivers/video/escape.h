/*
 * escape.h - the byte stream of a terminal: text, controls, escape sequences (ECMA-48, the state machine of the VT500
 * series, UTF-8). All state is in struct console_parser, so that a stream can stop and go on at any byte. Nothing is
 * bounded by trust: a sequence that is too long or malformed is read to its end and ignored. Also built hosted.
 */
#pragma once
#include "kernel/drivers/video/console_block.h"

/* Arguments as libvterm wants them. */
#define ESCAPE_ARGS 16
#define ARG_MISSING 0x7fffffffu
#define ARG_MORE    0x80000000u /* a sub-parameter follows */
#define ARG_MAX     65535u

enum string_kind { STRING_OSC = 1, STRING_DCS, STRING_IGNORED };

struct escape_sink {
        void (*ascii)(void *arg, const char *bytes, size_t n);  /* 0x20 to 0x7e */
        void (*character)(void *arg, uint32_t code);            /* 0xa0 and up */
        void (*control)(void *arg, uint8_t c);                  /* C0, and C1 given as ESC x */
        void (*escape)(void *arg, const char *bytes, size_t n); /* intermediates and final */
        void (*csi)(void *arg, char leader, const uint32_t *args, unsigned nargs, char intermed, char final);
        void (*string)(void *arg, enum string_kind kind, const char *bytes,
                       size_t n); /* as far as it was kept: 64 bytes */
        bool (*stop)(void *arg);  /* asked after each call of the above */
};
/* Returns bytes consumed: fewer than len only after stop() said true. */
size_t escape_feed(struct console_parser *p, const struct escape_sink *sink, void *arg, const char *bytes, size_t len);
/* Whatever was in the block, the parser is one that escape_feed can go on with. */
void escape_check(struct console_parser *p);
