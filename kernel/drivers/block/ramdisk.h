/* ramdisk.h - memory that the boot loader filled, as a disk for reading. */
#pragma once
void ramdisk_init(void); /* after all other disks, whose numbers do not depend on whether it is there */
