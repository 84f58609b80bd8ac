/* ahci.h - SATA disks and CD drives at AHCI controllers. */
#pragma once
void ahci_init(void);
