/*
 * Properties of the system image, each with a check (manifest_reader.h).
 */
#include <libfdt.h>
#include "core/base/string.h"
#include "core/manifest_reader.h"

#define NAME_MAX_BYTES 31
/* Names in a message: one that is too long must not push out the remedy. */
#define SHOWN "%.48s"

void reader_complain(struct reader *reader, const char *property, const char *format, ...)
{
	static char text[200];
	va_list arguments;

	va_start(arguments, format);
	format_text_v(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_line("manifest: %s%.32s: " SHOWN ": %s", reader->group, reader->name, property, text);
	reader->wrong = true;
}

/* ---- Properties ---- */

static const struct rule *find_rule(const struct reader *reader, const char *name)
{
	const struct rule *rule = reader->rules;

	while (rule->name && (*rule->name != *name || strcmp(rule->name, name) != 0))
		rule++;
	return rule->name ? rule : 0;
}

struct blob reader_value(const struct reader *reader, const char *name)
{
	return reader->value[find_rule(reader, name) - reader->rules];
}

bool reader_has(const struct reader *reader, const char *name)
{
	return reader_value(reader, name).data != 0;
}

u64 reader_cell(const u8 *data, u32 index)
{
	return fdt32_ld((const fdt32_t *)(data + 4 * (size_t)index));
}

static bool check_number(struct reader *reader, const struct rule *rule, u64 value)
{
	if (value < rule->low || value > rule->high)
		reader_complain(reader, rule->name, "%lu is out of range (%u to %u); %s", value,
				rule->low, rule->high, rule->remedy);
	else if (value % rule->multiple)
		reader_complain(reader, rule->name, "%lu is not a multiple of %u; %s", value,
				rule->multiple, rule->remedy);
	else
		return true;
	return false;
}

u64 reader_number(struct reader *reader, const char *name, u64 standard)
{
	const struct rule *rule = find_rule(reader, name);
	struct blob value = reader_value(reader, name);

	if (!value.data)
		return standard;
	if (value.bytes != 4) {
		reader_complain(reader, name, "has %lu bytes; write one number", value.bytes);
		return standard;
	}
	return check_number(reader, rule, reader_cell(value.data, 0)) ? reader_cell(value.data, 0)
								      : standard;
}

bool reader_flag(struct reader *reader, const char *name)
{
	struct blob value = reader_value(reader, name);

	if (value.bytes)
		reader_complain(reader, name, "has a value; write the name only");
	return value.data && !value.bytes;
}

/* One terminated string without a 0 inside; else 0. */
const char *reader_text(struct reader *reader, const char *name)
{
	const struct rule *rule = find_rule(reader, name);
	struct blob value = reader_value(reader, name);
	const char *text = value.data;

	if (!text)
		return 0;
	if (value.bytes && value.bytes - 1 <= rule->high &&
	    strnlen(text, value.bytes) == value.bytes - 1)
		return text;
	reader_complain(reader, name, "has %lu bytes; %s", value.bytes, rule->remedy);
	return 0;
}

struct blob reader_blob(struct reader *reader, const char *name)
{
	struct blob blob = reader_value(reader, name);

	if (blob.data && !blob.bytes)
		reader_complain(reader, name, "is empty; %s", find_rule(reader, name)->remedy);
	return blob;
}

const char *reader_next(const char *list, u32 bytes, u32 *at)
{
	const char *name;

	if (*at >= bytes)
		return 0;
	name = list + *at;
	*at += (u32)strnlen(name, bytes - *at) + 1;
	return name;
}

/* Lists are short: each name is compared with those before it. */
static void check_twice(struct reader *reader, const char *property, const char *list, u32 bytes)
{
	u32 at = 0, before;
	const char *name, *other;

	while ((name = reader_next(list, bytes, &at))) {
		before = 0;
		while ((other = reader_next(list, bytes, &before)) != name)
			if (!strcmp(other, name))
				break;
		if (other != name)
			reader_complain(reader, property, SHOWN " is named twice; name it once",
					name);
	}
}

/* A list of strings, or 0 if there is none. */
const char *reader_names(struct reader *reader, const char *name, u32 *bytes)
{
	struct blob value = reader_value(reader, name);
	const char *list = value.data;

	*bytes = (u32)value.bytes;
	if (!list)
		return 0;
	if (*bytes && *list && !list[*bytes - 1]) {
		check_twice(reader, name, list, *bytes);
		return list;
	}
	reader_complain(reader, name, "is no list of names; write them in quotes");
	*bytes = 0;
	return 0;
}

/*
 * A property that nobody knows is wrong too: its author expects something of it, a budget perhaps.
 * dtc writes phandles into nodes that something points at.
 */
static void collect_properties(struct reader *reader, const void *image, int node)
{
	int at;

	fdt_for_each_property_offset(at, image, node)
	{
		const char *name = "?";
		int bytes = 0;
		const void *data = fdt_getprop_by_offset(image, at, &name, &bytes);
		const struct rule *rule = data ? find_rule(reader, name) : 0;
		struct blob *value = rule ? &reader->value[rule - reader->rules] : 0;

		if (value && value->data)
			reader_complain(reader, name, "stands twice; write it once");
		else if (value)
			*value = (struct blob){ data, (u32)bytes };
		else if (strcmp(name, "phandle") != 0 && strcmp(name, "linux,phandle") != 0)
			reader_complain(reader, name, "no such property; correct or remove it");
	}
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool name_allowed(const char *name)
{
	for (const char *at = name; *at; at++)
		if (!is_letter(*at) && !(*at >= '0' && *at <= '9') && *at != '-')
			return false;
	return is_letter(*name) && strlen(name) <= NAME_MAX_BYTES;
}

/* Begins a node: its name and its properties. */
void reader_open(struct reader *reader, const void *image, int node)
{
	int inner;

	reader->name = fdt_get_name(image, node, 0);
	if (!name_allowed(reader->name))
		reader_complain(reader, "name",
				"is not allowed; use up to %u of a-z, 0-9 and '-', a letter first",
				NAME_MAX_BYTES);
	collect_properties(reader, image, node);
	fdt_for_each_subnode(inner, image, node)
	{
		reader_complain(reader, fdt_get_name(image, inner, 0),
				"is a node; write properties only");
	}
}

void reader_open_group(struct reader *reader, const void *image, int node)
{
	collect_properties(reader, image, node);
}

/* ---- What it refers to ---- */

u32 reader_find_vm(const struct reader *reader, const char *name)
{
	const struct manifest *manifest = reader->manifest;

	for (u32 i = 0; i < manifest->vm_count; i++)
		if (!strcmp(manifest->vm[i].name, name))
			return i;
	return READER_NOT_FOUND;
}

u32 reader_find_disk(const struct reader *reader, const char *name)
{
	const struct manifest *manifest = reader->manifest;

	for (u32 i = 0; i < manifest->disk_count; i++)
		if (!strcmp(manifest->disk[i].name, name))
			return i;
	return READER_NOT_FOUND;
}

bool reader_check_core(struct reader *reader, const char *name, u64 core, u32 cores)
{
	if (core < cores)
		return true;
	reader_complain(reader, name, "there is no core %lu; the machine has %u, numbered from 0",
			core, cores);
	return false;
}

/* ---- Groups ---- */

u32 reader_count_nodes(const struct manifest *manifest, const void *image, int group,
		       const char *name, u32 room)
{
	static const struct rule no_rules[] = { { 0 } };
	struct reader reader = { manifest, "/", name, no_rules, { { 0 } }, false };
	u32 count = 0;
	int node;

	if (group < 0)
		return 0;
	reader_open_group(&reader, image, group);
	fdt_for_each_subnode(node, image, group) count++;
	if (count > room)
		log_line("manifest: /%s: has %u nodes (at most %u); the last ones are refused: "
			 "remove some",
			 name, count, room);
	return min(count, room);
}
