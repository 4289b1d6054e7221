/*
 * The init of the disk's rows: loads the modules of virtio's disk, asks it for so many blocks, one at a time, past
 * the page cache, marks where each row begins and ends, and turns the machine off. No C library, no stack but the
 * kernel's. A mark is an instruction that whoever counts at EL2 has made trap (life_count.c, native.S).
 */
#include <stddef.h>
#include <stdint.h>

#define LARGEST	 65536u
#define REQUESTS 16
#define PASSAGES 72

/* Numbers of arm64's system calls (asm-generic/unistd.h), and what they are given. */
enum {
	SYS_MOUNT = 40,
	SYS_OPENAT = 56,
	SYS_WRITE = 64,
	SYS_PREAD = 67,
	SYS_PWRITE = 68,
	SYS_REBOOT = 142,
	SYS_FINIT_MODULE = 273,
};

#define AT_FDCWD  -100
#define O_RDWR	  2
#define O_DIRECT  0200000
#define MAGIC_1	  0xfee1dead
#define MAGIC_2	  672274793
#define POWER_OFF 0x4321fedc

static uint8_t buffer[LARGEST] __attribute__((aligned(4096)));

static long call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
}

static __attribute__((noreturn)) void off(void)
{
	call(SYS_REBOOT, MAGIC_1, MAGIC_2, POWER_OFF, 0, 0);
	__builtin_trap(); /* the kernel panics: init must not end */
}

static long open(const char *path, long flags)
{
	return call(SYS_OPENAT, AT_FDCWD, (long)path, flags, 0, 0);
}

static __attribute__((noreturn)) void give_up(const char *why)
{
	size_t length = 0;

	while (why[length])
		length++;
	call(SYS_WRITE, open("/dev/console", O_RDWR), (long)why, (long)length, 0, 0);
	off();
}

static void load(const char *module)
{
	if (call(SYS_FINIT_MODULE, open(module, 0), (long)"", 0, 0, 0))
		give_up("init: a module could not be loaded\n");
}

/* So many requests will be made or, for 0, were. */
static void mark(long requests)
{
	register long x0 __asm__("x0") = requests;

	__asm__ volatile("dc civac, x0" : : "r"(x0) : "memory");
}

static void ask(long disk, long operation, long bytes, long count)
{
	for (long i = 0; i < count; i++)
		if (call(operation, disk, (long)buffer, bytes, i * bytes, 0) != bytes)
			give_up("init: a request has failed\n");
}

/* The rows in the order in which tools/bench-linux names them. */
static __attribute__((used)) void begin(void)
{
	static const struct {
		long operation, bytes;
	} row[] = {
		{ SYS_PREAD, 4096 },
		{ SYS_PREAD, LARGEST },
		{ SYS_PWRITE, 4096 },
		{ SYS_PWRITE, LARGEST },
	};
	long disk;

	load("/virtio_mmio.ko");
	load("/virtio_blk.ko");
	call(SYS_MOUNT, (long)"none", (long)"/dev", (long)"devtmpfs", 0, 0);
	disk = open("/dev/vda", O_RDWR | O_DIRECT);
	if (disk < 0)
		give_up("init: there is no disk\n");
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		ask(disk, row[i].operation, row[i].bytes, REQUESTS);
		for (long passage = 0; passage < PASSAGES; passage++) {
			mark(REQUESTS);
			ask(disk, row[i].operation, row[i].bytes, REQUESTS);
			mark(0);
		}
	}
	off();
}

__asm__(".global _start\n"
	"_start: b begin\n");
