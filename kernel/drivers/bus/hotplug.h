/* hotplug.h - devices that are taken out of the slots of PCIe ports. */
#pragma once
/* Behind the drivers: listens at every slot that can tell. */
void hotplug_init(void);
