/* image.S - the built vDSO as data of the kernel: vdso_create copies it into the space at the first boot. */
        .section .rodata
        .balign 16
        .globl vdso_image_start, vdso_image_end
vdso_image_start:
        .incbin VDSO_IMAGE
vdso_image_end:
        .section .note.GNU-stack, "", @progbits
