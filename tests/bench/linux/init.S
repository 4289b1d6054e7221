/*
 * The ramdisk's one program: turns the machine off at once.
 */
	.text
	.global _start
_start:
	ldr	w0, =0xfee1dead		// LINUX_REBOOT_MAGIC1
	ldr	w1, =672274793		// LINUX_REBOOT_MAGIC2
	ldr	w2, =0x4321fedc		// LINUX_REBOOT_CMD_POWER_OFF
	mov	x3, #0
	mov	x8, #142		// reboot
	svc	#0
	brk	#0			// the kernel panics: init must not end
	.ltorg
