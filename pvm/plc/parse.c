/*
 * parse.c - from tokens to trees, by recursive descent. LANGUAGE.md has the grammar.
 *
 * After a syntax error nothing more is said until the parser has found a place to go on: behind a ';', before a '}' or before a word that begins
 * a statement or a member. Depth is bounded, so that no source exhausts the stack.
 */
#include "pvm/plc/plc.h"

#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 300  /* of brackets and statements in each other */
#define MAX_CHAIN 1000 /* operators in a row, calls in a row: the tree is as deep */

static struct node *parse_expression(struct parser *p);
static struct node *parse_block(struct parser *p);
static struct node *parse_statement(struct parser *p);
static struct typeref *parse_type(struct parser *p);
static struct node *parse_unary(struct parser *p);

/* ---- tokens ---- */

static void advance(struct parser *p)
{
        p->before_end = p->now.at + p->now.len;
        p->before = p->now.kind;
        p->now = lex_next(&p->lexer);
}

static bool is_at(struct parser *p, enum token_kind kind)
{
        return p->now.kind == kind;
}

static bool eat(struct parser *p, enum token_kind kind)
{
        if (p->now.kind != kind)
                return false;
        advance(p);
        return true;
}

/* The token behind the present one. */
static struct token peek(struct parser *p)
{
        struct lexer lexer = p->lexer;
        bool quiet = text_quiet;
        text_quiet = true;
        struct token token = lex_next(&lexer);
        text_quiet = quiet;
        return token;
}

static void syntax_error(struct parser *p, uint32_t at, const char *what)
{
        if (p->bad || p->hopeless) {
                p->bad = p->any_bad = true;
                return;
        }
        p->bad = p->any_bad = true;
        struct token *t = &p->now;
        if (t->kind == T_END)
                error_at(p->source, at, "%s expected, but the file ends", what);
        else
                error_at(p->source, at, "%s expected, found '%.*s%s'", what, (int)(t->len > 30 ? 30 : t->len),
                         p->source->text + t->at, t->len > 30 ? "..." : "");
}

static void unexpected(struct parser *p, const char *what)
{
        syntax_error(p, p->now.at, what);
}

static bool expect(struct parser *p, enum token_kind kind)
{
        if (eat(p, kind))
                return true;
        char what[64];
        snprintf(what, sizeof(what), "'%s'", token_text(kind));
        /* What is missing at the end of a line is missing there, not where the next line begins. */
        if (kind == P_SEMICOLON && is_at(p, P_COMMA))
                snprintf(what, sizeof(what), "';' (each variable has a declaration of its own)");
        else if (kind == P_SEMICOLON && is_at(p, P_COLON) && p->source->text[p->now.at + 1] == '=')
                snprintf(what, sizeof(what), "'=' or ';' (':=' is nothing here)");
        bool end = (kind == P_SEMICOLON || kind == P_RPAREN || kind == P_RBRACKET) && p->before_end &&
                   memchr(p->source->text + p->before_end, '\n', p->now.at - p->before_end);
        syntax_error(p, end ? p->before_end : p->now.at, what);
        return false;
}

static bool enter(struct parser *p)
{
        if (p->depth++ < MAX_DEPTH)
                return true;
        if (!p->bad) {
                p->bad = p->any_bad = true;
                error_at(p->source, p->now.at, "more than %d levels of nesting", MAX_DEPTH);
        }
        p->hopeless = true; /* nothing sensible can follow */
        p->lexer.p = p->source->text + p->source->len;
        advance(p);
        return false;
}

static void leave(struct parser *p)
{
        p->depth--;
}

static bool begins_statement(enum token_kind kind)
{
        switch (kind) {
        case K_IF:
        case K_WHILE:
        case K_DO:
        case K_FOR:
        case K_FOREACH:
        case K_RETURN:
        case K_SWITCH:
        case K_CASE:
        case K_DEFAULT:
        case K_BREAK:
        case K_CONTINUE:
        case K_TRY:
        case K_THROW:
        case K_VAR:
                return true;
        default:
                return false;
        }
}

static bool begins_member(enum token_kind kind)
{
        return kind == K_VOID || kind == K_CLASS || kind == K_INTERFACE;
}

/* Skips behind a ';', or to '}' or what begins something anew. Brackets are skipped whole. */
static void skip_to(struct parser *p, bool (*begins)(enum token_kind kind))
{
        unsigned braces = 0;
        while (!is_at(p, T_END)) {
                if (is_at(p, P_LBRACE)) {
                        braces++;
                } else if (is_at(p, P_RBRACE)) {
                        if (!braces)
                                break;
                        if (!--braces) {
                                advance(p);
                                break;
                        }
                } else if (!braces && is_at(p, P_SEMICOLON)) {
                        advance(p);
                        break;
                } else if (!braces && begins(p->now.kind)) {
                        break;
                }
                advance(p);
        }
        p->bad = false;
}

/* Goes on with the next statement. begin: where the bad one began. */
static void synchronise(struct parser *p, uint32_t begin)
{
        if (p->before == P_SEMICOLON && p->now.at != begin) {
                p->bad = false; /* there already */
                return;
        }
        skip_to(p, begins_statement);
}

/* ---- nodes ---- */

static struct node *node_new(enum node_kind kind, uint32_t at, uint32_t line)
{
        struct node *node = arena_alloc(&passing, sizeof(*node));
        node->kind = (uint8_t)kind;
        node->at = at;
        node->line = line;
        return node;
}

static struct node *node_here(struct parser *p, enum node_kind kind)
{
        return node_new(kind, p->now.at, p->now.line);
}

static struct node *bad_node(struct parser *p)
{
        return node_here(p, E_BAD);
}

static void adopt(struct node *node, struct node *child)
{
        if (child)
                node->assigns |= child->assigns;
}

/* ---- what closures mention ---- */

static uint32_t method_id = 1, closure_id;

void parse_new_method(void)
{
        method_id++;
}

bool parse_is_assigned(const struct name *name)
{
        return name->assigned == method_id;
}

static struct closure_names *closure_begin(struct parser *p)
{
        struct closure_names *names = arena_alloc(&passing, sizeof(*names));
        names->outer = p->closure;
        names->id = ++closure_id;
        if (p->closure) {
                names->next = p->closure->inner;
                p->closure->inner = names;
        }
        p->closure = names;
        return names;
}

static void mention(struct parser *p, struct name *name)
{
        if (!p->closure || name->closure == p->closure->id) /* no closure: in the type of a member */
                return;
        struct node *node = node_here(p, E_NAME);
        node->name = name;
        node->next = p->closure->names;
        p->closure->names = node;
        name->closure = p->closure->id;
}

/* What is mentioned in the innermost closure is mentioned in the one around it, too. */
static void closure_end(struct parser *p)
{
        struct closure_names *names = p->closure;
        p->closure = names->outer;
        for (struct node *name = names->names; p->closure && name; name = name->next)
                mention(p, name->name);
}

static void assigned(struct node *node)
{
        node->assigns = true;
        if (node->a && node->a->kind == E_NAME)
                node->a->name->assigned = method_id;
}

/* ---- names and types ---- */

static bool is_word(enum token_kind kind)
{
        return kind == T_IDENT || (kind >= K_PACKAGE && kind <= K_THIS);
}

/* A dotted name, ".a.b" or "a.b"; parts may be quoted. star: may end in ".*". */
static struct name *parse_name(struct parser *p, bool star)
{
        char text[PVM_MAX_NAME];
        size_t len = 0;
        bool first = true;
        uint32_t at = p->now.at;
        for (;;) {
                bool dot = is_at(p, P_DOT);
                if (dot) {
                        if (len + 1 < sizeof(text))
                                text[len++] = '.';
                        advance(p);
                } else if (!first) {
                        break;
                }
                if (star && dot && is_at(p, P_STAR)) {
                        advance(p);
                        if (len + 1 < sizeof(text))
                                text[len++] = '*';
                        break;
                }
                if (is_at(p, T_STRING) || is_at(p, T_IDENT) || (dot && is_word(p->now.kind))) {
                        struct name *part = p->now.name;
                        if (is_at(p, T_STRING)) {
                                bool fine = part->len > 0;
                                for (uint32_t i = 0; i < part->len; i++)
                                        fine &= (unsigned char)part->text[i] > ' ' && part->text[i] != 127 &&
                                                !strchr("./;()[]\\", part->text[i]);
                                if (!fine) {
                                        unexpected(p, "a part of a name");
                                        return NULL;
                                }
                        }
                        if (len + part->len < sizeof(text)) {
                                memcpy(text + len, part->text, part->len);
                                len += part->len;
                        } else {
                                len = sizeof(text);
                        }
                        advance(p);
                } else {
                        unexpected(p, "a name");
                        return NULL;
                }
                first = false;
        }
        if (len >= 900) {
                error_at(p->source, at, "this name is too long");
                return NULL;
        }
        return name_of(text, len);
}

static struct typeref *typeref_new(struct parser *p, struct arena *arena)
{
        struct typeref *ref = arena_alloc(arena, sizeof(*ref));
        ref->at = p->now.at;
        return ref;
}

static struct name *parse_attributes(struct parser *p, struct name *so_far);

static struct typeref *parse_type_in(struct parser *p, struct arena *arena)
{
        struct typeref *ref = typeref_new(p, arena);
        if (eat(p, K_VOID)) {
                ref->is_void = true;
        } else if (eat(p, P_STAR)) {
                /* A class known only at run time: untyped, as far as we can tell. */
                ref->is_void = true;
                if (enter(p))
                        parse_expression(p);
                leave(p);
        } else if (is_at(p, T_IDENT) || is_at(p, T_STRING) || is_at(p, P_DOT)) {
                ref->name = parse_name(p, false);
        } else {
                unexpected(p, "a type");
                return ref;
        }
        while (is_at(p, P_LBRACKET)) {
                advance(p);
                ref->dims++;
                if (!is_at(p, P_RBRACKET)) { /* the class of the container, which is ours to choose */
                        if (eat(p, P_STAR)) {
                                if (enter(p))
                                        parse_expression(p);
                                leave(p);
                        } else if (is_at(p, T_INT)) {
                                unexpected(p, "']' (a size goes into parentheses: new int[](10))");
                                return ref;
                        } else {
                                parse_name(p, false);
                        }
                }
                if (!expect(p, P_RBRACKET))
                        return ref;
        }
        if (ref->dims > 8) {
                error_at(p->source, ref->at, "more than 8 dimensions");
                ref->dims = 8;
        }
        parse_attributes(p, NULL);
        return ref;
}

static struct typeref *parse_type(struct parser *p)
{
        return parse_type_in(p, &passing);
}

/* Skips what looks like a type: for decisions alone. */
static bool skip_type(struct lexer *lexer, struct token *token)
{
        if (token->kind == K_VOID) {
                *token = lex_next(lexer);
        } else {
                bool first = true;
                for (;;) {
                        bool dot = token->kind == P_DOT;
                        if (dot)
                                *token = lex_next(lexer);
                        else if (!first)
                                break;
                        if (token->kind != T_IDENT && !(dot && (token->kind == T_STRING || is_word(token->kind))))
                                return false;
                        *token = lex_next(lexer);
                        first = false;
                }
        }
        while (token->kind == P_LBRACKET) {
                *token = lex_next(lexer);
                if (token->kind != P_RBRACKET)
                        return false;
                *token = lex_next(lexer);
        }
        return true;
}

/* Does a statement begin here that declares a variable with its type first? */
static bool declares(struct parser *p)
{
        if (!is_at(p, T_IDENT) && !is_at(p, P_DOT))
                return false;
        struct lexer lexer = p->lexer;
        struct token token = p->now;
        bool quiet = text_quiet;
        text_quiet = true;
        bool yes = skip_type(&lexer, &token) && token.kind == T_IDENT && token.name != known.instanceof ;
        text_quiet = quiet;
        return yes;
}

/* "@const, ~name" or "attribute const * ->!": kept as text. */
static struct name *parse_attributes(struct parser *p, struct name *so_far)
{
        while (is_at(p, P_AT) || is_at(p, K_ATTRIBUTE)) {
                uint32_t begin = p->now.at;
                advance(p);
                do {
                        eat(p, P_TILDE);
                        if (!parse_name(p, false))
                                return so_far;
                        while (is_at(p, P_PLUS) || is_at(p, P_STAR) || is_at(p, P_BANG) || is_at(p, P_SRC_REQ) ||
                               is_at(p, P_DST_REQ))
                                advance(p);
                } while (eat(p, P_COMMA));
                struct name *text = name_of(p->source->text + begin, p->before_end - begin);
                so_far = so_far ? name_cat(so_far->text, " ", text->text) : text;
        }
        return so_far;
}

/* ---- expressions ---- */

static bool begins_expression(struct parser *p)
{
        switch (p->now.kind) {
        case T_IDENT:
        case T_INT:
        case T_LONG:
        case T_FLOAT:
        case T_DOUBLE:
        case T_STRING:
        case K_IMPORT:
        case K_NULL:
        case K_NEW:
        case K_THIS:
        case K_VOID:
        case P_LPAREN:
        case P_DOT:
        case P_MINUS:
        case P_PLUS:
        case P_TILDE:
        case P_BANG:
        case P_INC:
        case P_DEC:
                return true;
        default:
                return false;
        }
}

/* "(a, b)". In the original, commas between arguments could be left out. */
static void parse_arguments(struct parser *p, struct node *call)
{
        if (!expect(p, P_LPAREN) || !enter(p)) {
                call->kind = E_BAD;
                return;
        }
        struct node **end = &call->list;
        unsigned n = 0;
        while (!is_at(p, P_RPAREN)) {
                if (n && !eat(p, P_COMMA)) {
                        if (!begins_expression(p))
                                break;
                        if (!p->bad)
                                warn_at(p->source, p->now.at, "no ',' before this argument");
                } else if (!n && is_at(p, P_COMMA)) {
                        advance(p); /* the original took this, too */
                }
                if (!begins_expression(p)) {
                        unexpected(p, "an argument");
                        break;
                }
                struct node *argument = parse_expression(p);
                adopt(call, argument);
                *end = argument;
                end = &argument->next;
                n++;
                if (p->bad)
                        break;
        }
        expect(p, P_RPAREN);
        leave(p);
}

static struct node *parse_new(struct parser *p)
{
        struct node *node = node_here(p, E_NEW);
        advance(p);
        if (is_at(p, P_STAR)) {
                advance(p);
                node->kind = E_NEW_NAMED;
                if (!expect(p, P_LPAREN))
                        return bad_node(p);
                node->a = parse_expression(p);
                adopt(node, node->a);
                expect(p, P_RPAREN);
                if (eat(p, P_COLON))
                        node->type = parse_type(p);
        } else {
                node->type = parse_type(p);
        }
        if (p->bad)
                return bad_node(p);
        parse_arguments(p, node);
        return node;
}

/* "void( var a, var b : T ) { ... }": a method without a name. */
static struct node *parse_closure(struct parser *p)
{
        struct node *node = node_here(p, E_CLOSURE), **end = &node->list;
        advance(p);
        if (!enter(p) || !expect(p, P_LPAREN)) {
                leave(p);
                return bad_node(p);
        }
        while (!is_at(p, P_RPAREN)) {
                if ((node->list && !expect(p, P_COMMA)) || !is_at(p, K_VAR)) {
                        unexpected(p, "'var', the name of a parameter, ':' and its type");
                        break;
                }
                struct node *parameter = node_here(p, S_VAR);
                advance(p);
                parameter->at = p->now.at;
                if (!is_at(p, T_IDENT)) {
                        unexpected(p, "the name of a parameter");
                        break;
                }
                parameter->name = p->now.name;
                for (struct node *other = node->list; other; other = other->next)
                        if (other->name == parameter->name)
                                error_at(p->source, parameter->at, "a parameter of the name '%s' is there already",
                                         parameter->name->text);
                advance(p);
                if (eat(p, P_COLON))
                        parameter->type = parse_type(p);
                if (p->bad)
                        break;
                *end = parameter;
                end = &parameter->next;
        }
        if (!p->bad && expect(p, P_RPAREN)) {
                node->closures = closure_begin(p);
                node->a = parse_block(p);
                node->a->closures = node->closures->inner;
                closure_end(p);
        }
        leave(p);
        return node->a ? node : bad_node(p);
}

/* Is this '(' the beginning of a cast: "(T)e"? */
static bool begins_cast(struct parser *p)
{
        struct lexer lexer = p->lexer;
        bool quiet = text_quiet;
        text_quiet = true;
        struct token token = lex_next(&lexer), type = token;
        bool yes =
                (token.kind == T_IDENT || token.kind == P_DOT) && skip_type(&lexer, &token) && token.kind == P_RPAREN;
        if (yes) {
                bool number = type.kind == T_IDENT && (type.name == known.name_int || type.name == known.name_long ||
                                                       type.name == known.name_float || type.name == known.name_double);
                token = lex_next(&lexer);
                switch (token.kind) {
                case T_IDENT:
                        yes = token.name != known.instanceof ;
                        break;
                case T_INT:
                case T_LONG:
                case T_FLOAT:
                case T_DOUBLE:
                case T_STRING:
                case K_IMPORT:
                case K_NULL:
                case K_NEW:
                case K_THIS:
                case P_LPAREN:
                        break;
                case P_MINUS:
                case P_TILDE:
                case P_BANG:
                        yes = number;
                        break;
                default:
                        yes = false;
                }
        }
        text_quiet = quiet;
        return yes;
}

static struct node *parse_primary(struct parser *p)
{
        struct node *node;
        switch (p->now.kind) {
        case T_INT:
        case T_LONG:
                node = node_here(p, is_at(p, T_INT) ? E_INT : E_LONG);
                node->integer = p->now.integer;
                node->flag = p->now.kind == T_LONG && p->now.integer == (int64_t)INT32_MAX + 1 &&
                             p->source->text[p->now.at + p->now.len - 1] < 'A';
                advance(p);
                return node;
        case T_FLOAT:
        case T_DOUBLE:
                node = node_here(p, is_at(p, T_FLOAT) ? E_FLOAT : E_DOUBLE);
                node->real = p->now.real;
                advance(p);
                return node;
        case T_STRING:
                node = node_here(p, E_STRING);
                node->name = p->now.name;
                if (p->now.broken)
                        p->bad = p->any_bad = true;
                advance(p);
                return node;
        case K_IMPORT:
                node = node_here(p, E_IMPORT);
                advance(p);
                if (!is_at(p, T_STRING)) {
                        unexpected(p, "the name of a file in quotes");
                        return bad_node(p);
                }
                node->name = p->now.name;
                advance(p);
                return node;
        case K_NULL:
        case K_THIS:
                node = node_here(p, is_at(p, K_NULL) ? E_NULL : E_THIS);
                advance(p);
                return node;
        case T_IDENT:
                node = node_here(p, p->now.name == known.name_super ? E_SUPER : E_NAME);
                node->name = p->now.name;
                mention(p, node->name);
                advance(p);
                return node;
        case K_NEW:
                return parse_new(p);
        case K_VOID:
                if (peek(p).kind == P_LPAREN)
                        return parse_closure(p);
                unexpected(p, "an expression");
                return bad_node(p);
        case P_DOT: { /* .a.b.method(...) or .a.b.field */
                node = node_here(p, E_CLASSNAME);
                struct name *name = parse_name(p, false);
                if (!name)
                        return bad_node(p);
                const char *dot = strrchr(name->text, '.');
                if (dot == name->text) {
                        unexpected(p, "'.' and a method or a field of that class");
                        return bad_node(p);
                }
                node->name = name_of(name->text, (size_t)(dot - name->text));
                struct node *member = node_new(is_at(p, P_LPAREN) ? E_CALL : E_FIELD, node->at, node->line);
                member->a = node;
                member->name = name_cstr(dot + 1);
                if (member->kind == E_CALL)
                        parse_arguments(p, member);
                return member;
        }
        case P_LPAREN:
                if (!enter(p)) {
                        leave(p);
                        return bad_node(p);
                }
                if (begins_cast(p)) {
                        node = node_here(p, E_CAST);
                        advance(p);
                        node->type = parse_type(p);
                        expect(p, P_RPAREN);
                        node->a = parse_unary(p);
                        adopt(node, node->a);
                } else {
                        advance(p);
                        node = parse_expression(p);
                        expect(p, P_RPAREN);
                        node->paren = true;
                }
                leave(p);
                return node;
        default:
                unexpected(p, "an expression");
                return bad_node(p);
        }
}

static bool is_place(struct node *node)
{
        return node->kind == E_NAME || node->kind == E_FIELD || node->kind == E_INDEX || node->kind == E_BAD;
}

static struct node *parse_postfix(struct parser *p)
{
        struct node *node = parse_primary(p);
        unsigned chain = 0;
        while (!p->bad) {
                if (++chain > MAX_CHAIN) {
                        error_at(p->source, p->now.at, "more than %d calls in a row", MAX_CHAIN);
                        p->bad = p->any_bad = true;
                        return bad_node(p);
                }
                struct node *outer;
                if (is_at(p, P_DOT)) {
                        outer = node_here(p, E_CALL);
                        outer->a = node;
                        adopt(outer, node);
                        advance(p);
                        outer->at = p->now.at;
                        if (is_word(p->now.kind) || is_at(p, T_STRING)) {
                                outer->name = p->now.name;
                                advance(p);
                                if (is_at(p, P_LPAREN))
                                        parse_arguments(p, outer);
                                else
                                        outer->kind = E_FIELD;
                        } else if (is_at(p, T_INT)) {
                                outer->kind = E_CALL_ORDINAL;
                                outer->integer = p->now.integer;
                                advance(p);
                                parse_arguments(p, outer);
                        } else if (is_at(p, P_STAR) || is_at(p, P_LPAREN)) {
                                outer->kind = E_CALL_NAMED;
                                eat(p, P_STAR);
                                if (!expect(p, P_LPAREN))
                                        return bad_node(p);
                                outer->b = parse_expression(p);
                                adopt(outer, outer->b);
                                expect(p, P_RPAREN);
                                parse_arguments(p, outer);
                        } else {
                                unexpected(p, "the name of a method or a field, or the ordinal of a method");
                                return bad_node(p);
                        }
                } else if (is_at(p, P_LPAREN)) {
                        if (node->kind != E_NAME && node->kind != E_SUPER) {
                                unexpected(p, "an operator or the end of the expression");
                                return bad_node(p);
                        }
                        outer = node_new(E_CALL, node->at, node->line);
                        outer->name = node->name;
                        outer->a = node->kind == E_SUPER ? node : NULL;
                        parse_arguments(p, outer);
                } else if (is_at(p, P_LBRACKET)) {
                        outer = node_here(p, E_INDEX);
                        advance(p);
                        outer->a = node;
                        if (enter(p))
                                outer->b = parse_expression(p);
                        else
                                outer->b = bad_node(p);
                        leave(p);
                        adopt(outer, outer->a);
                        adopt(outer, outer->b);
                        expect(p, P_RBRACKET);
                } else if (is_at(p, P_INC) || is_at(p, P_DEC)) {
                        outer = node_here(p, E_INCREMENT);
                        outer->op = (uint8_t)p->now.kind;
                        outer->a = node;
                        assigned(outer);
                        if (!is_place(node))
                                error_at(p->source, p->now.at, "'%s' needs a variable, a field or an element before it",
                                         token_text(p->now.kind));
                        advance(p);
                } else {
                        break;
                }
                node = outer;
        }
        if (is_at(p, P_ASSIGN) || is_at(p, P_VASSIGN) || (p->now.kind >= P_ADD_SET && p->now.kind <= P_USHR_SET)) {
                struct node *assign = node_here(p, E_ASSIGN);
                assign->op = (uint8_t)p->now.kind;
                if (!is_place(node))
                        error_at(p->source, p->now.at, "'%s' needs a variable, a field or an element before it",
                                 token_text(p->now.kind));
                advance(p);
                assign->a = node;
                assigned(assign);
                if (enter(p))
                        assign->b = parse_expression(p);
                else
                        assign->b = bad_node(p);
                leave(p);
                return assign;
        }
        return node;
}

static struct node *parse_unary(struct parser *p)
{
        struct node *node;
        switch (p->now.kind) {
        case P_MINUS:
        case P_PLUS:
        case P_TILDE:
        case P_BANG:
        case P_INC:
        case P_DEC:
                if (!enter(p)) {
                        leave(p);
                        return bad_node(p);
                }
                node = node_here(p, is_at(p, P_BANG)                     ? E_NOT
                                    : is_at(p, P_INC) || is_at(p, P_DEC) ? E_INCREMENT
                                                                         : E_UNARY);
                node->op = (uint8_t)p->now.kind;
                advance(p);
                node->a = parse_unary(p);
                adopt(node, node->a);
                if (node->kind == E_INCREMENT) {
                        node->flag = true;
                        assigned(node);
                        if (!is_place(node->a))
                                error_at(p->source, node->at, "'%s' needs a variable, a field or an element behind it",
                                         token_text(node->op));
                }
                leave(p);
                return node;
        default:
                return parse_postfix(p);
        }
}

/* How tight an operator binds, as in the original. */
static int tightness(struct token *token)
{
        switch (token->kind) {
        case P_EQ:
        case P_NE:
        case P_LT:
        case P_GT:
        case P_LE:
        case P_GE:
                return 4;
        case T_IDENT:
                return token->name == known.instanceof ? 4 : 0;
        case P_SAME:
        case P_NSAME:
                return 5;
        case P_SHL:
        case P_SHR:
        case P_USHR:
                return 6;
        case P_PLUS:
        case P_MINUS:
                return 7;
        case P_STAR:
        case P_SLASH:
        case P_PERCENT:
                return 8;
        case P_AMP:
        case P_BAR:
        case P_CARET:
                return 9;
        default:
                return 0;
        }
}

/* The same as readers of C expect it. */
static int tightness_c(enum token_kind op, int original)
{
        return op == P_BAR ? 1 : op == P_CARET ? 2 : op == P_AMP ? 3 : original;
}

struct chain {
        struct node **operands;
        uint32_t *begin, *end; /* of the operands in the source */
        struct token *ops;
        int *tight;
        unsigned nops;
        size_t cap;
};

/* Order in which the operators are applied, by a stack of them. */
static void chain_order(struct chain *c, bool as_c, unsigned *order)
{
        unsigned *stack = arena_alloc(&passing, (c->nops + 1) * sizeof(*stack)), n = 0, out = 0;
        for (unsigned i = 0; i < c->nops; i++) {
                int tight = as_c ? tightness_c(c->ops[i].kind, c->tight[i]) : c->tight[i];
                while (n) {
                        unsigned top = stack[n - 1];
                        if ((as_c ? tightness_c(c->ops[top].kind, c->tight[top]) : c->tight[top]) < tight)
                                break;
                        order[out++] = stack[--n];
                }
                stack[n++] = i;
        }
        while (n)
                order[out++] = stack[--n];
}

/* The chain with parentheses, as applied in this order. */
static const char *chain_text(struct parser *p, struct chain *c, const unsigned *order)
{
        unsigned *opened = arena_alloc(&passing, (c->nops + 1) * sizeof(*opened));
        unsigned *closed = arena_alloc(&passing, (c->nops + 1) * sizeof(*closed));
        unsigned *left = arena_alloc(&passing, (c->nops + 1) * sizeof(*left)),
                 *right = arena_alloc(&passing, (c->nops + 1) * sizeof(*right));
        for (unsigned i = 0; i <= c->nops; i++)
                left[i] = right[i] = i;
        for (unsigned k = 0; k + 1 < c->nops; k++) { /* not around the whole */
                unsigned i = order[k], from = left[i], to = right[i + 1];
                opened[from]++;
                closed[to]++;
                right[from] = to;
                left[to] = from;
                right[i] = to;
                left[i + 1] = from;
                for (unsigned j = from; j <= to; j++) {
                        left[j] = from;
                        right[j] = to;
                }
        }
        size_t len = 0, room = 200;
        char *text = arena_alloc(&passing, room + 80);
        for (unsigned i = 0; i <= c->nops && len < room; i++) {
                unsigned size = c->end[i] - c->begin[i];
                bool whole = size <= 20 && !memchr(p->source->text + c->begin[i], '\n', size);
                for (unsigned k = 0; k < opened[i] && len < room; k++)
                        text[len++] = '(';
                len += (size_t)snprintf(text + len, 40, "%.*s", whole ? (int)size : 3,
                                        whole ? p->source->text + c->begin[i] : "...");
                for (unsigned k = 0; k < closed[i] && len < room; k++)
                        text[len++] = ')';
                if (i < c->nops)
                        len += (size_t)snprintf(text + len, 20, " %s ",
                                                c->ops[i].kind == T_IDENT ? "instanceof" : token_text(c->ops[i].kind));
        }
        if (len >= room)
                snprintf(text + room, 8, "...");
        return text;
}

static struct node *chain_tree(struct chain *c, const unsigned *order)
{
        unsigned *right = arena_alloc(&passing, (c->nops + 1) * sizeof(*right)),
                 *left = arena_alloc(&passing, (c->nops + 1) * sizeof(*left));
        for (unsigned i = 0; i <= c->nops; i++)
                left[i] = right[i] = i;
        /* operands[first of a group] is its tree; left[last] and right[first] are a group's ends */
        for (unsigned k = 0; k < c->nops; k++) {
                unsigned i = order[k], from = left[i], to = right[i + 1];
                struct token *op = &c->ops[i];
                struct node *node = node_new(op->kind == T_IDENT ? E_INSTANCEOF : E_BINARY, op->at, op->line);
                node->op = (uint8_t)op->kind;
                node->a = c->operands[from];
                node->b = c->operands[i + 1];
                if (node->kind == E_INSTANCEOF)
                        node->type = node->b->type;
                adopt(node, node->a);
                adopt(node, node->b);
                c->operands[from] = node;
                right[from] = to;
                left[to] = from;
        }
        return c->operands[0];
}

static struct node *parse_binary(struct parser *p)
{
        uint32_t begin = p->now.at;
        struct node *first = parse_unary(p);
        while (is_at(p, P_TILDE) && !p->bad) { /* the original wrote it behind */
                struct node *node = node_here(p, E_UNARY);
                node->op = P_TILDE;
                node->a = first;
                adopt(node, first);
                first = node;
                advance(p);
                if (!enter(p))
                        return bad_node(p);
        }
        int tight = tightness(&p->now);
        if (!tight || p->bad)
                return first;

        struct chain c = {.cap = 8};
        c.operands = arena_alloc(&passing, (c.cap + 1) * sizeof(*c.operands));
        c.begin = arena_alloc(&passing, (c.cap + 1) * sizeof(*c.begin));
        c.end = arena_alloc(&passing, (c.cap + 1) * sizeof(*c.end));
        c.ops = arena_alloc(&passing, c.cap * sizeof(*c.ops));
        c.tight = arena_alloc(&passing, c.cap * sizeof(*c.tight));
        c.operands[0] = first;
        c.begin[0] = begin;
        c.end[0] = p->before_end;
        bool bits = false;
        while ((tight = tightness(&p->now)) && !p->bad) {
                if (c.nops == c.cap) {
                        if (c.cap >= MAX_CHAIN) {
                                error_at(p->source, p->now.at, "more than %d operators in a row", MAX_CHAIN);
                                p->bad = p->any_bad = true;
                                return bad_node(p);
                        }
                        size_t more = c.cap * 4;
#define MORE(field, extra)                                                                                             \
        do {                                                                                                           \
                void *bigger = arena_alloc(&passing, (more + (extra)) * sizeof(*c.field));                             \
                memcpy(bigger, c.field, (c.cap + (extra)) * sizeof(*c.field));                                         \
                c.field = bigger;                                                                                      \
        } while (0)
                        MORE(operands, 1);
                        MORE(begin, 1);
                        MORE(end, 1);
                        MORE(ops, 0);
                        MORE(tight, 0);
                        c.cap = more;
                }
                c.ops[c.nops] = p->now;
                c.tight[c.nops++] = tight;
                bits |= tight == 9;
                bool type = p->now.kind == T_IDENT;
                advance(p);
                c.begin[c.nops] = p->now.at;
                if (type) {
                        struct node *node = node_here(p, E_BAD);
                        node->type = parse_type(p);
                        c.operands[c.nops] = node;
                } else {
                        struct node *node = parse_unary(p);
                        while (is_at(p, P_TILDE) && !p->bad) {
                                struct node *outer = node_here(p, E_UNARY);
                                outer->op = P_TILDE;
                                outer->a = node;
                                adopt(outer, node);
                                node = outer;
                                advance(p);
                                if (!enter(p))
                                        return bad_node(p);
                        }
                        c.operands[c.nops] = node;
                }
                c.end[c.nops] = p->before_end;
        }
        unsigned *order = arena_alloc(&passing, c.nops * sizeof(*order));
        chain_order(&c, false, order);
        if (bits && c.nops > 1 && !p->original && !p->bad) {
                unsigned *other = arena_alloc(&passing, c.nops * sizeof(*other));
                chain_order(&c, true, other);
                if (memcmp(order, other, c.nops * sizeof(*order)) != 0) {
                        unsigned which = 0;
                        while (c.tight[which] != 9)
                                which++;
                        error_at(p->source, c.ops[which].at,
                                 "parentheses expected: this is '%s' in the original, '%s' as in C",
                                 chain_text(p, &c, order), chain_text(p, &c, other));
                        p->any_bad = true;
                }
        }
        return chain_tree(&c, order);
}

static const char *shown(enum node_kind kind)
{
        return kind == E_AND ? "&&" : "||";
}

static struct node *parse_logical(struct parser *p)
{
        if (is_at(p, P_BANG)) {
                struct node *node = node_here(p, E_NOT);
                advance(p);
                if (!enter(p)) {
                        leave(p);
                        return bad_node(p);
                }
                node->a = parse_logical(p);
                leave(p);
                adopt(node, node->a);
                if (!node->a->paren && (node->a->kind == E_AND || node->a->kind == E_OR))
                        warn_at(p->source, node->at,
                                "'!' applies to all of what follows, behind '%s' too: parentheses would say so",
                                shown(node->a->kind));
                return node;
        }
        struct node *node = parse_binary(p);
        unsigned chain = 0;
        while ((is_at(p, P_AND) || is_at(p, P_OR)) && !p->bad) {
                struct node *outer = node_here(p, is_at(p, P_AND) ? E_AND : E_OR);
                if (++chain > MAX_CHAIN) {
                        error_at(p->source, p->now.at, "more than %d operators in a row", MAX_CHAIN);
                        p->bad = p->any_bad = true;
                        return bad_node(p);
                }
                if (outer->kind == E_AND && node->kind == E_OR && !node->paren)
                        warn_at(p->source, outer->at,
                                "'||' and '&&' bind alike, from left to right: parentheses would say so");
                advance(p);
                outer->a = node;
                if (is_at(p, P_BANG)) {
                        outer->b = node_here(p, E_NOT);
                        advance(p);
                        outer->b->a = parse_binary(p);
                        adopt(outer->b, outer->b->a);
                } else {
                        outer->b = parse_binary(p);
                }
                adopt(outer, outer->a);
                adopt(outer, outer->b);
                node = outer;
        }
        return node;
}

static struct node *parse_expression(struct parser *p)
{
        if (!enter(p)) {
                leave(p);
                return bad_node(p);
        }
        uint32_t depth = p->depth;
        struct node *node = parse_logical(p);
        if (is_at(p, P_QUESTION) && !p->bad) {
                struct node *outer = node_here(p, E_CONDITION);
                advance(p);
                outer->a = node;
                outer->b = parse_expression(p);
                outer->c = expect(p, P_COLON) ? parse_expression(p) : bad_node(p);
                adopt(outer, outer->a);
                adopt(outer, outer->b);
                adopt(outer, outer->c);
                node = outer;
        }
        p->depth = depth;
        leave(p);
        return node;
}

/* ---- statements ---- */

static struct node *parse_block_body(struct parser *p, struct node *block)
{
        struct node **end = &block->list;
        while (!is_at(p, P_RBRACE) && !is_at(p, T_END)) {
                uint32_t at = p->now.at;
                struct node *statement = parse_statement(p);
                *end = statement;
                end = &statement->next;
                if (p->bad) {
                        synchronise(p, at);
                        if (p->now.at == at && !is_at(p, P_RBRACE))
                                advance(p); /* nobody wants this token */
                }
        }
        return block;
}

static struct node *parse_block(struct parser *p)
{
        struct node *block = node_here(p, S_BLOCK);
        uint32_t open = p->now.at;
        expect(p, P_LBRACE);
        parse_block_body(p, block);
        if (is_at(p, T_END) && !p->bad) {
                bool told = p->hopeless;
                syntax_error(p, p->now.at, "'}'");
                if (!told)
                        note_at(p->source, open, "for this '{'");
        } else {
                expect(p, P_RBRACE);
        }
        return block;
}

static struct node *parse_declaration(struct parser *p, bool var)
{
        struct node *node = node_here(p, S_VAR);
        struct typeref *type = NULL;
        if (var)
                advance(p);
        else
                type = parse_type(p);
        node->at = p->now.at;
        if (!is_at(p, T_IDENT)) {
                unexpected(p, "the name of a variable");
                return node;
        }
        node->name = p->now.name;
        advance(p);
        if (var && eat(p, P_COLON))
                type = parse_type(p);
        parse_attributes(p, NULL);
        node->type = type;
        if (eat(p, P_ASSIGN))
                node->a = parse_expression(p);
        return node;
}

static struct node *parenthesised(struct parser *p)
{
        if (!expect(p, P_LPAREN))
                return bad_node(p);
        struct node *node = parse_expression(p);
        expect(p, P_RPAREN);
        return node;
}

static struct node *parse_simple(struct parser *p)
{
        if (is_at(p, K_VAR))
                return parse_declaration(p, true);
        if (declares(p))
                return parse_declaration(p, false);
        struct node *node = node_here(p, S_EXPRESSION);
        node->a = parse_expression(p);
        return node;
}

static struct node *parse_foreach(struct parser *p, struct node *node)
{
        node->kind = S_FOREACH;
        if (!expect(p, P_LPAREN))
                return node;
        node->flag = eat(p, K_VAR);
        if (!node->flag && is_at(p, T_IDENT) && peek(p).kind != K_IN && peek(p).kind != P_COLON) {
                node->flag = true;
                node->type = parse_type(p);
        }
        node->at = p->now.at;
        if (!is_at(p, T_IDENT)) {
                unexpected(p, "the name of a variable");
                return node;
        }
        node->name = p->now.name;
        if (!node->flag) {
                mention(p, node->name);
                node->name->assigned = method_id;
        }
        advance(p);
        if (node->flag && eat(p, P_COLON))
                node->type = parse_type(p);
        if (!expect(p, K_IN))
                return node;
        node->a = parse_expression(p);
        if (expect(p, P_RPAREN))
                node->b = parse_statement(p);
        return node;
}

static struct node *parse_switch(struct parser *p, struct node *node)
{
        node->kind = S_SWITCH;
        node->a = parenthesised(p);
        uint32_t open = p->now.at;
        if (!expect(p, P_LBRACE))
                return node;
        struct node **end = &node->list;
        while (!is_at(p, P_RBRACE) && !is_at(p, T_END)) {
                struct node *statement;
                uint32_t at = p->now.at;
                if (is_at(p, K_CASE) || is_at(p, K_DEFAULT)) {
                        statement = node_here(p, S_CASE);
                        bool value = is_at(p, K_CASE);
                        advance(p);
                        if (value)
                                statement->a = parse_expression(p);
                        expect(p, P_COLON);
                } else {
                        statement = parse_statement(p);
                }
                *end = statement;
                end = &statement->next;
                if (p->bad) {
                        synchronise(p, at);
                        if (p->now.at == at && !is_at(p, P_RBRACE))
                                advance(p);
                }
        }
        if (is_at(p, T_END) && !p->bad) {
                bool told = p->hopeless;
                syntax_error(p, p->now.at, "'}'");
                if (!told)
                        note_at(p->source, open, "for this '{'");
        } else {
                expect(p, P_RBRACE);
        }
        return node;
}

static struct node *parse_try(struct parser *p, struct node *node)
{
        node->kind = S_TRY;
        node->a = parse_statement(p);
        struct node **end = &node->list;
        while (is_at(p, K_CATCH) && !p->bad) {
                struct node *handler = node_here(p, S_CATCH);
                advance(p);
                if (!expect(p, P_LPAREN))
                        return node;
                bool var = eat(p, K_VAR);
                if (!var)
                        handler->type = parse_type(p);
                handler->at = p->now.at;
                if (!is_at(p, T_IDENT)) {
                        unexpected(p, "a type and a name ('var e' for everything) for what is caught");
                        return node;
                }
                handler->name = p->now.name;
                advance(p);
                if (var && eat(p, P_COLON))
                        handler->type = parse_type(p);
                if (!expect(p, P_RPAREN))
                        return node;
                handler->a = parse_statement(p);
                *end = handler;
                end = &handler->next;
        }
        if (eat(p, K_FINALLY))
                node->b = parse_statement(p);
        if (!node->list && !node->b)
                unexpected(p, "'catch' or 'finally'");
        return node;
}

/* What a source of another language has, and we say by name. */
static struct node *parse_statement(struct parser *p)
{
        struct node *node = node_here(p, S_EMPTY);
        if (!enter(p)) {
                leave(p);
                return node;
        }
        uint32_t depth = p->depth;
        switch (p->now.kind) {
        case P_LBRACE:
                node = parse_block(p);
                break;
        case P_SEMICOLON:
                advance(p);
                break;
        case K_IF: {
                /* "else if" in a loop: such chains may be long. */
                struct node *last = node;
                for (;;) {
                        advance(p);
                        last->kind = S_IF;
                        last->a = parenthesised(p);
                        if (p->bad)
                                break;
                        last->b = parse_statement(p);
                        if (p->bad || !eat(p, K_ELSE))
                                break;
                        if (!is_at(p, K_IF)) {
                                last->c = parse_statement(p);
                                break;
                        }
                        last->c = node_here(p, S_IF);
                        last = last->c;
                }
                break;
        }
        case K_WHILE:
                node->kind = S_WHILE;
                advance(p);
                node->a = parenthesised(p);
                if (!p->bad)
                        node->b = parse_statement(p);
                break;
        case K_DO:
                node->kind = S_DO;
                advance(p);
                node->a = parse_statement(p);
                if (!p->bad && expect(p, K_WHILE)) {
                        node->b = parenthesised(p);
                        if (!p->bad && !eat(p, P_SEMICOLON))
                                node->c = parse_statement(p);
                }
                break;
        case K_FOR:
                node->kind = S_FOR;
                advance(p);
                if (!expect(p, P_LPAREN))
                        break;
                if (!is_at(p, P_SEMICOLON))
                        node->a = parse_simple(p);
                if (!expect(p, P_SEMICOLON))
                        break;
                if (!is_at(p, P_SEMICOLON))
                        node->b = parse_expression(p);
                if (!expect(p, P_SEMICOLON))
                        break;
                if (!is_at(p, P_RPAREN)) {
                        node->c = node_here(p, S_EXPRESSION);
                        node->c->a = parse_expression(p);
                }
                if (expect(p, P_RPAREN))
                        node->list = parse_statement(p);
                break;
        case K_FOREACH:
                advance(p);
                parse_foreach(p, node);
                break;
        case K_SWITCH:
                advance(p);
                parse_switch(p, node);
                break;
        case K_TRY:
                advance(p);
                parse_try(p, node);
                break;
        case K_BREAK:
        case K_CONTINUE:
                node->kind = is_at(p, K_BREAK) ? S_BREAK : S_CONTINUE;
                advance(p);
                expect(p, P_SEMICOLON);
                break;
        case K_RETURN:
                node->kind = S_RETURN;
                advance(p);
                if (is_at(p, P_RBRACE))
                        unexpected(p, "';', or what is returned,");
                else if (!is_at(p, P_SEMICOLON))
                        node->a = parse_expression(p);
                expect(p, P_SEMICOLON);
                break;
        case K_THROW:
                node->kind = S_THROW;
                advance(p);
                node->a = parse_expression(p);
                expect(p, P_SEMICOLON);
                break;
        case K_CATCH:
        case K_FINALLY:
                unexpected(p, "a statement ('try' goes before 'catch' and 'finally')");
                break;
        case K_ELSE:
                unexpected(p, "a statement ('if' goes before 'else')");
                break;
        case K_CASE:
        case K_DEFAULT:
                unexpected(p, "a statement ('case' and 'default' stand in the braces of a switch)");
                advance(p);
                break;
        default:
                node = parse_simple(p);
                expect(p, P_SEMICOLON);
        }
        p->depth = depth;
        leave(p);
        return node;
}

/* ---- classes ---- */

static void parse_parameters(struct parser *p, struct method *method)
{
        struct parameter found[PVM_MAX_ARGS];
        unsigned n = 0;
        if (!expect(p, P_LPAREN))
                return;
        while (!is_at(p, P_RPAREN)) {
                if (n && !expect(p, P_COMMA))
                        return;
                if (!eat(p, K_VAR)) {
                        unexpected(p, "'var', the name of a parameter, ':' and its type");
                        return;
                }
                struct parameter parameter = {.at = p->now.at};
                if (!is_at(p, T_IDENT)) {
                        unexpected(p, "the name of a parameter");
                        return;
                }
                parameter.name = p->now.name;
                advance(p);
                if (eat(p, P_COLON))
                        parameter.ref = parse_type_in(p, &permanent);
                parse_attributes(p, NULL);
                if (p->bad)
                        return;
                for (unsigned i = 0; i < n; i++)
                        if (found[i].name == parameter.name)
                                error_at(p->source, parameter.at, "a parameter of the name '%s' is there already",
                                         parameter.name->text);
                if (n == PVM_MAX_ARGS - 1) {
                        error_at(p->source, parameter.at, "more than %u parameters", PVM_MAX_ARGS - 1);
                        p->bad = p->any_bad = true;
                        return;
                }
                found[n++] = parameter;
        }
        advance(p);
        method->nparameters = n;
        method->parameters = arena_alloc(&permanent, n * sizeof(*found));
        if (n)
                memcpy(method->parameters, found, n * sizeof(*found));
}

/* private, static, const...: words of ours, so they are modifiers only where a member follows. */
static uint16_t parse_modifiers(struct parser *p)
{
        uint16_t flags = 0;
        for (;;) {
                uint16_t flag;
                if (is_at(p, K_PUBLIC)) {
                        flag = PVM_PUBLIC;
                } else if (is_at(p, T_IDENT)) {
                        struct name *name = p->now.name;
                        flag = name == known.name_private    ? PVM_PRIVATE
                               : name == known.name_static   ? PVM_STATIC
                               : name == known.name_const    ? PVM_CONST
                               : name == known.name_final    ? PVM_FINAL
                               : name == known.name_abstract ? PVM_ABSTRACT
                                                             : 0;
                        if (!flag)
                                return flags;
                        enum token_kind next = peek(p).kind;
                        if (next != T_IDENT && next != K_VAR && next != K_VOID && next != P_DOT && next != K_PUBLIC &&
                            next != P_STAR && next != K_CLASS)
                                return flags;
                } else {
                        return flags;
                }
                if (flags & flag)
                        error_at(p->source, p->now.at, "this word is there twice");
                if ((flags | flag) == (flags | PVM_PUBLIC | PVM_PRIVATE))
                        error_at(p->source, p->now.at, "'public' and 'private' exclude each other");
                flags |= flag;
                advance(p);
        }
}

static void parse_field(struct parser *p, struct cls *cls, struct name *name, uint32_t at, uint32_t line,
                        struct typeref *ref, uint16_t flags)
{
        bool interface = cls->flags & PVM_CLASS_INTERFACE;
        if (interface && !(flags & PVM_STATIC))
                error_at(p->source, at, "an interface has no fields but static ones");
        if (flags & PVM_ABSTRACT)
                error_at(p->source, at, "a field is not 'abstract'");
        struct field *before = field_find(cls, name);
        if (before) {
                error_at(p->source, at, "a field of the name '%s' is there already", name->text);
                note_at(p->source, before->at, "here");
        }
        struct field *field = field_add(cls, name);
        field->at = at;
        field->line = line;
        field->ref = ref;
        field->flags = flags & PVM_FIELD_FLAGS;
        field->attributes = parse_attributes(p, NULL);
        if (is_at(p, P_ASSIGN)) {
                advance(p);
                field->init_at = p->now.at;
                field->init_line = p->now.line;
                field->has_init = true;
                struct mark mark = arena_mark(&passing);
                p->any_bad = false;
                closure_begin(p);
                parse_expression(p);
                closure_end(p);
                if (p->any_bad)
                        field->has_init = false;
                arena_release(&passing, mark);
        } else if (flags & PVM_CONST && flags & PVM_STATIC) {
                error_at(p->source, at, "a static const needs its value: '= ...' expected");
        }
        expect(p, P_SEMICOLON);
}

static void parse_method(struct parser *p, struct cls *cls, struct name *name, uint32_t at, uint32_t line,
                         struct typeref *ref, uint16_t flags, struct name *attributes)
{
        bool interface = cls->flags & PVM_CLASS_INTERFACE;
        bool constructor = name == cls->last && ref->is_void && !ref->dims;
        struct method *method = method_add(cls, constructor ? known.constructor : name);
        method->at = at;
        method->line = line;
        method->ref = ref;
        method->flags = flags & PVM_METHOD_FLAGS;
        method->ordinal = PVM_NO_ORDINAL;
        if (flags & PVM_CONST)
                error_at(p->source, at, "a method is not 'const'");
        if (constructor) {
                cls->has_constructor = true;
                if (interface || flags & (PVM_STATIC | PVM_ABSTRACT))
                        error_at(p->source, at,
                                 interface ? "an interface has no constructor"
                                           : "a constructor is neither static nor abstract");
        }
        parse_parameters(p, method);
        if (!p->bad && is_at(p, P_LBRACKET)) {
                advance(p);
                if (!is_at(p, T_INT)) {
                        unexpected(p, "the ordinal of the method");
                } else {
                        if (p->now.integer < 0 || p->now.integer >= PVM_NO_ORDINAL)
                                error_at(p->source, p->now.at, "an ordinal is a number from 0 to %u",
                                         PVM_NO_ORDINAL - 1);
                        else
                                method->ordinal = (uint16_t)p->now.integer;
                        advance(p);
                        expect(p, P_RBRACKET);
                }
        }
        method->attributes = parse_attributes(p, attributes);
        if (p->bad) {
                method->bad = true;
                return;
        }
        if (is_at(p, P_SEMICOLON) && ((interface && !(flags & PVM_STATIC)) || flags & PVM_ABSTRACT)) {
                method->flags |= PVM_ABSTRACT;
                advance(p);
                return;
        }
        if (!is_at(p, P_LBRACE)) {
                unexpected(p, interface              ? "';'"
                              : flags & PVM_ABSTRACT ? "';' (the method is abstract)"
                                                     : "'{' and the body of the method");
                method->bad = true;
                return;
        }
        if (flags & PVM_ABSTRACT || (interface && !(flags & PVM_STATIC))) {
                error_at(p->source, p->now.at,
                         interface ? "the methods of an interface have no body: ';' expected"
                                   : "an abstract method has no body: ';' expected");
                method->bad = true;
        }
        method->body_at = p->now.at;
        method->body_line = p->now.line;
        method->has_body = true;
        struct mark mark = arena_mark(&passing);
        p->any_bad = false;
        closure_begin(p);
        parse_block(p);
        closure_end(p);
        method->bad |= p->any_bad;
        arena_release(&passing, mark);
}

static void parse_member(struct parser *p, struct cls *cls)
{
        struct name *attributes = is_at(p, K_ATTRIBUTE) ? parse_attributes(p, NULL) : NULL;
        if (attributes)
                eat(p, P_SEMICOLON);
        if (eat(p, P_SEMICOLON) || is_at(p, P_RBRACE))
                return;
        uint16_t flags = parse_modifiers(p);
        if (eat(p, K_VAR)) {
                struct name *name = p->now.name;
                uint32_t at = p->now.at, line = p->now.line;
                struct typeref *ref = NULL;
                if (!is_at(p, T_IDENT)) {
                        unexpected(p, "the name of a field");
                        return;
                }
                advance(p);
                if (eat(p, P_COLON))
                        ref = parse_type_in(p, &permanent);
                if (!p->bad)
                        parse_field(p, cls, name, at, line, ref, flags);
                return;
        }
        if (!is_at(p, T_IDENT) && !is_at(p, P_DOT) && !is_at(p, K_VOID) && !is_at(p, P_STAR) && !is_at(p, T_STRING)) {
                unexpected(p, "a field ('var name : type;'), a method ('type name(...) {...}') or '}'");
                return;
        }
        struct typeref *ref = parse_type_in(p, &permanent);
        attributes = parse_attributes(p, attributes);
        if (p->bad)
                return;
        struct name *name = p->now.name;
        uint32_t at = p->now.at, line = p->now.line;
        if (!is_at(p, T_IDENT)) {
                unexpected(p, "the name of a method or a field");
                return;
        }
        advance(p);
        if (is_at(p, P_LPAREN))
                parse_method(p, cls, name, at, line, ref, flags, attributes);
        else
                parse_field(p, cls, name, at, line, ref, flags);
}

static struct name *absolute_name(struct parser *p, struct name *name, uint32_t at)
{
        if (!name || name->text[0] == '.')
                return name;
        if (!p->source->package) {
                error_at(p->source, at,
                         "'%s' is a name in a package, and no package is given: 'package .some.name;' expected before, "
                         "or an absolute name",
                         name->text);
                return name_cat(".", name->text, "");
        }
        return name_cat(p->source->package->text, ".", name->text);
}

static void parse_heritage(struct parser *p, struct cls *cls)
{
        bool interface = cls->flags & PVM_CLASS_INTERFACE;
        struct interface_ref **end = &cls->interfaces;
        while (!p->bad && (is_at(p, K_EXTENDS) || is_at(p, K_IMPLEMENTS))) {
                bool extends = is_at(p, K_EXTENDS);
                advance(p);
                do {
                        uint32_t at = p->now.at;
                        if (is_at(p, P_LBRACE))
                                unexpected(p, "the name of a class");
                        struct name *name = p->bad ? NULL : parse_name(p, false);
                        if (!name)
                                return;
                        if (extends && !interface) {
                                if (cls->parent_name)
                                        error_at(p->source, at, "a class has one parent");
                                cls->parent_name = name;
                                cls->parent_at = at;
                        } else {
                                struct interface_ref *ref = arena_alloc(&permanent, sizeof(*ref));
                                ref->name = name;
                                ref->at = at;
                                *end = ref;
                                end = &ref->next;
                        }
                } while (eat(p, P_COMMA));
                parse_attributes(p, NULL);
        }
}

static void parse_class(struct parser *p, uint16_t flags)
{
        bool interface = is_at(p, K_INTERFACE);
        advance(p);
        uint32_t at = p->now.at, line = p->now.line;
        struct name *name = absolute_name(p, parse_name(p, false), at);
        if (!name)
                return;
        struct cls *there = class_find(name), *cls = there ? class_detached(name) : class_add(name);
        if (there && there->source) {
                error_at(p->source, at, "class '%s' is there already", name->text);
                note_at(there->source, there->at, "here");
        } else if (there) { /* the original's sources declare them */
                warn_at(p->source, at, "'%s' is a class of the machine: what is said of it here has no effect",
                        name->text);
        }
        cls->last = name_cstr(strrchr(name->text, '.') + 1);
        cls->source = p->source;
        cls->at = at;
        cls->line = line;
        cls->flags = (interface ? PVM_CLASS_INTERFACE : 0) | (flags & PVM_ABSTRACT ? PVM_CLASS_ABSTRACT : 0) |
                     (flags & PVM_FINAL ? PVM_CLASS_FINAL : 0);
        if (!there) {
                *p->run->classes_end = cls;
                p->run->classes_end = &cls->next;
        }
        cls->attributes = parse_attributes(p, NULL);
        parse_heritage(p, cls);
        cls->attributes = parse_attributes(p, cls->attributes);
        uint32_t open = p->now.at;
        if (p->bad || !expect(p, P_LBRACE))
                return;
        while (!is_at(p, P_RBRACE) && !is_at(p, T_END)) {
                uint32_t begin = p->now.at;
                parse_member(p, cls);
                if (p->bad) {
                        skip_to(p, begins_member);
                        if (is_at(p, K_CLASS) || is_at(p, K_INTERFACE))
                                return; /* a '}' was forgotten */
                        if (p->now.at == begin)
                                advance(p);
                }
        }
        if (is_at(p, T_END)) {
                bool told = p->hopeless;
                syntax_error(p, p->now.at, "'}'");
                if (!told)
                        note_at(p->source, open, "for this '{'");
        } else {
                advance(p);
        }
}

static void parse_import(struct parser *p)
{
        advance(p);
        uint32_t at = p->now.at;
        if (!is_at(p, P_DOT)) {
                unexpected(p, "an absolute name, as in 'import .some.class;',");
                return;
        }
        struct name *name = parse_name(p, true);
        if (!name)
                return;
        struct import *import = arena_alloc(&permanent, sizeof(*import));
        import->at = at;
        import->full = name;
        const char *dot = strrchr(name->text, '.');
        if (dot[1] == '*')
                import->full = name_of(name->text, (size_t)(dot - name->text));
        else
                import->last = name_cstr(dot + 1);
        import->next = p->source->imports;
        p->source->imports = import;
}

void parse_file(struct run *run, struct source *source)
{
        struct parser parser = {.source = source, .run = run, .original = run->original}, *p = &parser;
        lex_begin(&p->lexer, source, 0, 1);
        advance(p);
        while (!is_at(p, T_END)) {
                uint32_t at = p->now.at;
                p->depth = 0;
                uint16_t flags = parse_modifiers(p);
                switch (p->now.kind) {
                case K_PACKAGE: {
                        advance(p);
                        uint32_t where = p->now.at;
                        struct name *name = parse_name(p, false);
                        if (name && name->text[0] != '.')
                                name = name_cat(".", name->text, "");
                        if (name && source->package)
                                error_at(source, where, "the package is given already: '%s'", source->package->text);
                        else if (name)
                                source->package = name;
                        break;
                }
                case K_IMPORT:
                        parse_import(p);
                        break;
                case K_CLASS:
                case K_INTERFACE:
                        parse_class(p, flags);
                        break;
                case K_ATTRIBUTE:
                        parse_attributes(p, NULL);
                        break;
                case P_SEMICOLON:
                        break;
                default:
                        unexpected(p, "'package', 'import', 'attribute', 'class' or 'interface'");
                }
                if (!p->bad) {
                        if (is_at(p, P_SEMICOLON))
                                advance(p);
                        else
                                syntax_error(p, p->before_end, "';' behind each item of a file");
                }
                if (p->bad) {
                        while (!is_at(p, T_END) && !is_at(p, K_CLASS) && !is_at(p, K_INTERFACE) &&
                               !is_at(p, K_PACKAGE) && !is_at(p, K_IMPORT) && !is_at(p, K_ATTRIBUTE))
                                advance(p);
                        p->bad = false;
                        if (p->now.at == at && !is_at(p, T_END))
                                advance(p);
                }
        }
}

static void parse_again(struct parser *p, struct run *run, struct source *source, uint32_t at, uint32_t line)
{
        *p = (struct parser){.source = source, .run = run, .original = run->original};
        lex_begin(&p->lexer, source, at, line);
        closure_begin(p);
        text_quiet = true;
        advance(p);
}

struct node *parse_body(struct run *run, struct source *source, uint32_t at, uint32_t line)
{
        struct parser parser;
        parse_again(&parser, run, source, at, line);
        struct node *node = parse_block(&parser);
        node->closures = parser.closure->inner;
        text_quiet = false;
        return node;
}

struct node *parse_initialiser(struct run *run, struct source *source, uint32_t at, uint32_t line)
{
        struct parser parser;
        parse_again(&parser, run, source, at, line);
        struct node *node = parse_expression(&parser);
        text_quiet = false;
        return node;
}
