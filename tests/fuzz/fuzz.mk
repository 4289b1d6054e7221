# The fuzzers: every tests/fuzz/fuzz_*.c is a program, built with clang's libFuzzer under ASan and UBSan of
# the sources that the `Sources:` lines of its head comment name. Included by the Makefile.

FUZZ_SECONDS ?= 60
FUZZ_SEED ?=
FUZZ_JOBS ?= 2
FUZZ_OUT := build/tests/fuzz
FUZZ_FLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -MMD -MP $(WARNINGS) -DWEIR_DEBUG \
	-Itests/fuzz/include -Itests/fuzz -Itests/host -Itests/host/fake -I. -Iguests/include

FUZZERS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

# One line if this clang cannot do it.
$(FUZZ_OUT)/clang: build/setup-test.mk
	@mkdir -p $(@D)
	@echo "int LLVMFuzzerTestOneInput(const char *data, long bytes) { return data && bytes < 0; }" | \
	$(CLANG) -x c - -fsanitize=fuzzer,address,undefined -o $@ 2>$@.log || { \
	echo "fuzz: $(CLANG) cannot link -fsanitize=fuzzer,address,undefined here ($@.log); Debian has it in libclang-rt-14-dev"; exit 1; }

$(FUZZ_OUT)/objects/%.o: % | $(FUZZ_OUT)/clang
	$(call step,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_FLAGS) -c $< -o $@

# What was reached is counted in the code under test alone: the models compare all day.
$(FUZZ_OUT)/objects/core/%.o $(FUZZ_OUT)/objects/ipc/%.o $(FUZZ_OUT)/objects/drivers/%.o: \
	FUZZ_FLAGS += -fsanitize=fuzzer-no-link
$(FUZZ_OUT)/objects/core/base/string.c.o: FUZZ_FLAGS += -fno-builtin

fuzz_sources = tests/fuzz/$(1).c $(call ipc_modules,$(shell sed -n 's/^ \* Sources: *//p' tests/fuzz/$(1).c))
define FUZZ_PROGRAM
$(FUZZ_OUT)/$(1): $(patsubst %,$(FUZZ_OUT)/objects/%.o,$(call fuzz_sources,$(1)))
	$$(call step,FUZZLD,$$@)
	$$(Q)$$(CLANG) -fsanitize=fuzzer,address,undefined -o $$@ $$^ -lfdt
endef
$(foreach fuzzer,$(FUZZERS),$(eval $(call FUZZ_PROGRAM,$(fuzzer))))

# What trees begin with: the machines of the host tests, and the images of all tests with a kernel that is
# nothing but the header of an arm64 Image. Some are wrong on purpose, so dtc keeps its warnings to itself.
FUZZ_KERNEL := 0000000000000000 0000080000000000 0010000000000000 0000000000000000 \
	0000000000000000 0000000000000000 0000000000000000 41524d6400000000
FUZZ_SEEDS := $(patsubst %.dts,$(FUZZ_OUT)/fuzz_platform.seeds/%.dtb,$(notdir $(filter-out %/system.dts, \
		$(wildcard tests/host/trees/*.dts)))) \
	$(patsubst %.dts,$(FUZZ_OUT)/fuzz_manifest.seeds/%.dtb,$(notdir tests/host/trees/system.dts \
		$(wildcard tests/qemu/*.dts configs/*.dts)))

define FUZZ_TREES
$(FUZZ_OUT)/$(1).seeds/%.dtb: $(2)/%.dts
	$$(call step,DTC,$$<)
	@mkdir -p $$(@D)
	$$(Q)sed 's|/incbin/([^)]*)|[$(FUZZ_KERNEL)]|g' $$< | dtc -q -I dts -O dtb -o $$@ -
endef
$(eval $(call FUZZ_TREES,fuzz_platform,tests/host/trees))
$(foreach folder,tests/host/trees tests/qemu configs,$(eval $(call FUZZ_TREES,fuzz_manifest,$(folder))))

.PHONY: fuzz fuzz-build
fuzz-build: $(FUZZ_OUT)/clang $(FUZZERS:%=$(FUZZ_OUT)/%) $(FUZZ_SEEDS)
fuzz: fuzz-build
	$(Q)tests/fuzz/run $(FUZZ_OUT) --seconds=$(FUZZ_SECONDS) --jobs=$(FUZZ_JOBS) \
		$(if $(FUZZ_SEED),--seed=$(FUZZ_SEED)) $(FUZZERS)
