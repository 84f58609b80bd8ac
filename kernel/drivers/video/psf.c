/*
 * psf.c - see psf.h. PSF2: a header of eight little-endian words, the glyphs, then for each glyph its characters in
 * UTF-8, with 0xfe before each sequence of several and 0xff at the end. Sequences are skipped: a cell shows one
 * character.
 */
#include "kernel/drivers/video/psf.h"
#include "kernel/lib/string.h"

#define PSF2_MAGIC      0x864ab572u
#define PSF2_HAS_TABLE  1u
#define TABLE_SEQUENCE  0xfe
#define TABLE_END       0xff
#define SIZE_MAX_PIXELS 64

struct psf2_header {
        uint32_t magic, version, header_bytes, flags, nglyphs, glyph_bytes, height, width;
};

struct table {
        const uint8_t *p, *end;
};

/*
 * The next character before TABLE_SEQUENCE or TABLE_END; false at one of these, at the end of the file and at broken
 * UTF-8.
 */
static bool next_code(struct table *t, uint32_t *code)
{
        unsigned more;
        uint8_t c;

        if (t->p == t->end || *t->p >= TABLE_SEQUENCE)
                return false;
        c = *t->p++;
        if (c < 0x80) {
                *code = c;
                return true;
        }
        if (c < 0xc2 || c > 0xf4)
                return false;
        more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        *code = c & (0x3f >> more);
        while (more--) {
                if (t->p == t->end || (*t->p & 0xc0) != 0x80)
                        return false;
                *code = *code << 6 | (*t->p++ & 0x3f);
        }
        return true;
}

static void skip_entry(struct table *t)
{
        while (t->p < t->end && *t->p++ != TABLE_END)
                ;
}

/* Kept sorted; fonts mostly come in order, so the search from the end is short. */
static void insert(struct psf_font *f, uint32_t max, uint32_t code, uint32_t glyph)
{
        uint32_t i = f->ncodes;

        while (i > 0 && f->codes[i - 1].code > code)
                i--;
        if (f->ncodes == max || (i > 0 && f->codes[i - 1].code == code))
                return;
        memmove(&f->codes[i + 1], &f->codes[i], (f->ncodes - i) * sizeof(*f->codes));
        f->codes[i] = (struct psf_code){code, glyph};
        f->ncodes++;
}

static void read_table(struct psf_font *f, struct table t, uint32_t max)
{
        for (uint32_t glyph = 0; glyph < f->nglyphs && t.p < t.end; glyph++) {
                uint32_t code;

                while (next_code(&t, &code)) {
                        if (code >= ARRAY_SIZE(f->direct))
                                insert(f, max, code, glyph);
                        else if (!f->direct[code])
                                f->direct[code] = glyph;
                }
                skip_entry(&t);
        }
}

int psf_open(struct psf_font *f, const void *file, size_t len, struct psf_code *codes, uint32_t max)
{
        const uint8_t *bytes = file;
        struct psf2_header h;

        if (len < sizeof(h))
                return -EINVAL;
        memcpy(&h, file, sizeof(h));
        if (h.magic != PSF2_MAGIC || h.version != 0 || h.header_bytes < sizeof(h) || h.header_bytes > len ||
            !(h.flags & PSF2_HAS_TABLE))
                return -EINVAL;
        if (h.width < 1 || h.width > SIZE_MAX_PIXELS || h.height < 1 || h.height > SIZE_MAX_PIXELS ||
            h.glyph_bytes != h.height * ((h.width + 7) / 8))
                return -EINVAL;
        if (h.nglyphs < 1 || h.nglyphs > 0xffff || (len - h.header_bytes) / h.glyph_bytes < h.nglyphs)
                return -EINVAL;

        *f = (struct psf_font){.glyphs = bytes + h.header_bytes,
                               .nglyphs = h.nglyphs,
                               .glyph_bytes = h.glyph_bytes,
                               .width = h.width,
                               .height = h.height,
                               .codes = codes};
        read_table(f, (struct table){f->glyphs + (size_t)h.nglyphs * h.glyph_bytes, bytes + len}, max);
        return 0;
}

static uint32_t find(const struct psf_font *f, uint32_t code)
{
        uint32_t low = 0, high = f->ncodes;

        if (code < ARRAY_SIZE(f->direct))
                return f->direct[code];
        while (low < high) {
                uint32_t mid = (low + high) / 2;

                if (f->codes[mid].code == code)
                        return f->codes[mid].glyph;
                if (f->codes[mid].code < code)
                        low = mid + 1;
                else
                        high = mid;
        }
        return 0;
}

const uint8_t *psf_glyph(const struct psf_font *f, uint32_t code)
{
        return f->glyphs + (size_t)find(f, code) * f->glyph_bytes;
}

bool psf_has(const struct psf_font *f, uint32_t code)
{
        return find(f, code) != 0;
}
