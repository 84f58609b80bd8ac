/*
 * text.c - memory, names and messages.
 */
#include "pvm/plc/plc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK      (256u << 10)
#define MAX_ERRORS 100

struct chunk {
        struct chunk *next;
        size_t size;
        char data[];
};

struct arena permanent, passing;
unsigned text_errors;
bool text_quiet, text_no_warnings;

static void out_of_memory(void)
{
        fputs("plc: out of memory\n", stderr);
        exit(1);
}

void *arena_alloc(struct arena *arena, size_t size)
{
        size = (size + 15) & ~(size_t)15;
        if ((size_t)(arena->end - arena->at) < size) {
                struct chunk *next = arena->now ? arena->now->next : arena->first;
                if (!next || next->size < size) {
                        size_t want = size > CHUNK ? size : CHUNK;
                        struct chunk *made = malloc(sizeof(*made) + want);
                        if (!made)
                                out_of_memory();
                        made->size = want;
                        made->next = next;
                        if (arena->now)
                                arena->now->next = made;
                        else
                                arena->first = made;
                        next = made;
                }
                arena->now = next;
                arena->at = next->data;
                arena->end = next->data + next->size;
        }
        void *result = arena->at;
        arena->at += size;
        return memset(result, 0, size);
}

struct mark arena_mark(struct arena *arena)
{
        return (struct mark){arena->now, arena->at, arena->end};
}

void arena_release(struct arena *arena, struct mark mark)
{
        arena->now = mark.now;
        arena->at = mark.at;
        arena->end = mark.end;
}

void *grown(void *data, size_t *capacity, size_t need, size_t element)
{
        if (need <= *capacity)
                return data;
        size_t more = *capacity ? *capacity * 2 : 64;
        if (more < need)
                more = need;
        data = realloc(data, more * element);
        if (!data)
                out_of_memory();
        *capacity = more;
        return data;
}

/* ---- names ---- */

static struct name **names;
static size_t names_size, names_used;

static void names_grow(void)
{
        size_t size = names_size ? names_size * 2 : 4096;
        struct name **table = calloc(size, sizeof(*table));
        if (!table)
                out_of_memory();
        for (size_t i = 0; i < names_size; i++)
                for (struct name *name = names[i], *next; name; name = next) {
                        next = name->next;
                        name->next = table[name->hash & (size - 1)];
                        table[name->hash & (size - 1)] = name;
                }
        free(names);
        names = table;
        names_size = size;
}

struct name *name_of(const char *text, size_t len)
{
        uint32_t hash = 2166136261u;
        for (size_t i = 0; i < len; i++)
                hash = (hash ^ (uint8_t)text[i]) * 16777619u;
        hash ^= hash >> 15;
        if (names_used >= names_size)
                names_grow();
        struct name **slot = &names[hash & (names_size - 1)];
        for (struct name *name = *slot; name; name = name->next)
                if (name->hash == hash && name->len == len && !memcmp(name->text, text, len))
                        return name;
        struct name *name = arena_alloc(&permanent, sizeof(*name) + len + 1);
        name->hash = hash;
        name->len = (uint32_t)len;
        if (len)
                memcpy(name->text, text, len);
        name->next = *slot;
        *slot = name;
        names_used++;
        return name;
}

struct name *name_cstr(const char *text)
{
        return name_of(text, strlen(text));
}

struct name *name_cat(const char *a, const char *b, const char *c)
{
        size_t len = strlen(a) + strlen(b) + strlen(c);
        struct mark mark = arena_mark(&passing);
        char *text = arena_alloc(&passing, len + 1);
        snprintf(text, len + 1, "%s%s%s", a, b, c);
        struct name *name = name_of(text, len);
        arena_release(&passing, mark);
        return name;
}

/* ---- messages ---- */

bool utf8_valid(const char *text, size_t len)
{
        const uint8_t *p = (const uint8_t *)text, *end = p + len;
        while (p < end) {
                unsigned c = *p++, more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
                if (more == 9 || (size_t)(end - p) < more)
                        return false;
                uint32_t value = more == 0 ? c : more == 1 ? c & 31 : more == 2 ? c & 15 : c & 7;
                for (unsigned i = 0; i < more; i++, p++) {
                        if ((*p & 0xc0) != 0x80)
                                return false;
                        value = value << 6 | (*p & 63);
                }
                if ((more == 2 && value < 0x800) || (more == 3 && (value < 0x10000 || value > 0x10ffff)) ||
                    (value >= 0xd800 && value < 0xe000))
                        return false;
        }
        return true;
}

/* Long lines are shown in part; what a terminal might take for an order is shown as '?'. */
static void message(struct source *source, uint32_t at, const char *kind, const char *format, va_list args)
{
        if (at > source->len)
                at = source->len;
        uint32_t line = 1, begin = 0;
        const char *p = source->text, *place = source->text + at;
        for (const char *newline; (newline = memchr(p, '\n', (size_t)(place - p))); p = newline + 1)
                line++;
        begin = (uint32_t)(p - source->text);
        fprintf(stderr, "%s:%u:%u: %s: ", source->path, line, at - begin + 1, kind);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);

        uint32_t end = at;
        while (end < source->len && source->text[end] != '\n' && source->text[end] != '\r')
                end++;
        if (at - begin > 100)
                begin = at - 100;
        if (end - begin > 160)
                end = begin + 160;
        fputs("    ", stderr);
        for (uint32_t i = begin; i < end; i++) {
                unsigned char c = (unsigned char)source->text[i];
                fputc(c == '\t' ? ' ' : c < ' ' || c == 127 ? '?' : c, stderr);
        }
        fputs("\n    ", stderr);
        for (uint32_t i = begin; i < at; i++)
                if (((unsigned char)source->text[i] & 0xc0) != 0x80)
                        fputc(' ', stderr);
        fputs("^\n", stderr);
}

/* What was said of the method that is translated: it may be walked through twice, a finally even more often. */
static struct said {
        struct source *source;
        const char *format;
        uint32_t at;
} * said;
static size_t nsaid, cap_said;
static bool muted; /* the last error or warning was not printed: nor are its notes */

void text_next_method(void)
{
        nsaid = 0;
}

static bool silent(struct source *source, uint32_t at, const char *format)
{
        if (text_quiet)
                return true;
        for (size_t i = nsaid; i > 0 && nsaid - i < 256; i--)
                if (said[i - 1].at == at && said[i - 1].format == format && said[i - 1].source == source)
                        return true;
        said = grown(said, &cap_said, nsaid + 1, sizeof(*said));
        said[nsaid++] = (struct said){source, format, at};
        return false;
}

static void count_error(void)
{
        if (++text_errors < MAX_ERRORS)
                return;
        fprintf(stderr, "plc: %u errors: no more are shown\n", text_errors);
        exit(1);
}

void error_at(struct source *source, uint32_t at, const char *format, ...)
{
        muted = silent(source, at, format);
        if (muted)
                return;
        va_list args;
        va_start(args, format);
        message(source, at, "error", format, args);
        va_end(args);
        count_error();
}

void warn_at(struct source *source, uint32_t at, const char *format, ...)
{
        if (text_no_warnings || silent(source, at, format))
                return;
        va_list args;
        va_start(args, format);
        message(source, at, "warning", format, args);
        va_end(args);
}

void note_at(struct source *source, uint32_t at, const char *format, ...)
{
        if (muted || !source)
                return;
        va_list args;
        va_start(args, format);
        message(source, at, "note", format, args);
        va_end(args);
}

void error_plain(const char *format, ...)
{
        va_list args;
        va_start(args, format);
        fputs("plc: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
        count_error();
}
