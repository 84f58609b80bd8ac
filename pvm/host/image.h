/* image.h - images of a machine in a process (pvm/host.h): a process of their own each, by fork. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
void *image_shared_alloc(size_t len);
void image_shared_free(void *p, size_t len);
int image_start(void (*fn)(void));
bool image_runs(void);
void image_end(void);
int image_fd(void);         /* becomes ready when the image ends; -1: there is none */
void image_reap(bool wait); /* what is left of one behind image_end */
