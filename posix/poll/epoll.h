/* epoll.h - between the files of posix/poll only. */
#pragma once
#include <stdbool.h>
bool epoll_release(void *object);
