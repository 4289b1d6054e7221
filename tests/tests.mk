# `make test`, `make soak` and `make check`. tests/run runs them and counts; each check is one target here,
# which prints what is wrong and fails. Included by the Makefile.

CLANG_FORMAT ?= clang-format-14
CPPCHECK ?= cppcheck

CHECKS := check-format check-gcc check-debug check-clang check-cxx check-cppcheck check-includes check-sizes check-fp check-order check-exclusives check-models

ORDER_GUESTS := guests/reader.elf guests/writer.elf guests/examples/record_sink.elf tests/guest/ring_again.elf tests/guest/submit.elf \
	tests/guest/mqueue.elf

.PHONY: test soak check $(CHECKS)
test:
	@tests/run

# SOAK says for how long (tests/soak.py), SEED repeats a run.
soak:
	@tests/run --soak='$(SOAK)' $(if $(SEED),--seed='$(SEED)')

check:
	@tests/run check

# No other version lays out alike, so where it cannot be had the rest is still checked.
check-format:
	$(Q)if ! command -v $(CLANG_FORMAT) >/dev/null; then echo "skipped: no $(CLANG_FORMAT)"; exit 0; fi; \
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs $(CLANG_FORMAT) --dry-run -Werror

# Warnings are errors in every build; clang's are those of -Wthread-safety too.
check-gcc: all examples tests-guests

check-debug:
	$(Q)$(MAKE) --no-print-directory DEBUG=1 build/debug/weir.bin

check-clang:
	$(Q)$(MAKE) --no-print-directory LLVM=1 all examples tests-guests

# The para-virtual headers, each on its own, and the examples are C11 and C++: for guests, and for tests on the host.
HEADERS := $(patsubst guests/include/%,%,$(sort $(wildcard guests/include/weir/*.h)))
HEADER_FLAGS := -Wall -Wextra -Wshadow -Wcast-qual -Werror -fsyntax-only -ffreestanding -Iguests/include -Iguests/lib
HEADER_COMPILERS := '$(CC) -xc -std=c11' '$(HOSTCC) -xc -std=c11' '$(CLANG) -xc++ -std=c++11' \
	'$(CLANG) --target=aarch64-linux-gnu -xc++ -std=c++11'
check-cxx:
	$(Q)for compiler in $(HEADER_COMPILERS); do for header in $(HEADERS); do \
		echo "#include <$$header>" | $$compiler $(HEADER_FLAGS) - || exit 1; done; done
	$(Q)for example in guests/examples/*.c; do \
		$(CLANG) --target=aarch64-linux-gnu -xc++ -std=c++11 $(HEADER_FLAGS) $$example || exit 1; done

# Suppressed: what is there on purpose. tests/cppcheck.txt says why.
check-cppcheck:
	$(Q)$(CPPCHECK) --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--suppressions-list=tests/cppcheck.txt --library=gnu -D__aarch64__ -D__GNUC__=12 \
		-I. -Iguests/include -Iguests/lib arch core drivers ipc guests tests/guest

check-includes:
	$(Q)tools/check-includes

check-sizes:
	$(Q)tools/check-sizes

check-fp: $(B)/weir.elf
	$(Q)$(MAKE) --no-print-directory LLVM=1 build/clang/weir.elf
	$(Q)tools/check-fp $< --library $(LIBFDT_A) --prefix $(CROSS_COMPILE)
	$(Q)tools/check-fp build/clang/weir.elf --library $(LIBFDT_A) --prefix $(CROSS_COMPILE)

# The marks of the locks are in debug builds, the rings' in guests.
check-order: $(B)/weir.elf $(ORDER_GUESTS:%=$(B)/%)
	$(Q)$(MAKE) --no-print-directory DEBUG=1 build/debug/weir.elf
	$(Q)$(MAKE) --no-print-directory LLVM=1 build/clang/weir.elf $(ORDER_GUESTS:%=build/clang/%)
	$(Q)tools/check-order $^ build/debug/weir.elf --objdump $(OBJDUMP)
	$(Q)tools/check-paths $< build/debug/weir.elf build/clang/weir.elf --objdump $(OBJDUMP)
	$(Q)$(MAKE) --no-print-directory LLVM=1 DEBUG=1 build/clang-debug/weir.elf
	$(Q)tools/check-order build/clang/weir.elf $(ORDER_GUESTS:%=build/clang/%) build/clang-debug/weir.elf \
		--objdump $(OBJDUMP)

check-exclusives: $(B)/weir.elf
	$(Q)tools/check-exclusives $< --prefix=$(CROSS_COMPILE)

# The protocols between cores and VMs, in every order that memory allows; and without each barrier.
check-models:
	$(Q)tests/models/run
