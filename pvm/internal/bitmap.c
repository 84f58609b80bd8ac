/* bitmap.c - pictures: PPM, as pixels. What is painted on, windows and terminals' pictures, there is not. */
#include "pvm/internal/internal.h"
#include "kernel/lib/string.h"

#define SIDE_MAX 16384u /* pixels */

struct ppm {
        struct call *call;
        const uint8_t *bytes;
        uint32_t len, at;
        int r; /* of the first error; DONE: none */
};

static bool wrong(struct ppm *p, const char *what)
{
        if (p->r == DONE)
                p->r = throw_error(p->call, CLASS_error_argument, "PPM, byte %u: %s", p->at, what);
        return false;
}

static bool is_space(uint8_t c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number, with spaces and comments before it. */
static bool number(struct ppm *p, uint32_t min, uint32_t max, const char *what, uint32_t *v)
{
        uint32_t n = 0, digits = 0;

        while (p->at < p->len && (is_space(p->bytes[p->at]) || p->bytes[p->at] == '#'))
                if (p->bytes[p->at++] == '#')
                        while (p->at < p->len && p->bytes[p->at] != '\n')
                                p->at++;
        for (; p->at < p->len && p->bytes[p->at] >= '0' && p->bytes[p->at] <= '9' && n <= max; p->at++, digits++)
                n = n * 10 + p->bytes[p->at] - '0';
        *v = n;
        return (digits && n >= min && n <= max) || wrong(p, what);
}

/* One part of a pixel, 0 to 255. */
static bool part(struct ppm *p, bool text, uint32_t most, uint32_t *v)
{
        uint32_t bytes = most > 255 ? 2 : 1;

        if (text) {
                if (!number(p, 0, most, "a part of a pixel expected", v))
                        return false;
        } else {
                *v = p->bytes[p->at];
                if (bytes == 2)
                        *v = *v << 8 | p->bytes[p->at + 1];
                if (*v > most)
                        return wrong(p, "more than the most that a part of a pixel has");
                p->at += bytes;
        }
        *v = (*v * 255 + most / 2) / most;
        return true;
}

static struct store *pixels(struct ppm *p, bool text, uint32_t npixels, uint32_t most)
{
        struct store *s;

        /* What is not there needs no memory: a part is a byte or two, or a digit and a space. */
        if ((p->len - p->at + text) / (text || most > 255 ? 2 : 1) / 3 < npixels) {
                p->at = p->len;
                wrong(p, "the end, and more pixels expected");
                return NULL;
        }
        s = store_new(CLASS_store_raw, npixels, npixels, 4);
        if (!s)
                p->r = OUT_OF_MEMORY(p->call);
        for (uint32_t i = 0; s && i < npixels; i++) {
                uint32_t red, green, blue;

                if (!part(p, text, most, &red) || !part(p, text, most, &green) || !part(p, text, most, &blue))
                        return NULL;
                s->i[i] = (int32_t)(0xff000000u | red << 16 | green << 8 | blue);
        }
        return s;
}

int n_bitmap_loadFromString(struct call *c)
{
        struct bitmap *b = (struct bitmap *)OBJECT(c);
        struct obj *from = c->args[1].r;
        struct ppm p = {.call = c, .r = DONE};
        uint32_t width, height, most;
        struct store *s;
        bool text;
        int r;

        if (from && from->class == CLASS_string) {
                p.bytes = (const uint8_t *)STRING(c, 1)->text;
                p.len = STRING(c, 1)->len;
        } else if (want(c, 1, CLASS_binary, &r)) {
                s = ((struct binary *)from)->store;
                p.bytes = s ? s->b : NULL;
                p.len = s ? s->len : 0;
        } else {
                return r;
        }
        if (b->o.info & OBJ_IMMUTABLE)
                return throw_error(c, CLASS_error_state, "the bitmap must not be changed");
        if (p.len < 2 || p.bytes[0] != 'P' || (p.bytes[1] != '3' && p.bytes[1] != '6'))
                return throw_error(c, CLASS_error_argument, "PPM, byte 0: P6 or P3 expected");
        text = p.bytes[1] == '3';
        p.at = 2;
        if ((p.len == 2 || (!is_space(p.bytes[2]) && p.bytes[2] != '#')) && !wrong(&p, "a space expected"))
                return p.r;
        if (!number(&p, 1, SIDE_MAX, "the width expected, 1 to 16384", &width) ||
            !number(&p, 1, SIDE_MAX, "the height expected, 1 to 16384", &height) ||
            !number(&p, 1, 65535, "the most that a part of a pixel has expected, 1 to 65535", &most) ||
            ((p.at == p.len || !is_space(p.bytes[p.at])) && !wrong(&p, "a space expected")))
                return p.r;
        p.at++;
        s = pixels(&p, text, width * height, most);
        if (!s)
                return p.r;
        b->pixels = s;
        heap_wrote(b);
        b->width = width;
        b->height = height;
        return DONE;
}

int n_bitmap_width(struct call *c)
{
        return give_int(c, (int32_t)((struct bitmap *)OBJECT(c))->width);
}

int n_bitmap_height(struct call *c)
{
        return give_int(c, (int32_t)((struct bitmap *)OBJECT(c))->height);
}

int n_bitmap_getPixel(struct call *c)
{
        const struct bitmap *b = (struct bitmap *)OBJECT(c);
        uint32_t x = (uint32_t)c->args[1].i, y = (uint32_t)c->args[2].i;

        if (x >= b->width || y >= b->height)
                return throw_error(c, CLASS_error_bounds, "pixel %d, %d of %u by %u", c->args[1].i, c->args[2].i,
                                   b->width, b->height);
        return give_int(c, b->pixels->i[y * b->width + x]);
}
