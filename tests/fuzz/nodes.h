/*
 * The store as weir/store.h promises it, whatever guests do: who may read what a call has answered, and, after each
 * step, that all of it fits together. Source: nodes.c
 */
#pragma once

#include "machine.h"

void nodes_reset(void);

/* Handles that were made, whoever's; 0 before. */
weir_handle nodes_recent(u32 which);
void nodes_made(weir_handle handle);

/* What a call of the store may answer at all: bit n is the status -n. */
u32 nodes_errors(u32 function);
/* The VM has been told of this node: it may read it. */
void nodes_told(u32 vm, weir_handle handle);

void nodes_check(void);
