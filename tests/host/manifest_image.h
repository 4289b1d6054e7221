/*
 * The system image of tests/host/trees/system.dts as core/manifest.c reads it, for test_manifest*.c. Source:
 * manifest_image.c
 */
#pragma once

#include "fake.h"
#include "core/manifest.h"

#define CORES 4 /* of the machine */
/* Its VMs, by their places. */
#define FULL  0
#define BARE  1
#define THIRD 2

extern struct manifest manifest; /* as last read */
extern u32 gic;			 /* version */
extern u64 page_sizes;		 /* ID_AA64MMFR0_EL1 */

bool read_image(const void *tree);
void set_number(void *tree, const char *path, const char *property, u32 value);

/* Two arguments of tree_set(). */
#define VALUE(text) text, sizeof(text) - 1 /* bytes as they are */
#define TEXT(text)  text, sizeof(text)	   /* with the terminating 0 */

/* The image is read, and that line is all that is said. */
void check_one_line(const void *tree, const char *line);

int prepare(void **state); /* before each test */
int clean(void **state);   /* at the end */
