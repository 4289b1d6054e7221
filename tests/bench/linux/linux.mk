# Linux to its init and off, in a VM and natively: `make bench-linux` (tests/bench/README.md). Nobody fetches a
# kernel for it: `make linux` does, and then it is in the cache. Included by tests/bench/bench.mk.

BENCH_LINUX := $(B)/tests/bench/linux
BENCH_LINUX_ROWS := $(B)/bench-linux.json
BENCH_KERNEL := build/linux/6.1/vmlinuz

# Each is a text without a runtime; the number is where it runs.
$(BENCH_LINUX)/init.elf $(BENCH_LINUX)/block.elf: BENCH_AT := 0x400000
$(BENCH_LINUX)/tree.elf: BENCH_AT := 0x40200000
$(BENCH_LINUX)/native.elf: BENCH_AT := 0x50000000
define BENCH_LINUX_ELF
	$(call step,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_FLAGS) -c $< -o $(@:.elf=.o)
	$(Q)$(LD) $(GUEST_LD_FLAGS) -Ttext=$(BENCH_AT) -o $@ $(@:.elf=.o)
endef
$(BENCH_LINUX)/native.elf $(BENCH_LINUX)/tree.elf: tests/bench/linux/print.S
$(BENCH_LINUX)/%.elf: tests/bench/linux/%.S tests/bench/linux/linux.mk
	$(BENCH_LINUX_ELF)
$(BENCH_LINUX)/%.elf: tests/bench/linux/%.c tests/bench/linux/linux.mk
	$(BENCH_LINUX_ELF)

$(BENCH_LINUX)/tree.bin: $(BENCH_LINUX)/tree.elf
	$(call step,BIN,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

# Two ramdisks: an init that ends at once, and one with the modules of virtio's disk.
BENCH_MODULES := build/linux/6.1/modules/virtio_mmio.ko build/linux/6.1/modules/virtio_blk.ko
$(BENCH_MODULES): build/linux/6.1/busybox
$(BENCH_LINUX)/boot.cpio: $(BENCH_LINUX)/init.elf
$(BENCH_LINUX)/block.cpio: $(BENCH_LINUX)/block.elf $(BENCH_MODULES)
$(BENCH_LINUX)/%.cpio:
	$(call step,RAMDISK,$@)
	$(Q)rm -rf $@.root && mkdir -p $@.root/dev && cp $^ $@.root && mv $@.root/$(<F) $@.root/init
	$(Q)find $@.root -exec touch -d @0 {} +
	$(Q)cd $@.root && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet >../$(@F).new
	$(Q)mv $@.new $@

# The same VMs with what prints its tree in the kernel's place.
$(BENCH_LINUX)/%_tree.dts: tests/bench/linux/%.dts
	@mkdir -p $(@D)
	$(Q)sed 's/vmlinuz/tree.bin/' $< > $@
$(BENCH_LINUX)/%.dts: tests/bench/linux/%.dts
	@mkdir -p $(@D)
	$(Q)cp $< $@

# These by name, or make takes the rule of all images while the kernel is not unpacked.
BENCH_LINUX_IMAGES := $(patsubst %,$(BENCH_LINUX)/%.dtb,boot boot_tree block block_tree)
$(BENCH_LINUX_IMAGES): $(BENCH_LINUX)/%.dtb: $(BENCH_LINUX)/%.dts $(BENCH_LINUX)/boot.cpio $(BENCH_LINUX)/block.cpio \
		$(BENCH_LINUX)/tree.bin build/linux/6.1/busybox
	$(call step,IMAGE,$@)
	$(Q)tools/weir image $< -I $(BENCH_LINUX) -I build/linux/6.1 -o $@

.PHONY: bench-linux bench-linux-build bench-linux-rows
bench-linux-build: $(BENCH_LINUX_IMAGES) $(BENCH_LINUX)/native.elf

bench-linux-rows: bench-linux-build
	$(Q)tools/bench-linux --folder $(BENCH_LINUX) --kernel $(BENCH_KERNEL) --weir-bench $(BENCH_WEIR) \
		--out $(BENCH_LINUX_ROWS)

# What an earlier run has counted is not of this build. (A line with $(MAKE) is executed by `make -n` too.)
bench-linux: bench-build
	$(Q)rm -f $(BENCH_LINUX_ROWS)
	$(Q)if missing=$$(tools/setup --check linux 6.1); then $(MAKE) --no-print-directory bench-linux-rows; \
	else echo "linux.boot_instructions: not measured; \`make linux\` fetches what is missing:" && echo "$$missing"; fi
