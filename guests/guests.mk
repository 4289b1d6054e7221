# Guests: every guests/NAME.c, guests/examples/NAME.c, tests/guest/NAME.c and tests/bench/NAME.c is the one
# source file of a guest, linked with the runtime of guests/lib into a raw image build/.../NAME.bin. Included
# by the Makefile.

GUEST_FLAGS := $(TARGET_FLAGS) $(WARNINGS) -fno-stack-protector -mno-outline-atomics \
	-I. -Iguests/include -Iguests/lib
GUEST_LD_FLAGS := -nostdlib -static --gc-sections --build-id=none -z noexecstack -z max-page-size=4096

GUEST_LIB_SOURCES := $(sort $(wildcard guests/lib/*.c guests/lib/*.S))
GUEST_LIB_OBJECTS := $(GUEST_LIB_SOURCES:%=$(B)/%.o)
GUEST_START := $(B)/guests/lib/start.S.o
GUEST_LIB := $(B)/guests/lib/libweirguest.a

GUEST_BINARIES := $(patsubst %.c,$(B)/%.bin,$(sort $(wildcard guests/*.c)))
# Folders of guests with their manifests beside them.
EXAMPLE_FOLDERS := examples kv pipeline
EXAMPLE_BINARIES := $(patsubst %.c,$(B)/%.bin,$(sort $(wildcard $(EXAMPLE_FOLDERS:%=guests/%/*.c))))
EXAMPLE_IMAGES := $(patsubst %.dts,$(B)/%.dtb,$(sort $(wildcard $(EXAMPLE_FOLDERS:%=guests/%/*.dts))))
GUEST_TEST_BINARIES := $(patsubst %.c,$(B)/%.bin,$(sort $(wildcard tests/guest/*.c)))
# Without the runtime, and so without a place to be linked at.
GUEST_TEST_BINARIES += $(patsubst %.S,$(B)/%.bin,$(wildcard tests/guest/*.S))
GUEST_BENCH_BINARIES := $(patsubst %.c,$(B)/%.bin,$(sort $(wildcard tests/bench/*.c)))

# Marks are weighed when the compiler decides what to unroll; the benchmarks count what everybody builds.
$(B)/guests/%.o $(B)/tests/guest/%.o: GUEST_FLAGS += -DWEIR_ORDER_MARKS

define GUEST_OBJECT
$(B)/$(1)/%.o: $(1)/% guests/guests.mk
	$$(call step,CC,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(GUEST_FLAGS) -c $$< -o $$@
endef
$(foreach folder,guests tests/guest tests/bench,$(eval $(call GUEST_OBJECT,$(folder))))

$(GUEST_LIB): $(GUEST_LIB_OBJECTS)
	$(call step,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter-out $(GUEST_START),$^)

# The start object is named, so that the linker takes it without being asked for a symbol of it.
define GUEST_ELF
$(B)/$(1)/%.elf: $(B)/$(1)/%.c.o $(GUEST_START) $(GUEST_LIB) guests/lib/guest.lds
	$$(call step,LD,$$@)
	$$(Q)$$(LD) $$(GUEST_LD_FLAGS) -T guests/lib/guest.lds -o $$@ $(GUEST_START) $$< $(GUEST_LIB)

$(B)/$(1)/%.bin: $(B)/$(1)/%.elf
	$$(call step,BIN,$$@)
	$$(Q)$$(OBJCOPY) -O binary $$< $$@
endef
$(foreach folder,guests tests/guest tests/bench,$(eval $(call GUEST_ELF,$(folder))))

$(B)/tests/guest/%.bin: $(B)/tests/guest/%.S.o
	$(call step,BIN,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

define EXAMPLE_IMAGE_OF
$(B)/guests/$(1)/%.dtb: guests/$(1)/%.dts | $(EXAMPLE_BINARIES)
	$$(call step,IMAGE,$$@)
	$$(Q)tools/weir image $$< -I $(B)/guests/$(1) --deps $$@.d -o $$@
endef
$(foreach folder,$(EXAMPLE_FOLDERS),$(eval $(call EXAMPLE_IMAGE_OF,$(folder))))

.PHONY: guests examples tests-guests bench-guests install-headers
guests: $(GUEST_BINARIES)
examples: $(EXAMPLE_IMAGES)
tests-guests: $(GUEST_TEST_BINARIES)
bench-guests: $(GUEST_BENCH_BINARIES)

# For guests that are built elsewhere: `pkg-config --cflags weir`, and `--libs` for a link by $(LD).
PREFIX_PATH = $(abspath $(PREFIX))
INSTALL_TO = $(DESTDIR)$(PREFIX_PATH)
install-headers: $(GUEST_START) $(GUEST_LIB)
	$(call step,INSTALL,$(INSTALL_TO)/include/weir)
	$(Q)install -d $(INSTALL_TO)/include/weir $(INSTALL_TO)/lib/weir $(INSTALL_TO)/lib/pkgconfig
	$(Q)install -m 644 guests/include/weir/*.h $(INSTALL_TO)/include/weir
	$(Q)install -m 644 guests/lib/guest.h $(INSTALL_TO)/lib/weir/guest.h
	$(Q)install -m 644 guests/lib/guest.lds $(GUEST_LIB) $(INSTALL_TO)/lib/weir
	$(Q)install -m 644 $(GUEST_START) $(INSTALL_TO)/lib/weir/start.o
	$(Q)sed 's|@PREFIX@|$(PREFIX_PATH)|' guests/lib/weir.pc.in >$(INSTALL_TO)/lib/pkgconfig/weir.pc
	$(Q)chmod 644 $(INSTALL_TO)/lib/pkgconfig/weir.pc
