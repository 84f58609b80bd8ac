/*
 * init.c - probes every device once, in the order in which they need each other: what shows the log first, then what
 * others are found on.
 */
#include "kernel/drivers/block/ahci.h"
#include "kernel/drivers/block/nvme.h"
#include "kernel/drivers/block/partition.h"
#include "kernel/drivers/block/ramdisk.h"
#include "kernel/drivers/bus/hotplug.h"
#include "kernel/drivers/bus/pci.h"
#include "kernel/drivers/bus/virtio.h"
#include "kernel/drivers/input/i8042.h"
#include "kernel/drivers/power/button.h"
#include "kernel/drivers/tty/uart.h"
#include "kernel/drivers/usb/usb.h"
#include "kernel/drivers/video/console.h"
#include "kernel/include/drivers.h"

void drivers_init(void)
{
        console_init();
        uart_init();
        i8042_init();
        power_button_init();
        pci_init();
        virtio_init();
        nvme_init();
        ahci_init();
        usb_init();
        hotplug_init();
        partitions_init();
        ramdisk_init();
}

void drivers_poll_input(void)
{
        i8042_poll();
        usb_poll_all();
}

void drivers_start(void)
{
        usb_start();
}
