/*
 * file.c - class files: written from translated methods, read for the members of classes that are not in the run. pvm/FORMAT.md has the layout.
 */
#include "pvm/plc/plc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where what a pool entry names lies until the text is written. */
struct pool_data {
        const void *data;
        size_t len;
};
struct class_file {
        struct cls *cls;
        uint8_t *out;
        size_t len, cap;
        struct pvm_file_pool *pool;
        struct pool_data *data;
        size_t npool, cap_pool, cap_data;
        uint32_t *hash; /* open, of pool indexes; emptied for each class */
        size_t cap_hash;
        struct pvm_file_method *methods;
        size_t nmethods, cap_methods;
        bool full;
};
static struct class_file the_file; /* its memory is used again for each class */

static size_t put(struct class_file *file, const void *data, size_t len, size_t align)
{
        size_t at = (file->len + align - 1) & ~(align - 1);
        file->out = grown(file->out, &file->cap, at + len, 1);
        memset(file->out + file->len, 0, at - file->len);
        if (len)
                memcpy(file->out + at, data, len);
        file->len = at + len;
        return at;
}

static unsigned pool_entry(struct class_file *file, struct pvm_file_pool entry, const void *data, size_t len)
{
        uint64_t key = (uint64_t)entry.tag * 0x9e3779b97f4a7c15u ^ (uint64_t)entry.a * 0xc2b2ae3d27d4eb4fu ^
                       (uint64_t)entry.b * 0x165667b19e3779f9u ^ entry.c * 0x27d4eb2f165667c5u ^
                       (uint64_t)(uintptr_t)data * 0x85ebca77c2b2ae63u;
        key ^= key >> 32;
        if (file->npool * 2 >= file->cap_hash) {
                size_t size = file->cap_hash ? file->cap_hash * 2 : 1024, capacity = 0;
                free(file->hash);
                file->hash = grown(NULL, &capacity, size, sizeof(uint32_t));
                memset(file->hash, 0, size * sizeof(uint32_t));
                file->cap_hash = size;
                for (size_t i = 1; i < file->npool; i++) { /* keys are made again */
                        struct pvm_file_pool *old = &file->pool[i];
                        uint64_t k = (uint64_t)old->tag * 0x9e3779b97f4a7c15u ^ (uint64_t)old->a * 0xc2b2ae3d27d4eb4fu ^
                                     (uint64_t)old->b * 0x165667b19e3779f9u ^ old->c * 0x27d4eb2f165667c5u ^
                                     (uint64_t)(uintptr_t)file->data[i].data * 0x85ebca77c2b2ae63u;
                        k ^= k >> 32;
                        size_t slot = (size_t)k & (size - 1);
                        while (file->hash[slot])
                                slot = (slot + 1) & (size - 1);
                        file->hash[slot] = (uint32_t)i;
                }
        }
        size_t slot = (size_t)key & (file->cap_hash - 1);
        for (; file->hash[slot]; slot = (slot + 1) & (file->cap_hash - 1)) {
                struct pvm_file_pool *other = &file->pool[file->hash[slot]];
                if (!memcmp(other, &entry, sizeof(entry)) && file->data[file->hash[slot]].data == data)
                        return file->hash[slot];
        }
        if (file->npool >= PVM_MAX_POOL) {
                if (!file->full)
                        error_at(file->cls->source, file->cls->at,
                                 "class '%s' is too large: more than %u constants and names", file->cls->name->text,
                                 PVM_MAX_POOL);
                file->full = true;
                return 1;
        }
        file->pool = grown(file->pool, &file->cap_pool, file->npool + 1, sizeof(*file->pool));
        file->data = grown(file->data, &file->cap_data, file->npool + 1, sizeof(*file->data));
        file->pool[file->npool] = entry;
        file->data[file->npool] = (struct pool_data){data, len};
        file->hash[slot] = (uint32_t)file->npool;
        return (unsigned)file->npool++;
}

/* Offsets and lengths of text go into b and c at the end; until then the length is in c, so that equal entries are equal. */
unsigned pool_utf8(struct class_file *file, struct name *name)
{
        return pool_entry(file, (struct pvm_file_pool){.tag = PVM_POOL_UTF8, .c = name->len}, name->text, name->len);
}

unsigned pool_bytes(struct class_file *file, const void *data, size_t len)
{
        return pool_entry(file, (struct pvm_file_pool){.tag = PVM_POOL_BYTES, .c = len}, data, len);
}

unsigned pool_string(struct class_file *file, struct name *name)
{
        return pool_entry(file, (struct pvm_file_pool){.tag = PVM_POOL_STRING, .a = (uint16_t)pool_utf8(file, name)},
                          NULL, 0);
}

unsigned pool_number(struct class_file *file, enum pvm_pool_tag tag, uint64_t bits)
{
        return pool_entry(file, (struct pvm_file_pool){.tag = (uint8_t)tag, .c = bits}, NULL, 0);
}

unsigned pool_class(struct class_file *file, struct cls *cls)
{
        return pool_entry(file,
                          (struct pvm_file_pool){.tag = PVM_POOL_CLASS, .a = (uint16_t)pool_utf8(file, cls->name)},
                          NULL, 0);
}

unsigned pool_member(struct class_file *file, enum pvm_pool_tag tag, struct cls *cls, struct name *name,
                     struct name *descriptor)
{
        uint32_t what = pool_utf8(file, name) | (uint32_t)pool_utf8(file, descriptor) << 16;
        return pool_entry(file,
                          (struct pvm_file_pool){.tag = (uint8_t)tag, .a = (uint16_t)pool_class(file, cls), .b = what},
                          NULL, 0);
}

struct class_file *file_begin(struct cls *cls)
{
        struct class_file *file = &the_file;
        struct pvm_file_header header = {0};
        file->cls = cls;
        file->len = 0;
        file->npool = file->nmethods = 0;
        file->full = false;
        if (file->cap_hash > 4096) { /* after a large class: a small table is emptied faster */
                free(file->hash);
                file->hash = NULL;
                file->cap_hash = 0;
        }
        if (file->hash)
                memset(file->hash, 0, file->cap_hash * sizeof(uint32_t));
        file->pool = grown(file->pool, &file->cap_pool, 1, sizeof(*file->pool));
        file->data = grown(file->data, &file->cap_data, 1, sizeof(*file->data));
        file->pool[0] = (struct pvm_file_pool){0};
        file->data[0] = (struct pool_data){0};
        file->npool = 1;
        put(file, &header, sizeof(header), 4);
        return file;
}

static uint32_t put_text(struct class_file *file, struct name *text, uint32_t *len)
{
        *len = text ? text->len : 0;
        return text ? (uint32_t)put(file, text->text, text->len, 1) : 0;
}

void file_method(struct class_file *file, struct method *method, struct code *code)
{
        struct pvm_file_method out = {
                .name = (uint16_t)pool_utf8(file, method->name),
                .type = (uint16_t)pool_utf8(file, method->descriptor),
                .flags = method->flags & PVM_METHOD_FLAGS,
                .ordinal = method->name == known.constructor ? PVM_NO_ORDINAL : method->ordinal,
        };
        out.attributes = put_text(file, method->attributes, &out.attributes_len);
        if (code) {
                out.nregs = (uint8_t)code->nregs;
                out.nhandlers = (uint16_t)code->nhandlers;
                out.ncode = (uint32_t)code->nwords;
                out.code = (uint32_t)put(file, code->words, code->nwords * 4, 4);
                out.types = (uint32_t)put(file, code->types, code->nregs, 4);
                if (code->nhandlers)
                        out.handlers =
                                (uint32_t)put(file, code->handlers, code->nhandlers * sizeof(*code->handlers), 4);
                out.nlines = (uint32_t)code->nlines;
                if (code->nlines)
                        out.lines = (uint32_t)put(file, code->lines, code->nlines * sizeof(*code->lines), 4);
        }
        file->methods = grown(file->methods, &file->cap_methods, file->nmethods + 1, sizeof(out));
        file->methods[file->nmethods++] = out;
}

void file_end(struct class_file *file, struct run *run, struct cls *cls)
{
        struct pvm_file_header header = {
                .magic = PVM_MAGIC,
                .major = PVM_VERSION_MAJOR,
                .minor = PVM_VERSION_MINOR,
                .flags = cls->flags,
                .this_class = (uint16_t)pool_class(file, cls),
                .parent = cls->parent && cls->parent != known.object ? (uint16_t)pool_class(file, cls->parent) : 0,
                .source = (uint16_t)pool_utf8(file, name_cstr(cls->source->path)),
                .nmethods = (uint16_t)file->nmethods,
                .nfields = (uint16_t)cls->nfields,
        };
        for (struct interface_ref *ref = cls->interfaces; ref; ref = ref->next) {
                uint16_t index = ref->cls ? (uint16_t)pool_class(file, ref->cls) : 0;
                size_t at = put(file, &index, 2, header.ninterfaces ? 2 : 4);
                if (!header.ninterfaces++)
                        header.interfaces = (uint32_t)at;
        }
        if (file->nmethods)
                header.methods = (uint32_t)put(file, file->methods, file->nmethods * sizeof(*file->methods), 4);
        struct pvm_file_field *fields = NULL;
        size_t capacity = 0, n = 0;
        fields = grown(fields, &capacity, cls->nfields, sizeof(*fields));
        for (struct field *field = cls->fields; field; field = field->next) {
                struct pvm_file_field *out = &fields[n++];
                *out = (struct pvm_file_field){
                        .name = (uint16_t)pool_utf8(file, field->name),
                        .type = (uint16_t)pool_utf8(file, field->type->descriptor),
                        .flags = field->flags & PVM_FIELD_FLAGS,
                };
                out->attributes = put_text(file, field->attributes, &out->attributes_len);
        }
        if (n)
                header.fields = (uint32_t)put(file, fields, n * sizeof(*fields), 4);
        free(fields);
        header.attributes = put_text(file, cls->attributes, &header.attributes_len);
        /* The text is behind the pool: its offsets are known once the pool is complete. */
        size_t text = ((file->len + 7) & ~(size_t)7) + file->npool * sizeof(*file->pool);
        for (size_t i = 1; i < file->npool; i++) {
                struct pvm_file_pool *entry = &file->pool[i];
                if (entry->tag != PVM_POOL_UTF8 && entry->tag != PVM_POOL_BYTES)
                        continue;
                entry->b = (uint32_t)text;
                text += file->data[i].len;
        }
        header.npool = (uint16_t)file->npool;
        header.pool = (uint32_t)put(file, file->pool, file->npool * sizeof(*file->pool), 8);
        for (size_t i = 1; i < file->npool; i++)
                if (file->pool[i].tag == PVM_POOL_UTF8 || file->pool[i].tag == PVM_POOL_BYTES)
                        put(file, file->data[i].data, file->data[i].len, 1);
        header.size = (uint32_t)file->len;
        memcpy(file->out, &header, sizeof(header));
        if (file->len > PVM_MAX_FILE) {
                error_at(cls->source, cls->at, "class '%s' is too large: more than %u MiB", cls->name->text,
                         PVM_MAX_FILE >> 20);
                return;
        }

        struct output *output = arena_alloc(&permanent, sizeof(*output));
        size_t room = strlen(run->directory) + cls->name->len + sizeof(PVM_SUFFIX) + 2;
        char *path = arena_alloc(&permanent, room);
        size_t begin = (size_t)snprintf(path, room, "%s/", run->directory);
        size_t end = begin + (size_t)snprintf(path + begin, room - begin, "%s", cls->name->text + 1);
        for (size_t i = begin; i < end; i++)
                if (path[i] == '.')
                        path[i] = '/';
        snprintf(path + end, room - end, "%s", PVM_SUFFIX);
        output->path = path;
        output->source = cls->source;
        output->data = arena_alloc(&permanent, file->len);
        memcpy(output->data, file->out, file->len);
        output->len = file->len;
        *run->outputs_end = output;
        run->outputs_end = &output->next;
}

/* ---- reading ---- */

struct reader {
        const uint8_t *data;
        size_t len;
        struct pvm_file_header header;
};

static bool inside(struct reader *r, uint64_t at, uint64_t n, uint64_t size)
{
        return at <= r->len && n * size <= r->len - at;
}

static bool read_pool(struct reader *r, unsigned index, enum pvm_pool_tag tag, struct pvm_file_pool *entry)
{
        if (!index || index >= r->header.npool)
                return false;
        memcpy(entry, r->data + r->header.pool + (size_t)index * sizeof(*entry), sizeof(*entry));
        return entry->tag == tag;
}

static struct name *read_utf8(struct reader *r, unsigned index)
{
        struct pvm_file_pool entry;
        if (!read_pool(r, index, PVM_POOL_UTF8, &entry) ||
            !inside(r, entry.b, entry.c > PVM_MAX_NAME ? UINT32_MAX : entry.c, 1))
                return NULL;
        const char *text = (const char *)r->data + entry.b;
        if (!utf8_valid(text, (size_t)entry.c) || memchr(text, 0, (size_t)entry.c))
                return NULL;
        return name_of(text, (size_t)entry.c);
}

static struct name *read_class(struct reader *r, unsigned index)
{
        struct pvm_file_pool entry;
        struct name *name = read_pool(r, index, PVM_POOL_CLASS, &entry) ? read_utf8(r, entry.a) : NULL;
        return name && name->len > 1 && name->text[0] == '.' && name->text[name->len - 1] != '.' ? name : NULL;
}

static bool type_fine(const char **p, bool result)
{
        unsigned dims = 0;
        while (**p == '[' && dims++ < 8)
                (*p)++;
        switch (*(*p)++) {
        case 'i':
        case 'l':
        case 'f':
        case 'd':
        case 'u':
                return true;
        case 'v':
                return result && !dims;
        case '.': {
                const char *begin = *p - 1, *end = strchr(begin, ';');
                if (!end || end - begin < 2 || (size_t)(end - begin) > PVM_MAX_NAME)
                        return false;
                *p = end + 1;
                return true;
        }
        default:
                return false;
        }
}

static bool descriptor_fine(struct name *name, bool method)
{
        const char *p = name->text;
        unsigned n = 0;
        if (method) {
                if (*p++ != '(')
                        return false;
                for (; *p && *p != ')'; n++)
                        if (!type_fine(&p, false))
                                return false;
                if (*p++ != ')')
                        return false;
        }
        return n < PVM_MAX_ARGS && type_fine(&p, method) && !*p;
}

static struct cls *above(struct run *run, struct name *name)
{
        struct cls *cls = name ? class_load(run, name) : NULL;
        return cls && !cls->visiting ? cls : NULL;
}

const char *file_read(struct run *run, struct name *name, const uint8_t *data, size_t len, struct cls **result)
{
        struct reader reader = {data, len, {0}}, *r = &reader;
        struct pvm_file_header *h = &r->header;
        *result = NULL;
        if (len < sizeof(*h))
                return "this is no class file: too short";
        memcpy(h, data, sizeof(*h));
        if (h->magic != PVM_MAGIC)
                return "this is no class file";
        if (h->major != PVM_VERSION_MAJOR || h->minor > PVM_VERSION_MINOR)
                return "a class file of another version";
        if (h->size != len || !inside(r, h->pool, h->npool, sizeof(struct pvm_file_pool)) ||
            !inside(r, h->interfaces, h->ninterfaces, 2) ||
            !inside(r, h->fields, h->nfields, sizeof(struct pvm_file_field)) ||
            !inside(r, h->methods, h->nmethods, sizeof(struct pvm_file_method)))
                return "this class file is damaged";
        if (read_class(r, h->this_class) != name)
                return "this file has another class than its name says";
        struct name *parent = h->parent ? read_class(r, h->parent) : known.object->name;
        if (!parent)
                return "this class file is damaged";

        struct cls *cls = class_add(name);
        cls->last = name_cstr(strrchr(name->text, '.') + 1);
        cls->flags = h->flags & PVM_CLASS_FLAGS;
        cls->linked = cls->visiting = true;
        const char *wrong = NULL;
        for (unsigned i = 0; i < h->nfields && !wrong; i++) {
                struct pvm_file_field in;
                memcpy(&in, data + h->fields + i * sizeof(in), sizeof(in));
                struct name *what = read_utf8(r, in.name), *type = read_utf8(r, in.type);
                if (!what || !type || !descriptor_fine(type, false)) {
                        wrong = "this class file is damaged: a field";
                        break;
                }
                struct field *field = field_add(cls, what);
                field->flags = in.flags & PVM_FIELD_FLAGS;
                field->type = types_of_field(type->text);
        }
        for (unsigned i = 0; i < h->nmethods && !wrong; i++) {
                struct pvm_file_method in;
                memcpy(&in, data + h->methods + i * sizeof(in), sizeof(in));
                struct name *what = read_utf8(r, in.name), *type = read_utf8(r, in.type);
                if (!what || !type || !descriptor_fine(type, true)) {
                        wrong = "this class file is damaged: a method";
                        break;
                }
                struct method *method = method_add(cls, what);
                method->flags = in.flags & PVM_METHOD_FLAGS;
                method->ordinal = in.ordinal;
                cls->has_constructor |= what == known.constructor;
                types_of_method(method, type->text);
        }
        cls->parent = above(run, parent);
        if (!wrong && !cls->parent)
                wrong = "its parent is missing, or damaged, or it is its own parent";
        struct interface_ref **end = &cls->interfaces;
        for (unsigned i = 0; i < h->ninterfaces && !wrong; i++) {
                uint16_t index;
                memcpy(&index, data + h->interfaces + i * 2u, 2);
                struct interface_ref *ref = arena_alloc(&permanent, sizeof(*ref));
                ref->name = read_class(r, index);
                ref->cls = above(run, ref->name);
                if (!ref->cls)
                        wrong = "an interface of it is missing or damaged";
                *end = ref;
                end = &ref->next;
        }
        cls->visiting = false;
        if (!cls->parent)
                cls->parent = known.object;
        if (wrong)
                cls->absent = true;
        else
                *result = cls;
        return wrong;
}
