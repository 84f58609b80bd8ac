#include "posix/fs/fs_internal.h"
long block_open_check(uint32_t rdev, uint32_t flags) { (void)rdev; (void)flags; return -ENXIO; }
void block_boot(void) {}
