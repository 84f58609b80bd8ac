/*
 * file.h - a class file that was checked: the tables behind its offsets. Borrows the bytes.
 */
#pragma once
#include "pvm/format.h"
#include <stdbool.h>
#include <stddef.h>

struct pvm_text {
        const char *p;
        uint32_t len;
};
struct pvm_file {
        const uint8_t *data;
        size_t size;
        const struct pvm_file_header *h;
        const struct pvm_file_pool *pool;
        const uint16_t *interfaces;
        const struct pvm_file_field *fields;
        const struct pvm_file_method *methods;
};

/*
 * Both judge bytes that nobody trusts, in time linear in size. False: `why` (why_len bytes) says what is wrong and where. data is aligned to 8. pvm_file_open checks the structure;
 * pvm_file_verify the code of all methods, of a file that was opened.
 */
bool pvm_file_open(struct pvm_file *f, const void *data, size_t size, char *why, size_t why_len);
bool pvm_file_verify(const struct pvm_file *f, char *why, size_t why_len);

/* Of a file that was opened, with indexes that were checked. */
static inline struct pvm_text pvm_file_text(const struct pvm_file *f, unsigned utf8)
{
        return (struct pvm_text){(const char *)f->data + f->pool[utf8].b, (uint32_t)f->pool[utf8].c};
}
static inline struct pvm_text pvm_file_class_name(const struct pvm_file *f, unsigned class)
{
        return pvm_file_text(f, f->pool[class].a);
}
static inline const uint32_t *pvm_file_code(const struct pvm_file *f, const struct pvm_file_method *m)
{
        return (const uint32_t *)(f->data + m->code);
}

/*
 * Descriptors. pvm_type_next: machine type of the type that begins at *p, which is moved behind it; 0: there is none that is well formed.
 * pvm_method_split: counts parameters, which must not be more than max, gives their machine types and that of the result ('R' for v) and where the
 * parameters end: the length of "(...)". False: not well formed.
 */
char pvm_type_next(const char **p, const char *end);
bool pvm_method_split(struct pvm_text desc, char *types, unsigned max, unsigned *n, char *result, uint32_t *params_len);
bool pvm_class_name_ok(struct pvm_text name);
bool pvm_utf8_ok(const char *p, size_t len);

/* What an instruction is made of. */
struct pvm_op_info {
        const char *name;
        uint8_t format;
        char a, b, c;
        uint8_t writes;
};
extern const struct pvm_op_info pvm_op_info[PVM_OP_COUNT];
/* Words of the instruction at code[pc], of which n - pc are there; 0: unknown, or it does not fit. */
uint32_t pvm_op_words(const uint32_t *code, uint32_t pc, uint32_t n);
