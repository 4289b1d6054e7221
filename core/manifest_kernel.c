/*
 * What a guest's kernel is, by its first bytes, and where in the VM's RAM it goes (manifest_kernel.h).
 *
 * tools/weirlib/kernel.py says the same, but for pages: it knows no core. Owns nothing; Locks: none, at boot only.
 */
#include "core/manifest_kernel.h"

#include "arch/arm64/cpu.h"
#include "core/base/string.h"

#define DEFAULT_LOAD_OFFSET 0x80000ul

/* What a kernel must not be, by four of its first bytes, little endian. */
static const struct {
	u32 at, magic, mask;
	const char *what, *remedy;
} unbootable[] = {
	{ 0, 0x464c457f, UINT32_MAX, "an ELF file",
	  "make a raw binary of it by objcopy -O binary" },
	{ 0, 0xedfe0dd0, UINT32_MAX, "a device tree", "include the kernel itself" },
	{ 0, 0x56190527, UINT32_MAX, "a U-Boot uImage", "include the Image that it was made of" },
	{ 4, 0x676d697a, UINT32_MAX, "an EFI image that unpacks itself", "include the Image" },
	{ 0, 0xfd2fb528, UINT32_MAX, "packed by zstd", "unpack it first" },
	{ 0, 0x587a37fd, UINT32_MAX, "packed by xz", "unpack it first" },
	{ 0, 0x184d2204, UINT32_MAX, "packed by lz4", "unpack it first" },
	{ 0, 0x184c2102, UINT32_MAX, "packed by lz4", "unpack it first" },
	{ 0, 0x00685a42, 0xffffff, "packed by bzip2", "unpack it first" },
	{ 0, 0x00008b1f, 0xffff, "packed by gzip", "unpack it first" },
	{ 0, 0x0000005d, 0xffffff, "packed by lzma", "unpack it first" },
	{ 0, 0x4f5a4c89, UINT32_MAX, "packed by lzop", "unpack it first" },
	{ 0, 0x37303730, UINT32_MAX, "a ramdisk (cpio)", "include the kernel itself" },
	{ 0, 0x52444e41, UINT32_MAX, "an Android boot image", "include the Image inside" },
	{ 36, 0x016f2818, UINT32_MAX, "a kernel for 32-bit Arm", "include an arm64 Image" },
};

static u64 little_endian(const u8 *data, u32 bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | data[bytes];
	return value;
}

/* A file's name where its content should be. */
static bool is_text(const struct blob *blob)
{
	const char *text = blob->data;

	if (blob->bytes > 256 || strnlen(text, blob->bytes) != blob->bytes - 1)
		return false;
	while (*text >= ' ' && *text <= '~')
		text++;
	return !*text;
}

#define PE_BYTES	 24 /* up to the optional header */
#define PE_MACHINE_ARM64 0xaa64
#define SECTION_BYTES	 40

/*
 * A kernel with an EFI stub is a PE file too (Microsoft's PE format, 3 and 4), whose sections tell how long it is: all
 * that there is to see by that its end is missing.
 */
static void check_efi(struct reader *reader, const struct blob *kernel, bool image)
{
	const u8 *data = kernel->data;
	u64 at, section, end, left = 0;

	if (kernel->bytes < 64 || memcmp(data, "MZ", 2) != 0)
		return;
	at = little_endian(data + 60, 4);
	end = section = at + PE_BYTES;
	/* Without an Image's header these may be anything, after an instruction that is "MZ", too. */
	if (end > kernel->bytes ? !image : memcmp(data + at, "PE\0\0", 4) != 0)
		return;
	if (end <= kernel->bytes) {
		if (little_endian(data + at + 4, 2) != PE_MACHINE_ARM64)
			reader_complain(reader, "kernel",
					"is for another processor; include an arm64 Image");
		section += little_endian(data + at + 20, 2);
		left = little_endian(data + at + 6, 2);
	}
	for (; left && end <= kernel->bytes; left--, section += SECTION_BYTES) {
		end = max(end, section + SECTION_BYTES);
		if (end <= kernel->bytes)
			end = max(end, little_endian(data + section + 16, 4) +
					       little_endian(data + section + 20, 4));
	}
	if (end > kernel->bytes)
		reader_complain(reader, "kernel",
				"is not whole: ends after %lu KiB of %lu; include the whole file",
				kernel->bytes / KIB, end / KIB);
}

/*
 * What an Image's flags ask of the machine (Linux, Documentation/arch/arm64/booting.rst): nobody turns its devices'
 * words round, and a kernel whose pages the core does not know stops before it has said anything. Those of 4 KiB are
 * EL2's own.
 */
static void check_flags(struct reader *reader, u32 flags)
{
	u64 memory = cpu_id_register(ID_MMFR0, false);
	u32 pages = flags >> 1 & 3; /* 0: not told; 4 KiB, 16 KiB, 64 KiB */

	if (flags & 1)
		reader_complain(reader, "kernel",
				"is big-endian; include one that is little-endian");
	if ((pages == 2 && !(memory & MMFR0_16K)) || (pages == 3 && memory & MMFR0_NO_64K))
		reader_complain(
			reader, "kernel",
			"has pages of %u KiB, which the cores do not know; include one of 4 KiB",
			pages == 2 ? 16 : 64);
}

/*
 * Where the kernel goes and how many bytes it needs there: the header of an arm64 Image says it
 * (Linux, Documentation/arch/arm64/booting.rst), except in kernels from before the fields existed.
 */
u64 manifest_place_kernel(struct reader *reader, struct manifest_vm *vm)
{
	const u8 *header = vm->kernel.data;
	u64 bytes = vm->kernel.bytes, offset = DEFAULT_LOAD_OFFSET;
	bool image = bytes >= 64 && !memcmp(header + 56, "ARM\x64", 4);

	for (u32 i = 0; i < ARRAY_SIZE(unbootable); i++)
		if (bytes >= unbootable[i].at + 4 && (little_endian(header + unbootable[i].at, 4) &
						      unbootable[i].mask) == unbootable[i].magic)
			reader_complain(reader, "kernel", "is %s; %s", unbootable[i].what,
					unbootable[i].remedy);
	if (is_text(&vm->kernel))
		reader_complain(reader, "kernel", "is a text; include the file that it names");
	check_efi(reader, &vm->kernel, image);
	if (image)
		check_flags(reader, header[24]);
	vm->raw = !image;
	if (image && little_endian(header + 16, 8)) {
		offset = little_endian(header + 8, 8);
		bytes = max(bytes, little_endian(header + 16, 8));
	}
	vm->load_offset = reader_number(reader, "load-offset", offset);
	return bytes;
}
