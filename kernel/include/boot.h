/* boot.h - what the loader handed over. Valid for ever after boot_init. */
#pragma once
#include "kernel/include/types.h"
struct boot_info {
        char cmdline[1024];
        paddr_t rsdp; /* 0: none */
        struct {
                paddr_t pa;
                uint32_t width, height, pitch, bpp;
                uint8_t red_pos, green_pos, blue_pos;
        } fb;               /* pa 0: none */
        paddr_t archive_pa; /* boot archive (first module of another name than `install`); 0: none */
        uint64_t archive_len;
        paddr_t install_pa; /* what a disk needs to boot (module `install` of the live system, installer/README.md); 0: none */
        uint64_t install_len;
        bool uefi;
        uint64_t entry_tsc; /* at the kernel's first instruction */
};
extern struct boot_info boot_info;
bool boot_option(const char *name, char *value, size_t len); /* "name" or "name=value" on the command line */
uint64_t boot_option_u64(const char *name, uint64_t otherwise);
void boot_archive_release(void); /* gives the archive's frames to the allocator: it has been unpacked */
