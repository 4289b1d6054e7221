# The tests on QEMU: every tests/qemu/NAME.dts is an image of test guests, and one test. Included by the
# Makefile; guests/guests.mk builds the guests.

TEST_IMAGES := $(patsubst tests/qemu/%.dts,$(B)/tests/qemu/%.dtb,$(sort $(wildcard tests/qemu/*.dts)))

# What an image is made of stands in its .d file, written by the tool; the first time, all guests are there.
$(B)/tests/qemu/%.dtb: tests/qemu/%.dts | $(GUEST_TEST_BINARIES) $(GUEST_BINARIES)
	$(call step,IMAGE,$@)
	@mkdir -p $(@D)
	$(Q)tools/weir image $< -I $(B)/tests/guest -I $(B)/guests --deps $@.d -o $@

# Firmware for tests that want a processor in another state than QEMU gives it.
TEST_FIRMWARE := $(patsubst tests/qemu/%.S,$(B)/tests/qemu/%.bin,$(wildcard tests/qemu/*.S))
$(B)/tests/qemu/%.bin: tests/qemu/%.S build/setup.mk
	$(call step,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -c $< -o $(@:.bin=.o) && $(OBJCOPY) -O binary $(@:.bin=.o) $@

# Images with Linux; they are the same for all variants.
# The one whose console is on virtio has the newer kernel, all others of tests/qemu/linux the older.
LINUX_TEST_NAMES := $(filter-out hvc,$(patsubst tests/qemu/linux/%.dts,%,$(wildcard tests/qemu/linux/*.dts)))
LINUX_TEST_IMAGES := $(foreach version,6.1 6.12,build/linux/linux-$(version).dtb build/linux/disk-$(version).dtb) \
	$(LINUX_TEST_NAMES:%=build/tests/qemu/linux/%-6.1.dtb) build/tests/qemu/linux/hvc-6.12.dtb
define LINUX_TEST_IMAGE
build/tests/qemu/linux/%-$(1).dtb: tests/qemu/linux/%.dts build/linux/$(1)/ramdisk.cpio | $(GUEST_TEST_BINARIES)
	$$(call step,IMAGE,$$@)
	@mkdir -p $$(@D)
	$$(Q)tools/weir image $$< -I build/linux/$(1) -I $(B)/tests/guest -I /usr/lib/u-boot/qemu_arm64 --deps $$@.d -o $$@
endef
$(foreach version,6.1 6.12,$(eval $(call LINUX_TEST_IMAGE,$(version))))

.PHONY: tests-build linux-tests-build qemu-tests
linux-tests-build: $(LINUX_TEST_IMAGES)
# All that the tests on QEMU boot: of both compilers, and with assertions, and the Raspberry Pi's tree.
tests-build: all $(EXAMPLE_IMAGES) $(TEST_IMAGES) $(TEST_FIRMWARE) $(RPI4_TREE)
	$(Q)$(MAKE) --no-print-directory LLVM=1 build/clang/weir.bin
	$(Q)$(MAKE) --no-print-directory DEBUG=1 build/debug/weir.bin
	-$(Q)$(MAKE) --no-print-directory linux-tests-build # what cannot be downloaded fails its tests, not all

qemu-tests: tests-build
	$(Q)tests/run --no-build qemu
