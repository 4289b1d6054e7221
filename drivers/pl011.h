/* Registers of the PL011 (ARM DDI 0183), for its driver and for the one that a VM sees. */
#pragma once

#include "core/base/types.h"

enum {
	PL011_DR = 0x00,
	PL011_RSR = 0x04, /* ECR when written */
	PL011_FR = 0x18,
	PL011_IBRD = 0x24,
	PL011_FBRD = 0x28,
	PL011_LCR_H = 0x2c,
	PL011_CR = 0x30,
	PL011_IFLS = 0x34,
	PL011_IMSC = 0x38,
	PL011_RIS = 0x3c,
	PL011_MIS = 0x40,
	PL011_ICR = 0x44,
	PL011_DMACR = 0x48,
	PL011_ID = 0xfe0, /* PeriphID0..3, PCellID0..3 */
};

#define PL011_FR_BUSY BIT(3)
#define PL011_FR_RXFE BIT(4)
#define PL011_FR_TXFF BIT(5)
#define PL011_FR_RXFF BIT(6)
#define PL011_FR_TXFE BIT(7)

#define PL011_LCR_H_FEN	 BIT(4)
#define PL011_LCR_H_8BIT (3u << 5)

#define PL011_CR_UARTEN BIT(0)
#define PL011_CR_TXE	BIT(8)
#define PL011_CR_RXE	BIT(9)

#define PL011_IFLS_RECEIVE_1_8	(0u << 3)
#define PL011_IFLS_RECEIVE_1_2	(2u << 3)
#define PL011_IFLS_TRANSMIT_1_2 (2u << 0)

#define PL011_INT_RX  BIT(4)
#define PL011_INT_TX  BIT(5)
#define PL011_INT_RT  BIT(6)
#define PL011_INT_ALL 0x7ffu
