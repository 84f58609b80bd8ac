/*
 * layout.c - the tables (layout.h), by rows of the keyboard: digits from KEY_1, letters from KEY_Q and KEY_A (with KEY_GRAVE at its end), then KEY_BACKSLASH, KEY_Z and so on, and
 * KEY_102ND, the key beside the left Shift. Dead keys give their accent at once.
 */
#include <linux/input-event-codes.h>
#include "kernel/drivers/input/layout.h"
#include "kernel/lib/string.h"

static const struct layout layouts[] = {
        {.name = "us",
         .rows = {{KEY_1, {u"1234567890-=", u"!@#$%^&*()_+"}},
                  {KEY_Q, {u"qwertyuiop[]", u"QWERTYUIOP{}"}},
                  {KEY_A, {u"asdfghjkl;'`", u"ASDFGHJKL:\"~"}},
                  {KEY_BACKSLASH, {u"\\zxcvbnm,./", u"|ZXCVBNM<>?"}},
                  {KEY_102ND, {u"<", u">"}}}},
        {.name = "de",
         .altgr = true,
         .rows = {{KEY_1, {u"1234567890ß´", u"!\"§$%&/()=?`", u" ²³   {[]}\\ "}},
                  {KEY_Q, {u"qwertzuiopü+", u"QWERTZUIOPÜ*", u"@ €        ~"}},
                  {KEY_A, {u"asdfghjklöä^", u"ASDFGHJKLÖÄ°"}},
                  {KEY_BACKSLASH, {u"#yxcvbnm,.-", u"'YXCVBNM;:_", u"       µ   "}},
                  {KEY_102ND, {u"<", u">", u"|"}}}},
        {.name = "fr",
         .altgr = true,
         .rows = {{KEY_1, {u"&é\"'(-è_çà)=", u"1234567890°+", u" ~#{[|`\\^@]}"}},
                  {KEY_Q, {u"azertyuiop^$", u"AZERTYUIOP¨£", u"  €        ¤"}},
                  {KEY_A, {u"qsdfghjklmù²", u"QSDFGHJKLM% "}},
                  {KEY_BACKSLASH, {u"*wxcvbn,;:!", u"µWXCVBN?./§"}},
                  {KEY_102ND, {u"<", u">"}}}},
        {.name = "ru",
         .script = "us",
         .rows = {{KEY_1, {u"1234567890-=", u"!\"№;%:?*()_+"}},
                  {KEY_Q, {u"йцукенгшщзхъ", u"ЙЦУКЕНГШЩЗХЪ"}},
                  {KEY_A, {u"фывапролджэё", u"ФЫВАПРОЛДЖЭЁ"}},
                  {KEY_BACKSLASH, {u"\\ячсмитьбю.", u"/ЯЧСМИТЬБЮ,"}},
                  {KEY_102ND, {u"<", u">"}}}},
        {.name = "uk",
         .altgr = true,
         .rows = {{KEY_1, {u"1234567890-=", u"!\"£$%^&*()_+", u"   €        "}},
                  {KEY_Q, {u"qwertyuiop[]", u"QWERTYUIOP{}", u"  é   úíó   "}},
                  {KEY_A, {u"asdfghjkl;'`", u"ASDFGHJKL:@¬", u"á          ¦"}},
                  {KEY_BACKSLASH, {u"#zxcvbnm,./", u"~ZXCVBNM<>?"}},
                  {KEY_102ND, {u"\\", u"|"}}}},
};

const struct layout *layout_by_index(unsigned i)
{
        return i < ARRAY_SIZE(layouts) ? &layouts[i] : NULL;
}

const struct layout *layout_find(const char *name)
{
        for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
                if (strcmp(name, layouts[i].name) == 0)
                        return &layouts[i];
        return NULL;
}

uint16_t layout_char(const struct layout *l, uint16_t code, enum layout_level level)
{
        for (unsigned i = 0; i < ARRAY_SIZE(l->rows); i++) {
                const struct layout_row *row = &l->rows[i];
                unsigned at = 0;

                if (code < row->first || !row->level[level])
                        continue;
                while (row->level[level][at] && at < (unsigned)(code - row->first))
                        at++;
                if (row->level[level][at])
                        return row->level[level][at] == ' ' ? 0 : row->level[level][at];
        }
        return 0;
}
