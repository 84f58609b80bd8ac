/*
 * palette.c - xterm's 256 colours: 16 that have names, a cube of 6 x 6 x 6, 24 greys.
 */
#include "kernel/drivers/video/console_block.h"
#include "kernel/drivers/video/palette.h"

static const uint32_t named[16] = {
        0x000000, 0xc02020, 0x20a020, 0xb08020, 0x3060d0, 0xa030a0, 0x20a0a0, 0xc8c8c8,
        0x686868, 0xff5555, 0x55ee55, 0xffee55, 0x6a9aff, 0xff66ff, 0x55eeee, 0xffffff,
};

static uint32_t cube_level(unsigned n)
{
        return n ? 55 + 40 * n : 0;
}

static uint32_t indexed(unsigned i)
{
        if (i < 16)
                return named[i];
        if (i < 232) {
                i -= 16;
                return cube_level(i / 36) << 16 | cube_level(i / 6 % 6) << 8 | cube_level(i % 6);
        }
        return (8 + 10 * (i - 232)) * 0x010101u;
}

uint32_t palette_rgb(uint32_t colour, uint32_t otherwise, bool bold)
{
        unsigned index = colour & 0xff;

        switch (colour & COLOUR_KIND) {
        case COLOUR_RGB:
                return colour & 0xffffff;
        case COLOUR_INDEX:
                return indexed(bold && index < 8 ? index + 8 : index);
        }
        return otherwise;
}
