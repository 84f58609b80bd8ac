include tests/bench/build.mk

# What the unit tests of the drivers are compiled with; those of kernel/lib include what they test, those of persist/
# and posix/ are in the build.mk there.
UNIT_SRCS_drv_console := $(addprefix kernel/drivers/video/,term.c scrollback.c escape.c compose.c) kernel/lib/fmt.c kernel/lib/string.c
UNIT_LIBS_drv_console := $(BUILD)/ports/libvterm/lib/libvterm-hosted.a
UNIT_FLAGS_drv_console := -isystem $(BUILD)/ports/libvterm/include
UNIT_SRCS_drv_psf := kernel/drivers/video/psf.c kernel/drivers/video/blocks.c kernel/lib/string.c
UNIT_SRCS_drv_input := kernel/drivers/input/keymap.c kernel/drivers/input/layout.c kernel/drivers/input/ps2.c kernel/lib/fmt.c kernel/lib/string.c
UNIT_SRCS_drv_virtqueue := kernel/drivers/bus/virtqueue.c
UNIT_SRCS_drv_gpt := kernel/drivers/block/gpt.c kernel/lib/string.c
UNIT_SRCS_drv_mbr := kernel/drivers/block/mbr.c kernel/lib/string.c
UNIT_SRCS_retention := kernel/glue/retention.c
UNIT_SRCS_init_menu := kernel/init/menu_line.c
UNIT_SRCS_drv_usb := kernel/drivers/usb/descriptor.c kernel/drivers/usb/hidkeys.c
UNIT_SRCS_drv_usb_storage := kernel/lib/fmt.c kernel/lib/string.c
UNIT_FLAGS_drv_usb_storage := -iquote tests/unit/hosted
