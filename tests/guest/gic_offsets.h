/*
 * Offsets of the GIC's registers, for guests that test it by hand: of the distributor, which a redistributor's second
 * frame has too for private interrupts (IHI 0048 4.1, IHI 0069 12.8 and 12.10), and of GICv2's CPU interface.
 */
#pragma once

#define GICD_CTLR	0x000
#define GICD_TYPER	0x004
#define GICD_IGROUPR	0x080
#define GICD_ISENABLER	0x100
#define GICD_ICENABLER	0x180
#define GICD_ISPENDR	0x200
#define GICD_ICPENDR	0x280
#define GICD_ISACTIVER	0x300
#define GICD_ICACTIVER	0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR	0x800
#define GICD_ICFGR	0xc00
#define GICD_SGIR	0xf00
#define GICD_CPENDSGIR	0xf10
#define GICD_SPENDSGIR	0xf20
#define GICD_IROUTER	0x6000

#define GICR_SGI_FRAME 0x10000
#define GICR_BYTES     0x20000 /* of one, both frames */

#define GICC_CTLR 0x00
#define GICC_PMR  0x04
#define GICC_BPR  0x08
#define GICC_IAR  0x0c
#define GICC_EOIR 0x10
#define GICC_RPR  0x14
#define GICC_DIR  0x1000
