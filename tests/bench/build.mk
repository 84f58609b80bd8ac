# crash-qemu proves each image before it boots it.
check: $(BUILD)/pfsck
