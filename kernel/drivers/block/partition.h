/* partition.h - partitions as block devices: vda1, vda2... Boot, after the disks. */
#pragma once
void partitions_init(void);
