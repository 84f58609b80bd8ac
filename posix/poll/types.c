/* types.c - what posix/poll keeps in the space. Wakers write epoll items after their own change, so sets and items are resident. */
#include "posix/poll/events.h"
#include "posix/poll/epoll.h"

static const struct space_field epoll_fields[] = {
        {offsetof(struct epoll, file), FIELD_BORROW, 1},
        {offsetof(struct epoll, index), FIELD_OWN, 1},
        {offsetof(struct epoll, ready), FIELD_BORROW, 2},
        {0, 0, 0},
};
static const struct space_field epitem_fields[] = {
        {offsetof(struct epitem, set), FIELD_BORROW, 2},
        {offsetof(struct epitem, same_fd), FIELD_BORROW, 5},
        {0, 0, 0},
};
const struct posix_type poll_types[] = {
        {TYPE_EPOLL, {"epoll", sizeof(struct epoll), 1, SPACE_OBJECT | SPACE_RESIDENT, epoll_fields}, epoll_release},
        {TYPE_EPITEM, {"epitem", sizeof(struct epitem), 1, SPACE_RESIDENT, epitem_fields}, NULL},
        {TYPE_EVENTFD, {"eventfd", sizeof(struct eventfd), 1, SPACE_OBJECT, NULL}, eventfd_release},
        {TYPE_TIMERFD, {"timerfd", sizeof(struct timerfd), 1, SPACE_OBJECT | SPACE_RESIDENT, NULL}, timerfd_release},
        {TYPE_SIGNALFD, {"signalfd", sizeof(struct signalfd), 1, SPACE_OBJECT, NULL}, signalfd_release},
        {0},
};
