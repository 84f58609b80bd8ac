/* xhci_regs.h - registers and structures in memory of a host controller (xHCI 1.2; section numbers are its). */
#pragma once
#include "kernel/include/types.h"

/* Capability registers (5.3). */
#define CAP_LENGTH      0x00
#define CAP_HCSPARAMS1  0x04
#define CAP_HCSPARAMS2  0x08
#define CAP_HCCPARAMS1  0x10
#define CAP_DBOFF       0x14
#define CAP_RTSOFF      0x18
#define HCS1_SLOTS(v)   ((v)&0xff)
#define HCS1_PORTS(v)   ((v) >> 24)
#define HCS2_SCRATCH(v) (((v) >> 21 & 0x1f) << 5 | (v) >> 27)
#define HCC1_AC64       1u
#define HCC1_CSZ        4u
#define HCC1_XECP(v)    (((v) >> 16) << 2)

/* Extended capabilities (7). */
#define XECP_ID(v)        ((v)&0xff)
#define XECP_NEXT(v)      (((v) >> 8 & 0xff) << 2)
#define XECP_LEGACY       1u
#define XECP_PROTOCOL     2u
#define LEGACY_FIRMWARE   (1u << 16)
#define LEGACY_SYSTEM     (1u << 24)
#define LEGACY_CONTROL    4
#define LEGACY_SMI_ON     0x0000e011u /* 7.1.2: the enables */
#define LEGACY_SMI_STATE  0xe0000000u
#define PROTOCOL_MAJOR(v) ((v) >> 24)
#define PROTOCOL_FIRST(v) ((v)&0xff)
#define PROTOCOL_COUNT(v) ((v) >> 8 & 0xff)

/* Operational registers (5.4). */
#define OP_USBCMD      0x00
#define CMD_RUN        1u
#define CMD_RESET      2u
#define CMD_INTE       4u
#define OP_USBSTS      0x04
#define STS_HALTED     1u
#define STS_HSE        4u
#define STS_EINT       8u
#define STS_PCD        16u
#define STS_CNR        (1u << 11)
#define STS_HCE        (1u << 12)
#define OP_PAGESIZE    0x08
#define OP_CRCR        0x18
#define OP_DCBAAP      0x30
#define OP_CONFIG      0x38
#define OP_PORTSC      0x400
#define PORT_CCS       (1u << 0)
#define PORT_PED       (1u << 1)
#define PORT_PR        (1u << 4)
#define PORT_PLS(v)    ((v) >> 5 & 0xf)
#define PORT_PP        (1u << 9)
#define PORT_SPEED(v)  ((v) >> 10 & 0xf)
#define PORT_KEEP      (PORT_PP | 3u << 14 | 7u << 25) /* what a write must give back: power, lights, wake-ups */
#define PORT_CSC       (1u << 17)
#define PORT_PRC       (1u << 21)
#define PORT_WRC       (1u << 19)
#define PORT_CHANGES   (0x7fu << 17)
#define PORT_WPR       (1u << 31)
#define PLS_U0         0u
#define PLS_INACTIVE   6u
#define PLS_COMPLIANCE 10u

/* Interrupter 0 (5.5.2). */
#define RT_IMAN   0x20
#define RT_IMOD   0x24
#define RT_ERSTSZ 0x28
#define RT_ERSTBA 0x30
#define RT_ERDP   0x38
#define IMAN_IP   1u
#define IMAN_IE   2u
#define ERDP_EHB  8u

/* Transfer request blocks (6.4). */
struct trb {
        uint64_t parameter;
        uint32_t status, control;
};
_Static_assert(sizeof(struct trb) == 16, "6.4");
#define TRB_CYCLE          1u
#define TRB_TOGGLE         2u /* of a link */
#define TRB_ISP            4u
#define TRB_CHAIN          16u
#define TRB_IOC            32u
#define TRB_IDT            64u
#define TRB_DIR_IN         (1u << 16)
#define TRB_TRT_OUT        (2u << 16)
#define TRB_TRT_IN         (3u << 16)
#define TRB_TYPE(t)        ((uint32_t)(t) << 10)
#define TRB_TYPE_OF(c)     ((c) >> 10 & 0x3f)
#define TRB_SLOT(s)        ((uint32_t)(s) << 24)
#define TRB_SLOT_OF(c)     ((c) >> 24)
#define TRB_ENDPOINT(e)    ((uint32_t)(e) << 16)
#define TRB_ENDPOINT_OF(c) ((c) >> 16 & 0x1f)
#define TRB_LENGTH(s)      ((s)&0x1ffff)
#define TRB_SIZE(n)        ((uint32_t)(n) << 17)
#define TRB_CODE(s)        ((s) >> 24)
#define TRB_RESIDUE(s)     ((s)&0xffffff)
#define TRB_BYTES_MAX      (1u << 16) /* and it crosses no multiple of this (6.4.1) */

enum trb_type {
        TRB_NORMAL = 1,
        TRB_SETUP = 2,
        TRB_DATA = 3,
        TRB_STATUS = 4,
        TRB_LINK = 6,
        TRB_ENABLE_SLOT = 9,
        TRB_DISABLE_SLOT = 10,
        TRB_ADDRESS = 11,
        TRB_CONFIGURE = 12,
        TRB_EVALUATE = 13,
        TRB_RESET_ENDPOINT = 14,
        TRB_STOP_ENDPOINT = 15,
        TRB_SET_DEQUEUE = 16,
        TRB_EV_TRANSFER = 32,
        TRB_EV_COMMAND = 33,
        TRB_EV_PORT = 34,
        TRB_EV_HOST = 37,
};
enum trb_code { /* 6.4.5 */
                CODE_SUCCESS = 1,
                CODE_BABBLE = 3,
                CODE_TRANSACTION = 4,
                CODE_STALL = 6,
                CODE_NO_SLOTS = 9,
                CODE_SHORT = 13,
                CODE_UNDERRUN = 14,
                CODE_OVERRUN = 15,
                CODE_CONTEXT = 19,
                CODE_EVENTS_FULL = 21,
                CODE_STOPPED = 26,
                CODE_STOPPED_LENGTH = 27,
                CODE_STOPPED_SHORT = 28,
};

/* Contexts (6.2): words of 32 bits; those of an endpoint are at its index (DCI), the slot's at 0. */
#define SLOT_ROUTE_SPEED(route, speed) ((route) | (uint32_t)(speed) << 20)
#define SLOT_HUB                       (1u << 26)
#define SLOT_ENTRIES(n)                ((uint32_t)(n) << 27)
#define SLOT_ROOT(p)                   ((uint32_t)(p) << 16)
#define SLOT_NPORTS(n)                 ((uint32_t)(n) << 24)
#define SLOT_TRANSLATOR(slot, port)    ((uint32_t)(slot) | (uint32_t)(port) << 8)
#define EP_STATE(w)                    ((w)&7)
#define EP_RUNNING                     1u
#define EP_HALTED                      2u
#define EP_STOPPED                     3u
#define EP_INTERVAL(i)                 ((uint32_t)(i) << 16)
#define EP_RETRIES                     (3u << 1)
#define EP_TYPE(t)                     ((uint32_t)(t) << 3)
#define EP_TYPE_IN                     4u /* beside the kind (6.2.3, table 6-9) */
#define EP_TYPE_CONTROL                4u
#define EP_BURST(b)                    ((uint32_t)(b) << 8)
#define EP_PACKET(n)                   ((uint32_t)(n) << 16)
#define EP_AVERAGE(n)                  ((uint32_t)(n))
#define EP_ESIT(n)                     ((uint32_t)(n) << 16)

struct event_segment { /* 6.5 */
        uint64_t base;
        uint32_t entries, reserved;
};
