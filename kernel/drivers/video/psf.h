/*
 * psf.h - PSF2 fonts with a Unicode table. The file is read in place and checked: a malformed one is refused or loses
 * characters, and is never read beyond its end. Also built hosted.
 */
#pragma once
#include "kernel/include/types.h"

#define PSF_CODES_MAX 4096

struct psf_code {
        uint32_t code; /* below 0x200000 */
        uint32_t glyph;
};
struct psf_font {
        const uint8_t *glyphs;
        uint32_t nglyphs, glyph_bytes, width, height;
        uint16_t direct[256];   /* glyphs of the first characters; glyph 0 where the font has none */
        struct psf_code *codes; /* of all others, sorted */
        uint32_t ncodes;
};

/*
 * codes: room for `max` entries (PSF_CODES_MAX is plenty), kept by the font. 0; -EINVAL: not such a font; -ENOSPC
 * never: what does not fit is left out.
 */
int psf_open(struct psf_font *f, const void *file, size_t len, struct psf_code *codes, uint32_t max);
/* The bitmap of a character, height rows of (width + 7) / 8 bytes; glyph 0 when the font does not have it. */
const uint8_t *psf_glyph(const struct psf_font *f, uint32_t code);
bool psf_has(const struct psf_font *f, uint32_t code);
