# Host tests of the portable code: every tests/host/test_*.c is a program, built with gcc under ASan and
# UBSan of the sources that the `Sources:` lines of its head comment name. Included by the Makefile.

HOSTCC ?= gcc
HOST_OUT := build/tests/host
HOST_FLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -MMD -MP $(WARNINGS) -DWEIR_DEBUG -DTREES='"$(HOST_OUT)/trees"' \
	-Itests/host/fake -I. -Iguests/include

HOST_TESTS := $(patsubst tests/host/%.c,%,$(sort $(wildcard tests/host/test_*.c)))
HOST_PROGRAMS := $(HOST_TESTS:%=$(HOST_OUT)/%)
HOST_TREES := $(patsubst tests/host/trees/%.dts,$(HOST_OUT)/trees/%.dtb,$(wildcard tests/host/trees/*.dts))

$(HOST_OUT)/objects/%.o: %
	$(call step,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_FLAGS) -c $< -o $@

# Some trees are wrong on purpose, so dtc keeps its warnings to itself.
$(HOST_OUT)/trees/%.dtb: tests/host/trees/%.dts
	$(call step,DTC,$<)
	@mkdir -p $(@D)
	$(Q)dtc -q -I dts -O dtb -o $@ $<

# A module of ipc/ in several files, or the vGIC, is named by the first: with ipc/grant.c come ipc/grant_*.c. With
# ipc/ipc.c come those that every VM has, and for which no test has another.
IPC_WITH := ipc/submit.c ipc/copy.c ipc/store.c $(wildcard ipc/store_*.c) core/manifest_store.c
# With ipc/block.c come the virtio devices of its disks; they and the vGIC look at why a guest left.
ipc_modules = $(sort $(1) $(if $(filter ipc/ipc.c,$(1)),$(IPC_WITH)) $(wildcard $(patsubst %.c,%_*.c,$(filter ipc/% core/vdev/vgic.c,$(1)))) \
	$(if $(filter ipc/block.c,$(1)),core/vdev/virtio.c core/vdev/virtio_queue.c) \
	$(if $(filter ipc/block.c core/vdev/vgic.c,$(1)),tests/host/fake/exit.c))
host_sources = tests/host/$(1).c $(call ipc_modules,$(shell sed -n 's/^ \* Sources: *//p' tests/host/$(1).c))
define HOST_PROGRAM
$(HOST_OUT)/$(1): $(patsubst %,$(HOST_OUT)/objects/%.o,$(call host_sources,$(1)))
	$$(call step,HOSTLD,$$@)
	$$(Q)$$(HOSTCC) $$(HOST_FLAGS) -o $$@ $$^ -lcmocka -lfdt
endef
$(foreach test,$(HOST_TESTS),$(eval $(call HOST_PROGRAM,$(test))))

# All of the portable code compiles here, and every fake, also what no program is linked with yet.
# The functions of string.c are those that the compiler otherwise takes for its own.
HOST_PORTABLE := $(sort $(wildcard core/*.c core/*/*.c ipc/*.c tests/host/fake/*.c))
$(HOST_OUT)/objects/core/base/string.c.o: HOST_FLAGS += -fno-builtin

# Objects are shared between the programs, and kept.
.SECONDARY:

.PHONY: host-tests host-tests-build
host-tests-build: $(HOST_PROGRAMS) $(HOST_TREES) $(HOST_PORTABLE:%=$(HOST_OUT)/objects/%.o)
host-tests: host-tests-build
	$(Q)tests/host/run-programs $(HOST_OUT) $(HOST_TESTS)
