/* What a test guest reads of its device tree: properties of /chosen. */
#pragma once

#include <guest.h>

#define TREE_MAGIC 0xedfe0dd0u /* d00dfeed, big endian in memory */
#define TREE_BEGIN 1u
#define TREE_END   2u
#define TREE_PROP  3u
#define TREE_NOP   4u

static inline uint32_t tree_word(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The tree of this VM: the last page below the pool that begins with one. */
static inline const uint8_t *tree_find(void)
{
	const uint8_t *page = weir_region(WEIR_REGION_POOL).base - PAGE_SIZE;
	const uint8_t *ram = weir_region(WEIR_REGION_RAM).base;

	for (; page > ram; page -= PAGE_SIZE)
		if (*(const uint32_t *)(const void *)page == TREE_MAGIC)
			return page;
	return NULL;
}

static inline uint32_t tree_bytes(const uint8_t *tree)
{
	return tree_word(tree + 4);
}

/* The property `name` of /chosen; *bytes is its length. Devicetree Specification 0.4, chapter 5. */
static inline const uint8_t *tree_chosen(const uint8_t *tree, const char *name, uint32_t *bytes)
{
	const uint8_t *at = tree + tree_word(tree + 8), *end = tree + tree_bytes(tree);
	const char *strings = (const char *)tree + tree_word(tree + 12);
	bool chosen = false;

	while (at < end) {
		uint32_t token = tree_word(at);

		at += 4;
		if (token == TREE_BEGIN) {
			chosen = strcmp((const char *)at, "chosen") == 0;
			at += (strlen((const char *)at) + 4) & ~3ul;
		} else if (token == TREE_PROP) {
			*bytes = tree_word(at);
			if (chosen && strcmp(strings + tree_word(at + 4), name) == 0)
				return at + 8;
			at += 8 + ((*bytes + 3) & ~3u);
		} else if (token != TREE_END && token != TREE_NOP) {
			break;
		}
	}
	return NULL;
}
