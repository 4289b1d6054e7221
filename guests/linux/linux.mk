# Debian's Linux as a guest: `make linux`. Kernel, modules and busybox come out of Debian's packages (tools/setup);
# they and the ramdisk are the same for all variants of the build. Included by the Makefile.

# 6.1 is bookworm's, 6.12 that of its backports.
LINUX ?= 6.1
# A manifest of guests/linux: linux, disk or two. The disk of `disk` is a raw image, kept from one run to the next.
MANIFEST ?= linux
DISK ?= $(if $(filter disk,$(MANIFEST)),build/linux/disk.img)
GIC ?= 2
LINUX_MANIFESTS := $(sort $(patsubst guests/linux/%.dts,%,$(wildcard guests/linux/*.dts)))

# Said at once, and not by whatever misses it first.
ifneq ($(filter linux,$(MAKECMDGOALS)),)
ifeq ($(and $(findstring .,$(LINUX)),$(filter 1% 2% 3% 4% 5% 6% 7% 8% 9%,$(LINUX))),)
$(error LINUX=$(LINUX): it is a version of two numbers, 6.1 or 6.12)
endif
ifeq ($(filter $(LINUX_MANIFESTS),$(MANIFEST)),)
$(error MANIFEST=$(MANIFEST): guests/linux has no such manifest, but $(LINUX_MANIFESTS))
endif
ifneq ($(filter-out build/linux/disk.img $(wildcard $(DISK)),$(DISK)),)
$(error DISK=$(DISK): there is no such file: name a raw image, or none for build/linux/disk.img)
endif
ifeq ($(filter virt:2 virt:3 rpi4:2,$(BOARD):$(GIC)),)
$(error BOARD=$(BOARD) GIC=$(GIC): there are BOARD=virt with GIC=2 or 3, and BOARD=rpi4, which has a GICv2)
endif
endif

LINUX_ROOT := $(wildcard guests/linux/root/etc/*)
LINUX_IMAGE := $(B)/linux/$(MANIFEST)-$(LINUX).dtb

build/linux/%/busybox: tools/setup tools/weirlib/packages.sh guests/linux/modules
	$(call step,UNPACK,$(@D))
	@tools/setup linux $* $(@D)
	@touch $@

# cpio writes the folder as it is; nobody's name and no time gets in, so the same files give the same ramdisk.
build/linux/%/ramdisk.cpio: build/linux/%/busybox $(LINUX_ROOT) guests/linux/linux.mk
	$(call step,RAMDISK,$@)
	$(Q)rm -rf $(@D)/root && mkdir -p $(@D)/root/bin $(@D)/root/lib/modules
	$(Q)cp -r guests/linux/root/. $(@D)/root && cp $< $(@D)/root/bin && ln -s bin/busybox $(@D)/root/init
	$(Q)cp $(@D)/modules/* $(@D)/root/lib/modules
	$(Q)sed '/^#/d; s|.*/||; s|$$|.ko|' guests/linux/modules | \
		while read -r module; do [ ! -e $(@D)/modules/$$module ] || echo $$module; done >$(@D)/root/lib/modules/order
	$(Q)find $(@D)/root -exec touch -hd @0 {} +
	$(Q)cd $(@D)/root && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet >../ramdisk.new
	$(Q)mv $(@D)/ramdisk.new $@

define LINUX_IMAGES
$(B)/linux/%-$(1).dtb: guests/linux/%.dts build/linux/$(1)/ramdisk.cpio $(B)/guests/hello.bin
	$$(call step,IMAGE,$$@)
	@mkdir -p $$(@D)
	$$(Q)tools/weir image $$< -I build/linux/$(1) -I $(B)/guests -o $$@
endef
$(foreach version,6.1 6.12 $(filter-out 6.1 6.12,$(LINUX)),$(eval $(call LINUX_IMAGES,$(version))))

build/linux/disk.img:
	$(call step,DISK,$@)
	$(Q)rm -f $@.new && mformat -C -T 131072 -v WEIR -i $@.new :: && mv $@.new $@

.PHONY: linux
linux: all $(LINUX_IMAGE) $(DISK) $(if $(filter rpi4,$(BOARD)),$(RPI4_TREE))
	@echo 'linux: boots without a word for some seconds; Ctrl-] is the monitor of Weir, Ctrl-A X leaves QEMU'
	@tools/weir run $(LINUX_IMAGE) --board '$(BOARD)' --weir $(B)/weir.bin \
		$(if $(filter rpi4,$(BOARD)),,--memory-mib 1024 --gic '$(GIC)') $(DISK:%=--disk '%')
