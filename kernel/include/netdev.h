/*
 * netdev.h - network interfaces: the contract for drivers (none yet) and for the network glue.
 */
#pragma once
#include "kernel/include/types.h"
struct netdev;
struct netdev_ops {
        int (*transmit)(struct netdev *, const void *frame, size_t len); /* copies; 0, -ENOBUFS, -ENETDOWN */
};
struct netdev {
        char name[16];
        uint8_t mac[6];
        uint16_t mtu;
        bool link_up;
        const struct netdev_ops *ops;
        void *driver;
        void (*receive)(struct netdev *, const void *frame, size_t len); /* set by the glue; interrupt context */
};
int netdev_register(struct netdev *d);
struct netdev *netdev_by_index(unsigned index);
