/*
 * The machine as a whole: turning it off. Source: machine.c
 */
#pragma once

/* What is left to print is printed; then off, by PSCI or the board's own power block. Returns only if
 * there is no way. */
void machine_off(void);
