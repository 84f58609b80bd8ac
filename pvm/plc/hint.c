/* hint.c - what somebody may have meant: the end of a message about a name that means nothing. */
#include "pvm/plc/plc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LONGEST 40u /* names that are compared */

/* Words of other languages. */
static const struct {
        const char *word, *value, *type; /* value, type: the hint where one of these is expected; 0: none */
} words[] = {
        {"true", "truth is an int: 1", 0},
        {"True", "truth is an int: 1", 0},
        {"false", "truth is an int: 0", 0},
        {"False", "truth is an int: 0", 0},
        {"NULL", "'null' is meant?", 0},
        {"nil", "'null' is meant?", 0},
        {"None", "'null' is meant?", 0},
        {"self", "'this' is meant?", 0},
        {"bool", 0, "truth is an int"},
        {"boolean", 0, "truth is an int"},
        {"Boolean", 0, "truth is an int"},
        {"integer", 0, "'int' is meant?"},
        {"Integer", 0, "'int' is meant?"},
        {"char", 0, "a character is an int: its code"},
        {"byte", 0, "bytes are ints; many of them are a .internal.binary"},
        {"String", 0, "'string' is meant?"},
        {"str", 0, "'string' is meant?"},
        {"Object", 0, "any object is untyped: 'var name' without a type"},
        {"any", 0, "any object is untyped: 'var name' without a type"},
};

static const char *hint(const char *format, const char *name)
{
        static char text[200];
        snprintf(text, sizeof(text), format, name);
        return text;
}

/* Letters put in, left out, or others; two that have changed places are one. */
static unsigned distance(const char *a, const char *b)
{
        unsigned row[3][LONGEST + 1], la = (unsigned)strlen(a), lb = (unsigned)strlen(b);
        if (la > LONGEST || lb > LONGEST)
                return LONGEST;
        for (unsigned j = 0; j <= lb; j++)
                row[0][j] = j;
        for (unsigned i = 1; i <= la; i++) {
                unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
                now[0] = i;
                for (unsigned j = 1; j <= lb; j++) {
                        unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);
                        if (before[j] + 1 < best)
                                best = before[j] + 1;
                        if (now[j - 1] + 1 < best)
                                best = now[j - 1] + 1;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two[j - 2] + 1 < best)
                                best = two[j - 2] + 1;
                        now[j] = best;
                }
        }
        return row[la % 3][lb];
}

void near_consider(struct near *near, const char *name)
{
        unsigned d = strcasecmp(near->name, name) ? distance(near->name, name) : 0;
        if (name[0] == '.' || d > strlen(near->name) / 3 || (near->best && d >= near->distance))
                return;
        near->best = name;
        near->distance = d;
}

const char *near_text(const struct near *near)
{
        return near->best ? hint(": '%s' is meant?", near->best) : "";
}

const char *hint_value(const char *name)
{
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (words[i].value && !strcmp(words[i].word, name))
                        return hint(": %s", words[i].value);
        return NULL;
}

const char *hint_class(struct run *run, struct name *name)
{
        for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
                if (words[i].type && !strcmp(words[i].word, name->text))
                        return hint(": %s", words[i].type);
        if (name->text[0] == '.')
                return NULL;
        struct cls *cls = class_called(run, name);
        if (cls)
                return hint(": 'import %s;' is missing?", cls->name->text);
        struct near near = {.name = name->text};
        for (cls = run->classes; cls; cls = cls->next)
                near_consider(&near, cls->last->text);
        return near.best ? near_text(&near) : NULL;
}
