# Weir: one plain Makefile, no recursion into folders, everything it makes is under build/.
# `make help` lists what it can do.

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
step = @printf '  %-7s %s\n' $(1) $(2)

# LLVM=1 builds with clang and lld into build/clang, DEBUG=1 adds assertions (build/debug), and
# BENCH=1 keeps the longest path of each exit class (build/bench). Each has a folder of its own.
VARIANT := $(if $(LLVM),-clang)$(if $(DEBUG),-debug)$(if $(BENCH),-bench)
B := build$(if $(VARIANT),/$(patsubst -%,%,$(VARIANT)))
# Relative to where the user stands, which under `make -C` is not here.
INPUT ?= $(CURDIR)/README.md
# To the recipe by the environment, as it was typed: a file may be called anything.
run: export WEIR_INPUT = $(if $(filter command environment,$(origin INPUT)),$(value INPUT),$(INPUT))
run: export WEIR_FROM = $(or $(value PWD),$(CURDIR))
PREFIX ?= /usr/local
# Where `make run` runs: virt, or rpi4 for the Raspberry Pi 4 (QEMU's raspi4b).
BOARD ?= virt
# What `make run` boots instead: a name of guests/examples, or folder/name.
EXAMPLE_NAME := $(if $(EXAMPLE),guests/$(if $(findstring /,$(EXAMPLE)),,examples/)$(EXAMPLE))

# Variables that are typed behind `make`: for every goal, and for some. make hands them to the programs that it calls, so
# some of the environment are among them. Whatever else is typed would change nothing, so it is a mistake. (A make that
# this one calls is told them all, wherever it goes.)
TAKES := V LLVM DEBUG BENCH CROSS_COMPILE LIBFDT_SRC CC LD AR OBJCOPY OBJDUMP CLANG LLD LLVM_OBJCOPY HOSTCC \
	CLANG_FORMAT CPPCHECK WARNINGS SHELL WEIR_% HOME PATH TMPDIR XDG_CACHE_HOME %_proxy
TAKES_run := INPUT EXAMPLE BOARD
TAKES_rpi4 := INPUT
TAKES_demo-pipeline := BOARD
TAKES_linux := LINUX MANIFEST DISK GIC BOARD
TAKES_test := FUZZ_SECONDS
TAKES_soak := SOAK SEED FUZZ_SECONDS
TAKES_fuzz := FUZZ_SECONDS FUZZ_SEED FUZZ_JOBS FUZZ_OUT
TAKES_install-headers := PREFIX DESTDIR
TAKING := run rpi4 demo-pipeline linux test soak fuzz install-headers

GOALS := $(or $(MAKECMDGOALS),all)
TYPED := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
# A file that is asked for may be anybody's.
TAKEN := $(foreach goal,$(GOALS) $(if $(findstring /,$(GOALS)),$(TAKING)),$(TAKES_$(goal)))
comma := ,
taken_by = $(strip $(foreach goal,$(TAKING),$(if $(filter $(1),$(TAKES_$(goal))),$(goal))))
refuse = $(error $(1): not a variable of make $(GOALS)$(if $(2),$(comma) but of make $(2)): make help lists them)
ifeq ($(MAKELEVEL),0)
$(foreach name,$(filter-out $(TAKES) $(TAKEN),$(TYPED)),$(call refuse,$(name),$(call taken_by,$(name))))
endif

# What is not there is said at once, in one line.
ifneq ($(filter run demo-pipeline,$(MAKECMDGOALS)),)
ifeq ($(filter virt rpi4,$(BOARD)),)
$(error BOARD=$(BOARD): there are BOARD=virt and BOARD=rpi4)
endif
ifneq ($(filter-out $(wildcard $(EXAMPLE_NAME:%=%.dts)),$(EXAMPLE_NAME:%=%.dts)),)
$(error EXAMPLE=$(EXAMPLE): there is no $(EXAMPLE_NAME).dts)
endif
endif

# Goals that build nothing need no set-up.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),all)),)
include build/setup.mk
endif
ifneq ($(LLVM)$(filter test soak check check-% bench bench-% fmt host-tests fuzz fuzz-build qemu-tests tests-build,$(MAKECMDGOALS)),)
include build/setup-test.mk
endif

build/setup.mk: tools/setup tools/weirlib/packages.sh
	@mkdir -p build
	@tools/setup run $@

build/setup-test.mk: tools/setup build/setup.mk
	@mkdir -p build
	@tools/setup test $@

# ---- Tools ---------------------------------------------------------------------------------------

CLANG ?= clang
ifdef LLVM
CC := $(CLANG) --target=aarch64-linux-gnu
LD = $(or $(LLD),ld.lld)
OBJCOPY := $(or $(LLVM_OBJCOPY),llvm-objcopy)
else
CC := $(CROSS_COMPILE)gcc
LD := $(CROSS_COMPILE)ld
OBJCOPY := $(CROSS_COMPILE)objcopy
endif
AR := $(CROSS_COMPILE)ar
OBJDUMP := $(CROSS_COMPILE)objdump

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
TARGET_FLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -fno-common -fomit-frame-pointer \
	-mgeneral-regs-only -mstrict-align -ffunction-sections -fdata-sections -MMD -MP
# Cortex-A53 835769: a multiply-accumulate behind a load or store.
TARGET_FLAGS += -mno-outline-atomics -mfix-cortex-a53-835769 $(if $(LLVM),-Wthread-safety)

# The compiler's own headers and ours: what a C library has installed is not seen.
# Before the set-up has run there is no compiler to ask; make starts again when it has.
NO_LIBC := -nostdinc -isystem core/base/libc \
	$(if $(if $(LLVM),$(LLD),$(CROSS_COMPILE)),-isystem $(shell $(CC) -print-file-name=include))

# ---- The hypervisor ------------------------------------------------------------------------------

# Debian's library, or one made from a source tree of the user's own.
ifdef LIBFDT_SRC
$(if $(wildcard $(LIBFDT_SRC)/fdt_check.c),,$(error LIBFDT_SRC: $(LIBFDT_SRC) has no fdt_check.c: name the libfdt folder of dtc 1.6 or later))
FDT_OBJECTS := $(patsubst %,$(B)/libfdt/%.o,fdt fdt_ro fdt_addresses fdt_sw fdt_check)
LIBFDT_A := $(B)/libfdt/libfdt.a
LIBFDT_INC := $(LIBFDT_SRC)
$(B)/libfdt/%.o: $(LIBFDT_SRC)/%.c
	$(call step,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_FLAGS) -mbranch-protection=bti -I. -I$(LIBFDT_SRC) $(NO_LIBC) -c $< -o $@
$(LIBFDT_A): $(FDT_OBJECTS)
	$(call step,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
endif

WEIR_SOURCES := $(sort $(wildcard arch/arm64/*.S arch/arm64/*.c core/*.c core/base/*.c core/vdev/*.c \
	drivers/*.c ipc/*.c))
WEIR_OBJECTS := $(WEIR_SOURCES:%=$(B)/weir/%.o)
# Registers that EL2 leaves alone, so that an exit need not save them (arch/arm64/entry.S). libfdt is not built
# so: it runs at boot only. tools/check-fp looks.
UNUSED := x12 x13 x14 x15 x18
WEIR_FLAGS := $(TARGET_FLAGS) $(WARNINGS) -DWEIR_ORDER_MARKS -mbranch-protection=bti -fstack-protector-strong \
	$(UNUSED:%=-ffixed-%) \
	-I. -Iguests/include $(NO_LIBC) $(if $(DEBUG),-DWEIR_DEBUG) $(if $(BENCH),-DWEIR_BENCH) \
	$(if $(LIBFDT_INC),-isystem $(LIBFDT_INC))
# The image is smaller than 1 MiB, so an address is one instruction. Padding between functions and loops, which
# clang does not do by itself, would be another 2 % of text.
WEIR_FLAGS += -mcmodel=tiny $(if $(LLVM),,-fno-align-functions -fno-align-loops -fno-align-jumps)

# What runs at boot, or seldom, or waits for a device or the console anyway is made small, not fast.
COLD_SOURCES := $(wildcard core/manifest*.c core/vm*.c drivers/*.c) arch/arm64/cpu.c arch/arm64/early.c arch/arm64/extensions.c arch/arm64/mmu.c \
	arch/arm64/secondary.c \
	arch/arm64/stage2.c core/console.c core/disks.c core/fault.c core/guest_tree.c core/life.c \
	core/base/log.c core/machine.c core/main.c core/memory.c core/monitor.c core/partition.c core/platform.c core/probe.c \
	core/tree_walk.c core/watchdog.c core/passthrough.c \
	core/vdev/vgic_ask.c core/vdev/vgic_v2.c core/vdev/vptimer.c core/vdev/virtio.c core/vdev/virtio_console.c core/vdev/vuart.c ipc/block.c $(wildcard ipc/block_*.c) ipc/grant_check.c ipc/grant_life.c ipc/grant_list.c ipc/grant_port.c ipc/ipc.c ipc/manage.c ipc/port.c ipc/port_source.c ipc/upcall.c $(wildcard ipc/store_*.c)
# gcc makes it larger by what these three would do for speed.
$(COLD_SOURCES:%=$(B)/weir/%.o): WEIR_FLAGS += -Os \
	$(if $(LLVM),,-fno-shrink-wrap -fno-move-loop-invariants -fno-tree-loop-im)

# Nor is a frame for every way through worth its instructions where most ways need one.
FRAMED := core/trap.c core/vdev/vpsci.c core/vdev/vsysreg.c core/vdev/vgic_hardware.c core/vdev/vgic_wake.c
$(FRAMED:%=$(B)/weir/%.o): WEIR_FLAGS += $(if $(LLVM),,-fno-shrink-wrap)

# gcc compiles all of it as one when it links: hot paths get shorter by a tenth, and text by a twentieth,
# if it then inlines less of its own accord.
LTO := $(if $(LLVM),,-flto --param=max-inline-insns-auto=6)
WEIR_FLAGS += $(LTO)
# Not these: what runs while the MMU or the stack guard is not yet there, what the compiler calls, and what the
# linker script or the benchmarks look for by its name.
APART := arch/arm64/cpu.c arch/arm64/early.c arch/arm64/secondary.c core/base/stack_guard.c core/base/string.c
# Nor this: it runs before registers are saved that all others may use (arch/arm64/entry.S).
NARROW := ipc/event_send.c
$(NARROW:%=$(B)/weir/%.o): WEIR_FLAGS += -ffixed-x7 $(addprefix -fcall-saved-x,8 9 10 11)
$(patsubst %,$(B)/weir/%.o,$(APART) $(NARROW)): WEIR_FLAGS += -fno-lto
$(B)/weir/arch/arm64/early.c.o: WEIR_FLAGS += -fno-stack-protector

# Cortex-A53 843419: an ADRP at the end of a page.
WEIR_LD_FLAGS := -nostdlib -static --fix-cortex-a53-843419 --gc-sections --build-id=none -z noexecstack -z max-page-size=4096 \
	-T arch/arm64/weir.lds -Map=$(B)/weir.map
# Code is made as its own file was asked for; -Os is for the strings of tables, which then begin at any byte, not at
# every eighth.
WEIR_LINK = $(if $(LTO),$(CC) $(filter-out -M%,$(WEIR_FLAGS)) -Os -flto-partition=one -nostdlib -static -no-pie \
	$(WEIR_LD_FLAGS:%=-Xlinker %),$(LD) $(WEIR_LD_FLAGS))

$(B)/weir/%.o: % build/setup.mk Makefile
	$(call step,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(WEIR_FLAGS) -c $< -o $@

$(B)/weir.elf: $(WEIR_OBJECTS) arch/arm64/weir.lds $(LIBFDT_A)
	$(call step,LD,$@)
	$(Q)$(WEIR_LINK) -o $@ $(WEIR_OBJECTS) $(LIBFDT_A)

$(B)/weir.bin: $(B)/weir.elf
	$(call step,BIN,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

# The stub for flash; nothing in it refers to an address, so it needs no linker.
$(B)/flash.o: tools/flash.S build/setup.mk
	$(call step,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -c $< -o $@

$(B)/flash.bin: $(B)/flash.o
	$(call step,BIN,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

# ---- Boards --------------------------------------------------------------------------------------

# The same for all variants, and where the tools look for it.
RPI4_TREE := build/rpi4/bcm2711-rpi-4-b.dtb
$(RPI4_TREE): tools/setup
	$(call step,TREE,$@)
	@tools/setup rpi4 $@

# ---- Guests, images, tests -----------------------------------------------------------------------

-include guests/guests.mk
-include guests/linux/linux.mk
-include tests/host/host.mk
-include tests/fuzz/fuzz.mk
-include tests/qemu/qemu.mk
-include tests/bench/bench.mk
-include tests/tests.mk

# A .dts is one system image: the tool checks it, dtc makes it.
$(B)/images/%.dtb: configs/%.dts $(wildcard tools/weir tools/weirlib/*.py)
	$(call step,IMAGE,$@)
	@mkdir -p $(@D)
	$(Q)tools/weir image $< -I $(B)/guests --deps $@.d -o $@

IMAGES := $(patsubst configs/%.dts,$(B)/images/%.dtb,$(wildcard configs/*.dts))
$(IMAGES): $(GUEST_BINARIES)

# ---- What people call ----------------------------------------------------------------------------

# One file of the hypervisor and an image: for -kernel or booti, and for -bios.
$(B)/joined/%.bin: $(B)/images/%.dtb $(B)/weir.bin
	$(call step,JOIN,$@)
	@mkdir -p $(@D)
	$(Q)tools/weir join $< --weir $(B)/weir.bin -o $@

$(B)/joined/%.flash: $(B)/images/%.dtb $(B)/weir.bin $(B)/flash.bin
	$(call step,JOIN,$@)
	@mkdir -p $(@D)
	$(Q)tools/weir join --bios $< --weir $(B)/weir.bin -o $@

$(B)/joined/%.ramdisk: $(B)/images/%.dtb
	$(call step,WRAP,$@)
	@mkdir -p $(@D)
	$(Q)tools/weir wrap $< -o $@

JOINED := $(patsubst $(B)/images/%.dtb,$(B)/joined/%.bin,$(IMAGES))

.PHONY: all run demo-pipeline rpi4 help clean fmt images joined
all: $(B)/weir.bin $(B)/flash.bin $(IMAGES)
joined: $(JOINED) $(JOINED:.bin=.flash) $(JOINED:.bin=.ramdisk)
images: $(IMAGES)

# Nothing here asks for root: the card's file system is written by mtools.
RPI4_BOOT := build/rpi4/boot
rpi4: export WEIR_INPUT = $(if $(filter command environment,$(origin INPUT)),$(value INPUT),$(INPUT))
rpi4: export WEIR_FROM = $(or $(value PWD),$(CURDIR))
rpi4: all $(RPI4_TREE)
	$(call step,CARD,build/rpi4/sdcard.img)
	$(Q)rm -rf $(RPI4_BOOT) && mkdir -p $(RPI4_BOOT)
	$(Q)cp $(B)/weir.bin $(RPI4_BOOT)/kernel8.img && cp $(B)/images/carry.dtb $(RPI4_BOOT)/weir.dtb
	$(Q)cp configs/config.txt $(RPI4_TREE) $(RPI4_BOOT)/
	@case "$$WEIR_INPUT" in /* | '') ;; *) WEIR_INPUT="$$WEIR_FROM/$$WEIR_INPUT" ;; esac; \
	tools/carry "$$WEIR_INPUT" --no-run --disk build/rpi4/sdcard.img --weir $(B)/weir.bin \
		--image $(B)/images/carry.dtb
	@tools/card build/rpi4/sdcard.img $(RPI4_BOOT) --image $(B)/images/carry.dtb

EXAMPLE_IMAGE := $(EXAMPLE_NAME:%=$(B)/%.dtb)
RUN_EXAMPLE = tools/weir run $(EXAMPLE_IMAGE) --board '$(BOARD)' --weir $(B)/weir.bin
run: all $(EXAMPLE_IMAGE) $(if $(filter rpi4,$(BOARD)),$(RPI4_TREE))
	@$(if $(EXAMPLE),exec $(RUN_EXAMPLE);) \
	case "$$WEIR_INPUT" in /* | '') ;; *) WEIR_INPUT="$$WEIR_FROM/$$WEIR_INPUT" ;; esac; \
	tools/carry "$$WEIR_INPUT" --board '$(BOARD)' --weir $(B)/weir.bin --image $(B)/images/carry.dtb

# A chain of VMs with a verdict, by which it ends.
DEMO_IMAGE := $(B)/guests/pipeline/pipeline.dtb
demo-pipeline: all $(DEMO_IMAGE) $(if $(filter rpi4,$(BOARD)),$(RPI4_TREE))
	@tools/weir run $(DEMO_IMAGE) --board '$(BOARD)' --weir $(B)/weir.bin | tee $(B)/demo-pipeline.log
	@grep -q '^\[supervisor\] PASSED: ' $(B)/demo-pipeline.log

fmt:
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' | xargs $(or $(CLANG_FORMAT),clang-format-14) -i

clean:
	$(Q)rm -rf build

help:
	@echo 'make                     set up what is missing, build $(B)/weir.bin and the images'
	@echo 'make run [INPUT=file]    boot Weir on QEMU; the file crosses from one VM to another'
	@echo 'make run EXAMPLE=name    a small one instead: a name of guests/examples/*.dts'
	@echo 'make demo-pipeline       three VMs in a chain; the middle one is killed and comes back, nothing is lost'
	@echo 'make run BOARD=rpi4      the same on the Raspberry Pi 4, as QEMU has it (raspi4b)'
	@echo 'make linux               Debian'"'"'s Linux to a shell; LINUX=6.12, MANIFEST=two, DISK=file, GIC=3, BOARD=rpi4'
	@echo 'make rpi4 [INPUT=file]   what a Raspberry Pi 4 boots: build/rpi4/boot, and build/rpi4/sdcard.img'
	@echo 'make joined              one file of Weir and each image: $(B)/joined/*.bin, *.flash for -bios'
	@echo 'make test                all tests (host and QEMU)'
	@echo 'make soak [SOAK=4h]      the tests that can go on for long: a time, a count, or 10000,4h; SEED=n repeats'
	@echo 'make fuzz                the fuzzers, FUZZ_SECONDS=60 each, FUZZ_JOBS=2 at a time, FUZZ_SEED=n repeats'
	@echo 'make check               format, warnings with gcc and clang, cppcheck, who includes whom, lengths'
	@echo 'make bench               instruction counts, their limits, and those of other hypervisors'
	@echo 'make bench-limits        new limits (tests/bench/limits.json), 2 % above what is built'
	@echo 'make install-headers     para-virtual headers and guest library to PREFIX=$(PREFIX) (below DESTDIR=)'
	@echo 'make fmt                 lay the sources out with clang-format-14'
	@echo 'make clean               remove build/'
	@echo 'Variables: LLVM=1 clang and lld; DEBUG=1 assertions; V=1 show commands;'
	@echo '           CROSS_COMPILE=prefix-, LIBFDT_SRC=dir, WEIR_QEMU=path'

-include $(shell find build -name '*.d' 2>/dev/null)
