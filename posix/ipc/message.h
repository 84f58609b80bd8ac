/* message.h - one message of a System V or POSIX queue: between the files of posix/ipc only. */
#pragma once
#include "posix/include/ipc.h"
static inline char *message_text(struct ipc_message *m)
{
        return m->data ? m->data : m->small;
}
struct ipc_message *message_new(const char *text, size_t len,
                                int64_t type); /* after changes(); 1 page, and what len needs */
void message_free(struct ipc_message *m);
bool messages_drop(struct ipc_message **head); /* some of a list; true: there are more */
void messages_touch(const struct ipc_message *m);
