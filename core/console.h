/*
 * The machine's console: lines of Weir and of every VM, each with its owner's name in front,
 * through one buffer that the UART's interrupt drains. EL2 never waits for it.
 *
 * Weir's own lines that do not fit are counted, and `weir: N lines lost` follows. A VM's line that
 * does not fit stays with the VM, which is told when there is room: VMs wait, and take turns.
 * Source: console.c. Tests: tests/host/test_console*.c
 */
#pragma once

#include "core/base/types.h"

struct vm;

/* Boot: from now on lines go out. `registers` is mapped; false: no driver matches. */
bool console_init(const char *compatible, u32 compatible_bytes, void *registers);
/* Boot: `intid` drains the buffer and receives; 0: there is none, who prints or polls drains. */
void console_enable_interrupt(u32 intid);

/*
 * A whole line "[owner] text", or the text as it is if `owner` is 0; false if the buffer has no
 * room, then nothing of it was taken. Any core.
 */
bool console_line(const char *owner, const char *text, size_t length);
/*
 * The same for a VM, in its turn. False: nothing was taken, and vuart_resume(vm) will be called
 * when it is this VM's turn, with no lock held. Any core.
 */
bool console_vm_line(struct vm *vm, const char *text, size_t length);
/*
 * A line of a VM that has not ended, as far as it has got: what is new of it, if it is at the end of
 * what the terminal shows, else all of it on a line of its own, which others may break off. False:
 * there is no room now. Any core.
 */
bool console_vm_part(struct vm *vm, const char *text, size_t length);
/* The terminal shows a line of the VM that has not ended, and nothing after it. A hint. */
bool console_shows(const struct vm *vm);
/* The same for the monitor's line; then its end. The UART's core. */
void console_prompt(const char *text, size_t length);
void console_prompt_end(const char *text, size_t length);
/* Room for one more line of a VM? */
bool console_has_room(void);
/* Moves what the UART takes, then lets one VM that waits go on. Any core; bounded. */
void console_service(void);
/* Everything out, by polling: before power-off. Gives up on a UART that takes nothing. */
void console_flush(void);
