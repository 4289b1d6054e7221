/*
 * A kernel that runs anywhere, in a VM with direct memory that was given QEMU's fw_cfg device
 * (docs/specs/fw_cfg: its DMA interface): the device writes its signature where the VM says, by the
 * VM's own addresses. Alone: guests of the runtime are linked at 0x40080000.
 */
	.equ	UART, 0x09000000
	.equ	FW_CFG_DMA, 0x09020010
	.equ	SELECT_AND_READ, 0x0a	/* of item 0 */
	.equ	FAILED, 1

	/* MMU off, so everything here is Device memory: naturally aligned accesses only. */
	adr	x19, access
	adr	x20, signature
	rev	x0, x20
	str	x0, [x19, #8]
	mov	w0, #SELECT_AND_READ
	rev	w0, w0
	mov	w1, #4
	rev	w1, w1
	str	w0, [x19]
	str	w1, [x19, #4]
	dsb	sy
	ldr	x1, =FW_CFG_DMA
	rev	x0, x19
	str	x0, [x1]
1:	ldr	w0, [x19]
	rev	w0, w0
	tst	w0, #~FAILED
	b.ne	1b
	adr	x21, missed
	cbnz	w0, say
	ldr	w0, [x20]
	ldr	w1, wanted
	cmp	w0, w1
	b.ne	say
	adr	x21, found

say:	mov	x1, #UART
1:	ldrb	w0, [x21], #1
	cbz	w0, 2f
	strb	w0, [x1]
	b	1b
2:	ldr	w0, =0x84000008		/* PSCI SYSTEM_OFF */
	hvc	#0
	b	.

	.balign 8
wanted:	.ascii	"QEMU"
	.balign 16
access:	.zero	16
signature:
	.zero	8
found:	.asciz	"1..1\nok 1 a_device_writes_to_the_vms_own_address\n# done\n"
missed:	.asciz	"1..1\nnot ok 1 a_device_writes_to_the_vms_own_address\n# done\n"
	.balign 8
	.ltorg
