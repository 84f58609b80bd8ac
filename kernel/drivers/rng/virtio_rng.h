/* virtio_rng.h - randomness from the host. */
#pragma once
struct pci_device;
void virtio_rng_probe(struct pci_device *pci);
