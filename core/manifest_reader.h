/*
 * Reads the properties of one node of the system image by rules: which there are, their range, and
 * what to say of a wrong value. For manifest*.c. Every function that reads answers with a harmless
 * value where it complains. Source: manifest_reader.c
 */
#pragma once

#include "core/base/log.h"
#include "core/manifest.h"

struct rule {
	const char *name;
	u32 low, high; /* of a number; of a text `high` bytes without its 0 */
	u32 multiple;  /* of a number */
	const char *remedy;
};

#define RULE_NUMBER(name, low, high, multiple, remedy) \
	{                                              \
		name, low, high, multiple, remedy      \
	}
#define RULE_TEXT(name, longest, remedy)    \
	{                                   \
		name, 0, longest, 0, remedy \
	}
#define RULE_OTHER(name, remedy)      \
	{                             \
		name, 0, 0, 0, remedy \
	}

#define RULES_MAX 34

/* The node that is being read: its properties are looked up in the tree once. */
struct reader {
	const struct manifest *manifest;
	const char *group; /* "/vms/", "" for the root */
	const char *name;
	const struct rule *rules;
	struct blob value[RULES_MAX]; /* by the place of the property's rule; data 0: absent */
	bool wrong;
};

/* Takes a node's name and properties: says which names are not allowed, unknown or there twice. */
void reader_open(struct reader *reader, const void *image, int node);
/* Properties only: for the root and the groups, which have nodes and names of their own. */
void reader_open_group(struct reader *reader, const void *image, int node);

/* One line: node, property, what is wrong and the remedy. The node is wrong from now on. */
PRINTF(3, 4)
void reader_complain(struct reader *reader, const char *property, const char *format, ...);

bool reader_has(const struct reader *reader, const char *name);
/* The bytes as they are; data 0: there is no such property. */
struct blob reader_value(const struct reader *reader, const char *name);
u64 reader_number(struct reader *reader, const char *name, u64 standard);
bool reader_flag(struct reader *reader, const char *name);
const char *reader_text(struct reader *reader, const char *name); /* 0: absent or wrong */
struct blob reader_blob(struct reader *reader, const char *name);
/* A list of strings that ends in a 0, for reader_next(), each there once; 0 bytes: absent or wrong. */
const char *reader_names(struct reader *reader, const char *name, u32 *bytes);
/* The string at `*at`, which moves on; 0 at the end. */
const char *reader_next(const char *list, u32 bytes, u32 *at);

/* Cell `index` of an array of cells. */
u64 reader_cell(const u8 *data, u32 index);

/* What lists of names refer to: the index in the manifest; disks are read before VMs. */
#define READER_NOT_FOUND UINT32_MAX
u32 reader_find_vm(const struct reader *reader, const char *name);
u32 reader_find_disk(const struct reader *reader, const char *name);
/* Complains of a core that the machine does not have. */
bool reader_check_core(struct reader *reader, const char *name, u64 core, u32 cores);

/*
 * Nodes of the group `name`, of which the first `room` are taken. The group itself has no properties. Not there,
 * `group` is negative.
 */
u32 reader_count_nodes(const struct manifest *manifest, const void *image, int group,
		       const char *name, u32 room);
