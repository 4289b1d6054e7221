/*
 * All instructions of a guest's life, below EL2 and at EL2, and of the passages in it that the guest marks: of the
 * VM `linux`, alone on the machine, on one core. Nothing else is measured then, so that little is added to each exit.
 *
 * A mark is DC CIVAC with a number in x0, at EL0: no data is meant by it, and in this image it traps if the VM has
 * a disk (HCR_EL2.TPCP), also at EL1, where it is passed over, for QEMU has no caches. Source: life_count.c
 */
#pragma once

#include "core/vm.h"

#define EC_SYSREG 0x18u /* ESR_EL2.EC, DDI 0487 D19.2.37 */

extern bool life_alone; /* there is such a VM */

void life_before_step(struct vm *vm);
void life_behind_step(void);
bool life_mark(struct arch_vcpu *arch); /* an exit of EC_SYSREG: was it one? */
void life_report(void); /* lines `counted`, `mark NUMBER BELOW EL2`, all hexadecimal */
