/* virtio_blk.h - virtio disks. */
#pragma once
struct pci_device;
void virtio_blk_probe(struct pci_device *pci);
