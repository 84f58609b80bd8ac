/*
 * list.h - intrusive doubly linked circular list. A head and a link are the same struct; an empty head points at itself.
 * list_del leaves the link pointing at itself, so that list_empty(&link) tells whether it is on a list (once initialised).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
        struct list *next, *prev;
};

#define LIST_INIT(name)                                                                                                \
        {                                                                                                              \
                &(name), &(name)                                                                                       \
        }
#define list_entry(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
        l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
        return l->next == l;
}
static inline void list_insert(struct list *l, struct list *prev, struct list *next)
{
        l->next = next;
        l->prev = prev;
        prev->next = l;
        next->prev = l;
}
/* First, last, directly before or after another. */
static inline void list_add(struct list *head, struct list *l)
{
        list_insert(l, head, head->next);
}
static inline void list_add_tail(struct list *head, struct list *l)
{
        list_insert(l, head->prev, head);
}
static inline void list_del(struct list *l)
{
        l->prev->next = l->next;
        l->next->prev = l->prev;
        list_init(l);
}
/* Moves all of `from` to the end of `to`; `from` is empty then. */
static inline void list_splice(struct list *to, struct list *from)
{
        if (list_empty(from))
                return;
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
}
static inline struct list *list_pop(struct list *head)
{
        struct list *l = head->next;
        if (l == head)
                return NULL;
        list_del(l);
        return l;
}

#define list_first(head, type, member) (list_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_last(head, type, member)  (list_empty(head) ? NULL : list_entry((head)->prev, type, member))
#define list_each(pos, head, member)                                                                                   \
        for (pos = list_entry((head)->next, typeof(*pos), member); &pos->member != (head);                             \
             pos = list_entry(pos->member.next, typeof(*pos), member))
/* The same, but `pos` may be taken off the list in the body. */
#define list_each_safe(pos, tmp, head, member)                                                                         \
        for (pos = list_entry((head)->next, typeof(*pos), member),                                                     \
            tmp = list_entry(pos->member.next, typeof(*pos), member);                                                  \
             &pos->member != (head); pos = tmp, tmp = list_entry(tmp->member.next, typeof(*pos), member))
