/*
 * drv_psf.c - the font parser and the characters that are drawn: what a good file gives, and that no damage makes it
 * read beyond the file (the sanitizers watch: the file is an allocation of exactly its size).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "kernel/drivers/video/blocks.h"
#include "kernel/drivers/video/psf.h"

#define GLYPHS 5
#define HEIGHT 4

static const char table[] = "A\xff"
                            "B\xc3\xa9\xff"
                            "\xe2\x94\x80\xfe"
                            "e\xcc\x81\xff"
                            "\xff"
                            "\xf0\x9f\x98\x80"
                            "C\xd0\x96\xff";
static struct psf_code codes[64];

static uint8_t *make_file(size_t *len)
{
        uint32_t head[8] = {0x864ab572, 0, 32, 1, GLYPHS, HEIGHT, HEIGHT, 8};
        uint8_t *f;

        *len = sizeof(head) + GLYPHS * HEIGHT + sizeof(table) - 1;
        f = malloc(*len);
        memcpy(f, head, sizeof(head));
        for (unsigned i = 0; i < GLYPHS * HEIGHT; i++)
                f[sizeof(head) + i] = i / HEIGHT + 1;
        memcpy(f + sizeof(head) + GLYPHS * HEIGHT, table, sizeof(table) - 1);
        return f;
}

static void good_file(void **state)
{
        struct psf_font f;
        size_t len;
        uint8_t *file = make_file(&len);

        (void)state;
        assert_int_equal(psf_open(&f, file, len, codes, 64), 0);
        assert_int_equal(f.width, 8);
        assert_int_equal(f.height, HEIGHT);
        assert_int_equal(psf_glyph(&f, 'A')[0], 1);
        assert_int_equal(psf_glyph(&f, 'B')[0], 2);
        assert_int_equal(psf_glyph(&f, 0xe9)[0], 2);
        assert_int_equal(psf_glyph(&f, 0x2500)[3], 3);
        assert_int_equal(psf_glyph(&f, 0x1f600)[0], 5);
        assert_int_equal(psf_glyph(&f, 'C')[0], 5);
        assert_int_equal(psf_glyph(&f, 0x416)[0], 5);
        assert_int_equal(psf_glyph(&f, 'e')[0], 1); /* part of a sequence only: glyph 0 */
        assert_int_equal(psf_glyph(&f, 0x4e2d)[0], 1);
        assert_true(psf_has(&f, 0x2500));
        assert_false(psf_has(&f, 0x2501));
        for (unsigned i = 1; i < f.ncodes; i++)
                assert_true(f.codes[i - 1].code < f.codes[i].code);

        assert_int_equal(psf_open(&f, file, len, codes, 1), 0); /* too little room: the rest has no glyph */
        assert_int_equal(f.ncodes, 1);
        psf_glyph(&f, 0x1f600);
        free(file);
}

static void refused(void **state)
{
        static const struct {
                unsigned word;
                uint32_t value;
        } bad[] = {{0, 0x12345678}, {1, 1}, {2, 16}, {2, 4000000}, {3, 0},      {4, 0}, {4, 70000}, {4, 40},
                   {5, 3},          {5, 0}, {6, 0},  {6, 5},       {6, 100000}, {7, 0}, {7, 9},     {7, 0xffffffff}};
        struct psf_font f;
        size_t len;

        (void)state;
        for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                uint8_t *file = make_file(&len);

                memcpy(file + 4 * bad[i].word, &bad[i].value, 4);
                assert_int_equal(psf_open(&f, file, len, codes, 64), -EINVAL);
                free(file);
        }
        for (size_t cut = 0; cut < 32 + GLYPHS * HEIGHT; cut++) {
                uint8_t *file = make_file(&len);

                file = realloc(file, cut ? cut : 1);
                assert_int_equal(psf_open(&f, file, cut, codes, 64), -EINVAL);
                free(file);
        }
}

static void damaged(void **state)
{
        uint64_t seed = 5;

        (void)state;
        for (unsigned round = 0; round < 100000; round++) {
                struct psf_font f;
                size_t len;
                uint8_t *file = make_file(&len);

                for (unsigned i = 0; i < 3; i++) {
                        seed = seed * 6364136223846793005ul + 1442695040888963407ul;
                        file[(seed >> 33) % len] = (uint8_t)(seed >> 20);
                }
                len -= (seed >> 12) % 8;
                file = realloc(file, len);
                if (psf_open(&f, file, len, codes, 64) == 0)
                        for (uint32_t code = 0; code < 0x3000; code += 7) {
                                const uint8_t *g = psf_glyph(&f, code);

                                assert_true(g >= file && g + f.glyph_bytes <= file + len);
                        }
                free(file);
        }
}

/* Geometry: nothing beyond the rows; lines meet their neighbours at the edges of the cell. */
static void drawn_characters(void **state)
{
        (void)state;
        for (unsigned height = BLOCKS_HEIGHT_MIN; height <= BLOCKS_HEIGHT_MAX; height++) {
                uint8_t *rows = malloc(height), *below = malloc(height);

                for (uint32_t code = 0; code < 0x3000; code++) {
                        bool ours = (code >= 0x2500 && code <= 0x259f) || (code >= 0x2800 && code <= 0x28ff);

                        assert_int_equal(blocks_draw(code, height, rows), ours);
                }
                blocks_draw(0x253c, height, rows);
                blocks_draw(0x2502, height, below);
                assert_int_equal(rows[height - 1], below[0]);
                assert_int_equal(rows[height / 2], 0xff);
                blocks_draw(0x2566, height, rows);
                blocks_draw(0x2551, height, below);
                assert_int_equal(rows[height - 1], below[0]);
                blocks_draw(0x2588, height, rows);
                for (unsigned y = 0; y < height; y++)
                        assert_int_equal(rows[y], 0xff);
                blocks_draw(0x2800, height, rows);
                assert_int_equal(rows[0], 0);
                free(rows);
                free(below);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(good_file), cmocka_unit_test(refused),
                                           cmocka_unit_test(damaged), cmocka_unit_test(drawn_characters)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
