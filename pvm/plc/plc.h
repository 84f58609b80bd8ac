/*
 * plc.h - the compiler of the Phantom language: what its parts share.
 *
 * A run goes through its files twice. First each file is parsed whole: syntax errors, and the table of classes with their members; the trees of
 * bodies are thrown away. Then types of members are resolved, and each body is parsed again, checked and translated at once, in an arena that is
 * emptied after each method. So memory is the sources, the table of classes and the class files, which are written at the end if there was no error.
 *
 * Layers: text (arena, names, messages) <- lex <- parse <- classes <- gen -> file; main drives. All state is in one struct run.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvm/format.h"

/* ---- text.c: memory, names, messages ---- */

struct arena {
        struct chunk *first, *now;
        char *at, *end;
};
struct mark {
        struct chunk *now;
        char *at, *end;
};
void *arena_alloc(struct arena *arena, size_t size); /* zeroed; never fails: the program ends without memory */
struct mark arena_mark(struct arena *arena);
void arena_release(struct arena *arena, struct mark mark);

/* Grows *data (of *capacity elements) so that it has room for need. */
void *grown(void *data, size_t *capacity, size_t need, size_t element);

/* Every identifier and string once: equal texts are equal pointers. */
struct name {
        struct name *next;
        uint32_t hash, len;
        uint16_t keyword;  /* enum token_kind, or 0 */
        uint32_t assigned; /* the last method (parse_new_method) in which something of this name is assigned */
        uint32_t closure;  /* the last closure that mentions it */
        uint32_t captured; /* gen: the last body in which a closure mentions it */
        char text[];
};
struct name *name_of(const char *text, size_t len);
struct name *name_cstr(const char *text);
struct name *name_cat(const char *a, const char *b, const char *c);

struct source {
        struct source *next;
        const char *path;
        char *text; /* ends with a 0 */
        uint32_t len;
        struct name *package; /* ".a.b", or 0 */
        struct import *imports;
};
struct import {
        struct import *next;
        struct name *full, *last; /* last is 0 for .a.* */
        uint32_t at;
};

/* at: offset in the source. Messages are printed at once; where none is wanted, text_quiet is set. */
struct source_at {
        struct source *source;
        uint32_t at;
};
void error_at(struct source *source, uint32_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void warn_at(struct source *source, uint32_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void note_at(struct source *source, uint32_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void error_plain(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern unsigned text_errors;
extern bool text_quiet; /* the second parse of a body */
extern bool text_no_warnings;
/* The same is not said twice of one method. */
void text_next_method(void);
bool utf8_valid(const char *text, size_t len);

extern struct arena permanent; /* lives as long as the run */
extern struct arena passing;   /* trees of one body */

/* ---- lex.c ---- */

enum token_kind {
        T_END,
        T_IDENT,
        T_INT,
        T_LONG,
        T_FLOAT,
        T_DOUBLE,
        T_STRING,
        T_BAD,
        /* keywords */
        K_PACKAGE,
        K_IMPORT,
        K_CLASS,
        K_INTERFACE,
        K_ATTRIBUTE,
        K_PUBLIC,
        K_EXTENDS,
        K_IMPLEMENTS,
        K_IF,
        K_ELSE,
        K_WHILE,
        K_DO,
        K_FOR,
        K_FOREACH,
        K_IN,
        K_RETURN,
        K_SWITCH,
        K_CASE,
        K_DEFAULT,
        K_BREAK,
        K_CONTINUE,
        K_TRY,
        K_CATCH,
        K_FINALLY,
        K_THROW,
        K_VAR,
        K_VOID,
        K_NULL,
        K_NEW,
        K_THIS,
        /* signs */
        P_LBRACE,
        P_RBRACE,
        P_LPAREN,
        P_RPAREN,
        P_LBRACKET,
        P_RBRACKET,
        P_SEMICOLON,
        P_COMMA,
        P_DOT,
        P_COLON,
        P_QUESTION,
        P_AT,
        P_SRC_REQ, /* !-> */
        P_DST_REQ, /* ->! */
        P_ASSIGN,
        P_VASSIGN, /* .= */
        P_PLUS,
        P_MINUS,
        P_STAR,
        P_SLASH,
        P_PERCENT,
        P_AMP,
        P_BAR,
        P_CARET,
        P_TILDE,
        P_BANG,
        P_SHL,
        P_SHR,
        P_USHR,
        P_AND,
        P_OR,
        P_EQ,
        P_NE,
        P_LT,
        P_GT,
        P_LE,
        P_GE,
        P_SAME,  /* :== */
        P_NSAME, /* :!= */
        P_INC,
        P_DEC,
        P_ADD_SET, /* += and so on, in the order of P_PLUS... */
        P_SUB_SET,
        P_MUL_SET,
        P_DIV_SET,
        P_REM_SET,
        P_AND_SET,
        P_OR_SET,
        P_XOR_SET,
        P_SHL_SET,
        P_SHR_SET,
        P_USHR_SET,
        TOKEN_KINDS
};
struct token {
        enum token_kind kind;
        uint32_t at, len, line;
        bool hex;    /* T_INT: written in hex or binary; its bits count */
        bool broken; /* T_STRING: not closed, which is told */
        union {
                struct name *name; /* identifier or keyword; string: its bytes */
                int64_t integer;
                double real;
        };
};
struct lexer {
        struct source *source;
        const char *p;
        uint32_t line;
};
void lex_init(void);
void lex_begin(struct lexer *lexer, struct source *source, uint32_t at, uint32_t line);
struct token lex_next(struct lexer *lexer);
const char *token_text(enum token_kind kind);

/* ---- parse.c: trees ---- */

enum node_kind {
        /* expressions */
        E_INT,
        E_LONG,
        E_FLOAT,
        E_DOUBLE,
        E_STRING,
        E_IMPORT, /* name: the file */
        E_NULL,
        E_THIS,
        E_SUPER,
        E_NAME,
        E_CLASSNAME, /* name: absolute */
        E_BINARY,    /* op, a, b */
        E_UNARY,     /* op, a */
        E_NOT,
        E_AND,
        E_OR,
        E_CONDITION, /* a ? b : c */
        E_ASSIGN,    /* op: P_ASSIGN, P_VASSIGN, P_ADD_SET...; a = b */
        E_INCREMENT, /* op: P_INC, P_DEC; flag prefix; a */
        E_CALL,      /* a: receiver or 0; name; args in list */
        E_CALL_ORDINAL,
        E_CALL_NAMED, /* b: the name */
        E_FIELD,      /* a.name */
        E_INDEX,      /* a[b] */
        E_NEW,        /* type; list */
        E_NEW_NAMED,  /* a: class; type or 0; list */
        E_CAST,       /* type; a */
        E_INSTANCEOF,
        E_CLOSURE, /* list: parameters, S_VAR; a: body; closures: its own */
        E_BAD,
        /* statements */
        S_EMPTY,
        S_BLOCK, /* list; a whole body: closures, those directly in it */
        S_VAR,   /* name, type, a: first value */
        S_IF,
        S_WHILE,
        S_DO, /* a: before, b: condition, c: after */
        S_FOR,
        S_FOREACH, /* name, type, flag declared; a: collection, b: body */
        S_SWITCH,  /* a; list, among them S_CASE (a or 0: default) */
        S_CASE,
        S_BREAK,
        S_CONTINUE,
        S_RETURN,
        S_THROW,
        S_TRY,   /* a: body; list: S_CATCH; b: finally */
        S_CATCH, /* type, name, a */
        S_EXPRESSION
};
struct typeref {           /* a type as written */
        struct name *name; /* absolute if it begins with '.'; 0: untyped */
        uint32_t at;
        uint16_t dims;
        bool is_void; /* so written; *(e) is the same type: untyped */
};
struct node {
        uint8_t kind, op;
        bool paren;   /* written in parentheses */
        bool assigns; /* a local may change in it */
        bool flag;
        uint32_t at, line;
        struct node *next; /* in the list it is in */
        struct node *a, *b, *c, *list;
        struct typeref *type;
        union {
                struct name *name;
                int64_t integer;
                double real;
                struct closure_names *closures;
        };
};

/* The names in a closure, those in closures in it included: E_NAMEs; one may be there twice. */
struct closure_names {
        struct closure_names *outer, *inner, *next; /* inner: the first in it; next: in the same */
        uint32_t id;
        struct node *names;
};

struct parser {
        struct lexer lexer;
        struct source *source;
        struct token now;
        uint32_t before_end;    /* where the last token ended */
        enum token_kind before; /* which it was */
        uint32_t depth;
        bool bad;                      /* syntax error since the last synchronisation */
        bool any_bad;                  /* in this body */
        bool hopeless;                 /* too deep: the rest is skipped */
        bool original;                 /* precedence of & and | */
        struct closure_names *closure; /* the innermost closure; the outermost one is the method */
        struct run *run;
};
/* From here on assignments are those of another method. */
void parse_new_method(void);
/* Is something of that name assigned in the present method, other than by its declaration? */
bool parse_is_assigned(const struct name *name);
void parse_file(struct run *run, struct source *source);
/* The body at a place where the first pass found one; in the passing arena. */
struct node *parse_body(struct run *run, struct source *source, uint32_t at, uint32_t line);
struct node *parse_initialiser(struct run *run, struct source *source, uint32_t at, uint32_t line);

/* ---- classes.c: types, classes and members ---- */

enum type_kind { Y_INT, Y_LONG, Y_FLOAT, Y_DOUBLE, Y_ANY, Y_CLASS, Y_ARRAY, Y_NULL, Y_VOID, Y_BYTES, Y_BAD };
struct type {
        enum type_kind kind;
        char machine; /* I L F D R */
        struct cls *cls;
        struct type *element, *array;
        struct name *descriptor;
};
extern struct type type_int, type_long, type_float, type_double, type_any, type_null, type_void, type_bytes, type_bad;

struct parameter {
        struct name *name;
        struct typeref *ref;
        struct type *type;
        uint32_t at;
};
struct method {
        struct method *next, *same; /* of the class; of the same name in the class */
        struct name *name;          /* ".new": constructor */
        struct cls *cls;
        struct typeref *ref;
        struct type *result;
        struct parameter *parameters;
        unsigned nparameters;
        uint16_t flags; /* PVM_ */
        uint16_t ordinal;
        struct name *descriptor;
        struct name *attributes;
        uint32_t at, line, body_at, body_line;
        bool has_body, bad;      /* bad: syntax errors in it */
        bool inherited;          /* a constructor that the source has not... */
        struct method *inherits; /* ...and which one of the parent it calls; 0: none */
};
struct field {
        struct field *next;
        struct name *name;
        struct cls *cls;
        struct typeref *ref;
        struct type *type;
        uint16_t flags;
        struct name *attributes;
        uint32_t at, line, init_at, init_line;
        bool has_init;
        bool constant; /* a static const number: value */
        bool folding;
        int64_t integer;
        double real;
};
struct interface_ref {
        struct interface_ref *next;
        struct name *name;
        uint32_t at;
        struct cls *cls;
};
struct cls {
        struct cls *hash_next, *next; /* next: of the run, in order */
        struct name *name, *last;     /* absolute; its last part */
        struct type type;
        struct cls *parent;
        struct interface_ref *interfaces;
        struct name *parent_name;
        uint32_t parent_at;
        struct source *source; /* 0: internal, or from a file */
        uint32_t at, line;
        uint16_t flags;
        bool internal, not_new, absent, visiting, linked,
                has_constructor; /* absent: a name in a descriptor, or looked for in vain */
        struct field *fields, **fields_end;
        struct method *methods, **methods_end;
        unsigned nfields, nmethods, nabstract;
        struct name *attributes;
};
struct cls *class_find(struct name *name); /* of this run or internal, or loaded before */
struct cls *class_add(struct name *name);
struct cls *class_detached(struct name *name);              /* not in the table: a declaration that does not count */
struct cls *class_load(struct run *run, struct name *name); /* class_find, and from files */
void class_complete(struct cls *cls);                       /* reads it, if it was only mentioned so far */
struct cls *class_named(struct run *run, struct source *source, struct name *name); /* as seen from a source */
struct field *field_add(struct cls *cls, struct name *name);
struct method *method_add(struct cls *cls, struct name *name);
struct field *field_find(struct cls *cls, struct name *name);     /* in it alone */
struct method *method_find(struct cls *cls, struct name *name);   /* first of that name, in it alone */
struct cls *constructed_above(struct cls *cls);                   /* the nearest from here up that has constructors */
struct method *method_ordinal(struct cls *cls, unsigned ordinal); /* in it or above */
void method_seal(struct method *method);                          /* makes the descriptor of types */
struct type *types_of_field(const char *descriptor);              /* types of a well-formed descriptor */
void types_of_method(struct method *method, const char *descriptor);
bool class_is(struct cls *cls, struct cls *other); /* same, child, or implements */
struct type *array_of(struct type *element);
struct type *type_resolve(struct run *run, struct source *source, struct typeref *ref);
const char *type_text(struct type *type);                     /* for messages */
struct cls *class_called(struct run *run, struct name *last); /* one whose last part that is, imported or not; 0 */
void classes_init(struct run *run);
void classes_link(struct run *run); /* parents, types of members, overrides, interfaces */

/* ---- hint.c: the end of a message about an unknown name; "" or NULL: there is none. Good until the next one ---- */

struct near { /* the name that is nearest to one that means nothing */
        const char *name, *best;
        unsigned distance;
};
void near_consider(struct near *near, const char *name);
const char *near_text(const struct near *near);
const char *hint_value(const char *name);
const char *hint_class(struct run *run, struct name *name);

struct known {
        struct cls *object, *string, *klass, *array, *binary, *closure, *boxes[4], *error;
        struct name *constructor, *initialiser, *to_string, *iterator, *has_next, *next, *clone, *length, *call,
                *name_super, * instanceof
                ;
        struct name *name_int, *name_long, *name_float, *name_double, *name_string;
        struct name *name_static, *name_private, *name_const, *name_final, *name_abstract;
};
extern struct known known;

/* ---- gen.c and file.c ---- */

struct output {
        struct output *next;
        const char *path;
        struct source *source;
        uint8_t *data;
        size_t len;
};
void gen_class(struct run *run, struct cls *cls);
/* The value of a static const with a constant behind it. */
bool gen_constant(struct run *run, struct field *field);

struct code { /* one method, translated */
        uint32_t *words;
        size_t nwords, cap_words;
        struct pvm_file_handler *handlers;
        size_t nhandlers, cap_handlers;
        struct pvm_file_line *lines;
        size_t nlines, cap_lines;
        char types[PVM_MAX_REGS];
        unsigned nregs;
};
struct class_file;
struct class_file *file_begin(struct cls *cls);
unsigned pool_utf8(struct class_file *file, struct name *name);
unsigned pool_string(struct class_file *file, struct name *name);
unsigned pool_bytes(struct class_file *file, const void *data, size_t len);
unsigned pool_number(struct class_file *file, enum pvm_pool_tag tag, uint64_t bits);
unsigned pool_class(struct class_file *file, struct cls *cls);
unsigned pool_member(struct class_file *file, enum pvm_pool_tag tag, struct cls *cls, struct name *name,
                     struct name *descriptor);
void file_method(struct class_file *file, struct method *method, struct code *code); /* code 0: none */
void file_end(struct class_file *file, struct run *run, struct cls *cls);
/* Reads a class file's members into the table. 0, or why not. */
const char *file_read(struct run *run, struct name *name, const uint8_t *data, size_t len, struct cls **cls);

struct run {
        const char *directory;
        const char **paths; /* -L */
        unsigned npaths;
        bool original;
        struct source *sources, **sources_end;
        struct cls *classes, **classes_end;
        struct output *outputs, **outputs_end;
};
/* The whole of a file, with a 0 behind it; 0 and errno. */
char *read_whole(const char *path, size_t limit, size_t *len);
