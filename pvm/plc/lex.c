/*
 * lex.c - from text to tokens. Errors in a token are told here; the parser then gets a token it can go on with.
 */
#include "pvm/plc/plc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[TOKEN_KINDS] = {
        [T_END] = "the end of the file",
        [T_IDENT] = "a name",
        [T_INT] = "a number",
        [T_LONG] = "a number",
        [T_FLOAT] = "a number",
        [T_DOUBLE] = "a number",
        [T_STRING] = "a string",
        [T_BAD] = "something unreadable",
        [K_PACKAGE] = "package",
        [K_IMPORT] = "import",
        [K_CLASS] = "class",
        [K_INTERFACE] = "interface",
        [K_ATTRIBUTE] = "attribute",
        [K_PUBLIC] = "public",
        [K_EXTENDS] = "extends",
        [K_IMPLEMENTS] = "implements",
        [K_IF] = "if",
        [K_ELSE] = "else",
        [K_WHILE] = "while",
        [K_DO] = "do",
        [K_FOR] = "for",
        [K_FOREACH] = "foreach",
        [K_IN] = "in",
        [K_RETURN] = "return",
        [K_SWITCH] = "switch",
        [K_CASE] = "case",
        [K_DEFAULT] = "default",
        [K_BREAK] = "break",
        [K_CONTINUE] = "continue",
        [K_TRY] = "try",
        [K_CATCH] = "catch",
        [K_FINALLY] = "finally",
        [K_THROW] = "throw",
        [K_VAR] = "var",
        [K_VOID] = "void",
        [K_NULL] = "null",
        [K_NEW] = "new",
        [K_THIS] = "this",
        [P_LBRACE] = "{",
        [P_RBRACE] = "}",
        [P_LPAREN] = "(",
        [P_RPAREN] = ")",
        [P_LBRACKET] = "[",
        [P_RBRACKET] = "]",
        [P_SEMICOLON] = ";",
        [P_COMMA] = ",",
        [P_DOT] = ".",
        [P_COLON] = ":",
        [P_QUESTION] = "?",
        [P_AT] = "@",
        [P_SRC_REQ] = "!->",
        [P_DST_REQ] = "->!",
        [P_ASSIGN] = "=",
        [P_VASSIGN] = ".=",
        [P_PLUS] = "+",
        [P_MINUS] = "-",
        [P_STAR] = "*",
        [P_SLASH] = "/",
        [P_PERCENT] = "%",
        [P_AMP] = "&",
        [P_BAR] = "|",
        [P_CARET] = "^",
        [P_TILDE] = "~",
        [P_BANG] = "!",
        [P_SHL] = "<<",
        [P_SHR] = ">>",
        [P_USHR] = ">>>",
        [P_AND] = "&&",
        [P_OR] = "||",
        [P_EQ] = "==",
        [P_NE] = "!=",
        [P_LT] = "<",
        [P_GT] = ">",
        [P_LE] = "<=",
        [P_GE] = ">=",
        [P_SAME] = ":==",
        [P_NSAME] = ":!=",
        [P_INC] = "++",
        [P_DEC] = "--",
        [P_ADD_SET] = "+=",
        [P_SUB_SET] = "-=",
        [P_MUL_SET] = "*=",
        [P_DIV_SET] = "/=",
        [P_REM_SET] = "%=",
        [P_AND_SET] = "&=",
        [P_OR_SET] = "|=",
        [P_XOR_SET] = "^=",
        [P_SHL_SET] = "<<=",
        [P_SHR_SET] = ">>=",
        [P_USHR_SET] = ">>>=",
};

enum { C_OTHER, C_SPACE, C_LETTER, C_DIGIT };
static uint8_t class_of[256];
static uint8_t first_sign[256], next_sign[TOKEN_KINDS]; /* signs by their first letter, long ones first */

const char *token_text(enum token_kind kind)
{
        return texts[kind];
}

void lex_init(void)
{
        for (int kind = K_PACKAGE; kind <= K_THIS; kind++)
                name_cstr(texts[kind])->keyword = (uint16_t)kind;
        for (unsigned len = 1; len <= 4; len++)
                for (unsigned kind = P_LBRACE; kind < TOKEN_KINDS; kind++)
                        if (strlen(texts[kind]) == len) {
                                uint8_t *first = &first_sign[(uint8_t)texts[kind][0]];
                                next_sign[kind] = *first;
                                *first = (uint8_t)kind;
                        }
        for (int c = 0; c < 256; c++)
                class_of[c] = c == ' ' || (c >= '\t' && c <= '\r') ? C_SPACE
                              : c >= '0' && c <= '9'               ? C_DIGIT
                              : (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c >= 0x80
                                      ? C_LETTER
                                      : C_OTHER;
}

void lex_begin(struct lexer *lexer, struct source *source, uint32_t at, uint32_t line)
{
        lexer->source = source;
        lexer->p = source->text + at;
        lexer->line = line;
}

static uint32_t place(struct lexer *lexer, const char *p)
{
        return (uint32_t)(p - lexer->source->text);
}

static void skip_blanks(struct lexer *lexer)
{
        const char *p = lexer->p, *end = lexer->source->text + lexer->source->len;
        for (;;) {
                while (class_of[(uint8_t)*p] == C_SPACE)
                        lexer->line += *p++ == '\n';
                if (*p == '/' && p[1] == '/') {
                        const char *newline = memchr(p, '\n', (size_t)(end - p));
                        p = newline ? newline : end;
                } else if (*p == '/' && p[1] == '*') {
                        const char *begin = p;
                        for (p += 2; p < end && !(*p == '*' && p[1] == '/'); p++)
                                lexer->line += *p == '\n';
                        if (p >= end) {
                                error_at(lexer->source, place(lexer, begin),
                                         "this comment is not closed: '*/' expected");
                                p = end;
                        } else {
                                p += 2;
                        }
                } else if (!*p && p < end) {
                        error_at(lexer->source, place(lexer, p), "a zero byte in the source");
                        p++;
                } else {
                        break;
                }
        }
        lexer->p = p;
}

static int hex_value(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

static unsigned put_utf8(char *out, uint32_t c)
{
        if (c < 0x80) {
                out[0] = (char)c;
                return 1;
        }
        unsigned n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (unsigned i = n - 1; i > 0; i--, c >>= 6)
                out[i] = (char)(0x80 | (c & 63));
        out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
        return n;
}

/* What an escape stands for; *p is behind the backslash. */
static uint32_t escape(struct lexer *lexer, const char **p)
{
        const char *begin = *p;
        char c = *(*p)++;
        switch (c) {
        case 'n':
                return '\n';
        case 't':
                return '\t';
        case 'r':
                return '\r';
        case 'b':
                return '\b';
        case 'f':
                return '\f';
        case 'e':
                return 27;
        case '0':
                return 0;
        case '\\':
        case '"':
        case '\'':
                return (uint32_t)c;
        case 'x':
        case 'u': {
                uint32_t value = 0;
                int digits = c == 'x' ? 2 : 4, n = 0;
                for (; n < digits && hex_value(**p) >= 0; n++)
                        value = value << 4 | (uint32_t)hex_value(*(*p)++);
                if (n < digits)
                        error_at(lexer->source, place(lexer, begin - 1), "%d hex digits expected behind '\\%c'", digits,
                                 c);
                else if (value >= 0xd800 && value < 0xe000)
                        error_at(lexer->source, place(lexer, begin - 1),
                                 "U+%04X is no character: half of a pair of UTF-16", (unsigned)value);
                else
                        return value;
                return '?';
        }
        default:
                if (!c || c == '\n') {
                        (*p)--; /* the string's end tells */
                        return '\\';
                }
                error_at(lexer->source, place(lexer, begin - 1),
                         "unknown escape '\\%c': one of \\n \\t \\r \\b \\f \\e \\0 \\\\ \\\" \\' \\xHH \\uHHHH "
                         "expected",
                         c);
                return (uint32_t)(uint8_t)c;
        }
}

static void lex_string(struct lexer *lexer, struct token *token)
{
        const char *begin = lexer->p, *p = begin + 1;
        while (*p && *p != '"' && *p != '\\' && *p != '\n')
                p++;
        if (*p == '"') { /* the usual case: as it stands */
                token->name = name_of(begin + 1, (size_t)(p - begin - 1));
                p++;
        } else {
                const char *q = p;
                while (*q && *q != '"' && *q != '\n')
                        q += *q == '\\' && q[1] && q[1] != '\n' ? 2 : 1;
                struct mark mark = arena_mark(&passing);
                char *text =
                        arena_alloc(&passing, (size_t)(q - begin) + 4); /* no escape is shorter than what it means */
                size_t n = (size_t)(p - begin - 1);
                memcpy(text, begin + 1, n);
                while (*p && *p != '"' && *p != '\n') {
                        if (*p != '\\') {
                                text[n++] = *p++;
                                continue;
                        }
                        const char *from = p++;
                        uint32_t c = escape(lexer, &p);
                        if (c >= 0x80 && p - from == 2) /* an unknown escape of a byte */
                                text[n++] = (char)c;
                        else
                                n += put_utf8(text + n, c);
                }
                token->name = name_of(text, n);
                arena_release(&passing, mark);
                token->broken = *p != '"';
                if (!token->broken)
                        p++;
                else
                        error_at(lexer->source, place(lexer, begin),
                                 "this string is not closed on its line: '\"' expected");
        }
        if (!utf8_valid(token->name->text, token->name->len)) {
                error_at(lexer->source, place(lexer, begin), "this string is not UTF-8");
                token->name = name_cstr("");
        }
        token->kind = T_STRING;
        lexer->p = p;
}

static void lex_char(struct lexer *lexer, struct token *token)
{
        const char *begin = lexer->p, *p = begin + 1;
        uint32_t value = 0;
        if (*p == '\\') {
                p++;
                value = escape(lexer, &p);
        } else if (*p && *p != '\'' && *p != '\n') {
                unsigned n = (uint8_t)*p < 0x80 ? 1 : (uint8_t)*p < 0xe0 ? 2 : (uint8_t)*p < 0xf0 ? 3 : 4;
                if (n <= strlen(p) && utf8_valid(p, n)) {
                        value = n == 1 ? (uint8_t)*p : (uint8_t)*p & (0x7fu >> n);
                        for (unsigned i = 1; i < n; i++)
                                value = value << 6 | ((uint8_t)p[i] & 63);
                        p += n;
                } else {
                        p++;
                        error_at(lexer->source, place(lexer, begin), "this character is not UTF-8");
                }
        }
        if (*p == '\'' && p > begin + 1) {
                p++;
        } else {
                error_at(lexer->source, place(lexer, begin), "one character and \"'\" expected");
                while (*p && *p != '\'' && *p != '\n')
                        p++;
                p += *p == '\'';
        }
        token->kind = T_INT;
        token->integer = (int64_t)value;
        lexer->p = p;
}

static void lex_number(struct lexer *lexer, struct token *token)
{
        const char *begin = lexer->p, *p = begin;
        uint64_t value = 0;
        bool over = false, real = false;
        unsigned base = 10;
        if (*p == '0' && (p[1] == 'x' || p[1] == 'X')) {
                base = 16;
                p += 2;
        } else if (*p == '0' && (p[1] == 'b' || p[1] == 'B')) {
                base = 2;
                p += 2;
        }
        const char *digits = p;
        for (int digit; (digit = hex_value(*p)) >= 0 && digit < (int)base; p++) {
                over |= value > (UINT64_MAX - (unsigned)digit) / base;
                value = value * base + (unsigned)digit;
        }
        if (p == digits)
                error_at(lexer->source, place(lexer, begin), "digits expected behind '%.2s'", begin);
        if (base == 10) {
                if (*p == '.' && class_of[(uint8_t)p[1]] == C_DIGIT) {
                        real = true;
                        for (p++; class_of[(uint8_t)*p] == C_DIGIT; p++) {
                        }
                }
                const char *e = p;
                if (*e == 'e' || *e == 'E') {
                        e += 1 + (e[1] == '+' || e[1] == '-');
                        if (class_of[(uint8_t)*e] == C_DIGIT) {
                                real = true;
                                for (p = e; class_of[(uint8_t)*p] == C_DIGIT; p++) {
                                }
                        }
                }
        }
        token->kind = T_INT;
        token->hex = base != 10;
        if (real || (base == 10 && (*p == 'f' || *p == 'F' || *p == 'd' || *p == 'D'))) {
                token->kind = T_DOUBLE;
                if (*p == 'f' || *p == 'F') {
                        token->kind = T_FLOAT;
                        token->real = (double)strtof(begin, NULL);
                        p++;
                } else {
                        token->real = strtod(begin, NULL);
                        p += *p == 'd' || *p == 'D';
                }
                if (token->real > 1.7976931348623157e308 || (token->kind == T_FLOAT && token->real > 3.5e38))
                        error_at(lexer->source, place(lexer, begin), "this number is too large");
        } else {
                token->integer = (int64_t)value;
                uint64_t most = base != 10 ? UINT64_MAX : (uint64_t)INT64_MAX + 1; /* the 1 is for a '-' before it */
                if (over || value > most)
                        error_at(lexer->source, place(lexer, begin), "this number does not fit into a long");
                if (*p == 'l' || *p == 'L') {
                        token->kind = T_LONG;
                        p++;
                } else if (value > (base != 10 ? UINT32_MAX : (uint64_t)INT32_MAX)) {
                        token->kind = T_LONG;
                } else if (base != 10) {
                        token->integer = (int32_t)(uint32_t)value;
                }
        }
        if (class_of[(uint8_t)*p] == C_LETTER || class_of[(uint8_t)*p] == C_DIGIT) {
                error_at(lexer->source, place(lexer, p), "this does not belong to a number");
                while (class_of[(uint8_t)*p] == C_LETTER || class_of[(uint8_t)*p] == C_DIGIT)
                        p++;
        }
        lexer->p = p;
}

static enum token_kind lex_sign(struct lexer *lexer)
{
        for (unsigned kind = first_sign[(uint8_t)*lexer->p]; kind; kind = next_sign[kind]) {
                size_t len = strlen(texts[kind]);
                if (!strncmp(lexer->p, texts[kind], len)) {
                        lexer->p += len;
                        return (enum token_kind)kind;
                }
        }
        return T_BAD;
}

struct token lex_next(struct lexer *lexer)
{
        struct token token = {0};
again:
        skip_blanks(lexer);
        const char *p = lexer->p;
        token.at = place(lexer, p);
        token.line = lexer->line;
        switch (class_of[(uint8_t)*p]) {
        case C_LETTER:
                while (class_of[(uint8_t)*p] >= C_LETTER)
                        p++;
                token.name = name_of(lexer->p, (size_t)(p - lexer->p));
                token.kind = token.name->keyword ? (enum token_kind)token.name->keyword : T_IDENT;
                if (token.kind == T_IDENT && !utf8_valid(token.name->text, token.name->len)) {
                        error_at(lexer->source, token.at, "this name is not UTF-8");
                        token.name = name_cstr("bad");
                }
                lexer->p = p;
                break;
        case C_DIGIT:
                lex_number(lexer, &token);
                break;
        default:
                if (*p == '"') {
                        lex_string(lexer, &token);
                } else if (*p == '\'') {
                        lex_char(lexer, &token);
                } else if (!*p) {
                        token.kind = T_END;
                } else {
                        token.kind = lex_sign(lexer);
                        if (token.kind == T_BAD) {
                                lexer->p++;
                                error_at(lexer->source, token.at,
                                         *p >= ' ' && *p < 127 ? "'%c' means nothing here"
                                                               : "a byte of value %d means nothing here",
                                         *p);
                                goto again;
                        }
                }
        }
        token.len = (uint32_t)(lexer->p - lexer->source->text) - token.at;
        return token;
}
