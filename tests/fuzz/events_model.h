/*
 * Between the files of the model of the event channels: what it knows of a VM.
 * Source: events.c, events_check.c
 */
#pragma once

#include "events.h"

struct events_model {
	u64 life;
	bool honest;
	u64 tail[MACHINE_VCPUS][WEIR_EVENT_PRIORITIES]; /* as last seen */
	struct queue {
		u32 port[EVENTS_PORTS + 1];
		u32 count;
		u32 settled; /* those behind may be in any order (events_loose) */
	} queue[MACHINE_VCPUS][WEIR_EVENT_PRIORITIES];
	struct end {
		weir_handle handle; /* the last one, or the number if there was none */
		enum port_kind kind;
		struct queue *bound;
		u64 word;
		bool open; /* somebody has it */
		bool joined; /* of PORT_PEER: there is another end; `of` may connect if it is waiting */
		bool waiting, masked, latched;
		u32 of, peer_vm, peer_port;
	} port[EVENTS_PORTS];
	u32 ports; /* of channels */
};

extern struct events_model events_models[MACHINE_VMS];
