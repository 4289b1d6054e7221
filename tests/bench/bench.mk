# Instruction counts (tests/bench/README.md). Every tests/bench/NAME.dts is an image of benchmark guests;
# guests/guests.mk builds them of tests/bench/*.c. Included by the Makefile.

BENCH_IMAGES := $(patsubst tests/bench/%.dts,$(B)/tests/bench/%.dtb,$(sort $(wildcard tests/bench/*.dts)))
# The hypervisor that counts inside EL2 is built into a folder of its own (BENCH=1).
BENCH_WEIR := build/$(patsubst -%,%,$(subst -bench,,$(VARIANT))-bench)/weir.bin

# It is the product with two files around core/trap.c, which the linker puts there.
ifdef BENCH
BENCH_OBJECTS := $(patsubst %,$(B)/weir/%.o,$(wildcard tests/bench/hypervisor/*.c))
WEIR_OBJECTS += $(BENCH_OBJECTS)
$(B)/weir.elf: $(BENCH_OBJECTS)
BENCH_WRAPPED := trap_hvc trap_sent trap_sync trap_irq trap_serror vm_step ipc_vcpu_step irq_handle cpu_wait cpu_power_off
$(B)/weir.elf: private WEIR_LD_FLAGS += $(BENCH_WRAPPED:%=--wrap=%)
# A call inside of what is compiled as one could not be wrapped.
$(BENCH_OBJECTS) $(B)/weir/core/life.c.o $(B)/weir/core/vm.c.o $(B)/weir/core/irq.c.o \
	$(B)/weir/ipc/store_watch.c.o: \
	private WEIR_FLAGS += -fno-lto
endif

# The guest without a runtime.
$(B)/tests/bench/first.elf: tests/bench/first/first.S
	$(call step,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_FLAGS) -c $< -o $(@:.elf=.o)
	$(Q)$(LD) $(GUEST_LD_FLAGS) -Ttext=0x40080000 -o $@ $(@:.elf=.o)

$(B)/tests/bench/first.bin: $(B)/tests/bench/first.elf
	$(call step,BIN,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

# The same with 62 VMs more, which sleep: on cores of theirs, or above those that are measured on the same core.
# What a VM may read of the store belongs to all of these.
BENCH_CROWDED := calls event_cross event_same grant switch ports store submit comm comm_copy upcall_cross block paths
BENCH_IMAGES += $(BENCH_CROWDED:%=$(B)/tests/bench/%_crowded.dtb)
CROWD_CORES := 2 3
CROWD_MORE :=
$(addprefix $(B)/tests/bench/,comm_crowded.dts comm_copy_crowded.dts): CROWD_CORES := 3 3
$(B)/tests/bench/block_crowded.dts: CROWD_CORES := 1 1
$(addprefix $(B)/tests/bench/,switch_crowded.dts ports_crowded.dts paths_crowded.dts): CROWD_CORES := 0 0
$(addprefix $(B)/tests/bench/,switch_crowded.dts ports_crowded.dts paths_crowded.dts): CROWD_MORE := priority = <7>;
$(B)/tests/bench/store_crowded.dts: CROWD_MORE := peers = \"bench\", \"own\";
define CROWD
{ print } /kernel =/ { print "\t\t\tbootargs = \"settle=1\";" } /^\tvms/ { for (i = 1; i <= 62; i++) printf "\t\tidle%d { kernel = /incbin/(\"idle.bin\"); \
memory-mib = <1>; shared-kib = <4>; window-kib = <4>; cores = <%d>; $(CROWD_MORE) };\n", i, \
i % 2 ? $(firstword $(CROWD_CORES)) : $(lastword $(CROWD_CORES)) }
endef
$(B)/tests/bench/%_crowded.dts: tests/bench/%.dts tests/bench/bench.mk
	@mkdir -p $(@D)
	$(Q)awk '$(CROWD)' $< > $@

$(B)/tests/bench/%_crowded.dtb: $(B)/tests/bench/%_crowded.dts | $(GUEST_BENCH_BINARIES)
	$(call step,IMAGE,$@)
	$(Q)tools/weir image $< -I $(B)/tests/bench --deps $@.d -o $@

$(B)/tests/bench/%.dtb: tests/bench/%.dts | $(GUEST_BENCH_BINARIES) $(B)/tests/bench/first.bin
	$(call step,IMAGE,$@)
	@mkdir -p $(@D)
	$(Q)tools/weir image $< -I $(B)/tests/bench --deps $@.d -o $@

include tests/bench/linux/linux.mk

.PHONY: bench bench-build bench-weir bench-check bench-limits
bench-weir: $(B)/weir.bin
	@:
bench-build: $(B)/weir.bin $(BENCH_IMAGES)
	$(Q)$(MAKE) --no-print-directory BENCH=1 bench-weir

BENCH_RUN = tools/bench --build $(B) --weir-bench $(BENCH_WEIR) --out $(B)/bench.json --also $(BENCH_LINUX_ROWS)

bench: bench-build bench-linux
	$(Q)$(BENCH_RUN) --page $(B)/bench.html

# One line for each row, as `make test` counts them; and new limits, from what this build reaches.
bench-check: bench-build bench-linux
	$(Q)$(BENCH_RUN) --check --quiet
bench-limits: bench-build
	$(Q)$(BENCH_RUN) --set-limits
