/* limits.h - gcc's limits.h says all; it only wants to find one more file of this name behind itself. */
