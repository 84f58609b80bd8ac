/*
 * layout.h - keyboard layouts: what is printed on the keys. Pure: also built hosted.
 */
#pragma once
#include "kernel/include/types.h"

enum layout_level { LEVEL_PLAIN, LEVEL_SHIFT, LEVEL_ALTGR, LEVELS };

struct layout {
        char name[4];
        bool altgr; /* the right Alt key chooses the third level */
        const char *
                script; /* NULL, or the layout that its letters are an addition to: Alt with Shift changes between them */
        struct layout_row {
                uint16_t first; /* key code of the first character; those that follow have the next codes */
                const uint16_t *level[LEVELS]; /* UTF-16, equally long; blank: nothing; NULL: nothing on all keys */
        } rows[5];
};
const struct layout *layout_find(const char *name); /* NULL: there is none */
const struct layout *layout_by_index(unsigned i);   /* NULL past the last; 0 is us */
/* The character of a key, 0: none. */
uint16_t layout_char(const struct layout *l, uint16_t code, enum layout_level level);
