# Phantom: one Makefile for everything. `make help` lists the targets.
#
# What another folder may add without touching this file: a fragment kernel/build.mk, posix/build.mk, persist/build.mk
# or pvm/build.mk, included below. It may append to
#   KERNEL_GENERATED   files that must exist before anything of the kernel is compiled (headers, tables)
#   KERNEL_OBJS        further objects of the kernel, with a rule of their own
#   KERNEL_EXCLUDE     sources that the wildcard finds but the kernel must not have
#
# Variables for the command line: V=1 shows commands, CMDLINE="..." is appended to the kernel's command line in the
# ISO, ACCEL=tcg|kvm is used by `make run` without trying, and by tests instead of tcg, CHECKS=1 builds the kernel with
# structure checkers in build/checks.

MAKEFLAGS += --no-builtin-rules
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := iso

BUILD         ?= build
CHECKS        ?= 0
CMDLINE       ?=
PHANTOM_CACHE ?= build/cache
CACHE         := $(abspath $(PHANTOM_CACHE))
export PHANTOM_CACHE := $(CACHE)
OUT           := $(BUILD)$(if $(filter 1,$(CHECKS)),/checks)

# A fresh machine first gets what it needs: this file is made by ports/setup, and make starts again.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),iso)),)
include $(CACHE)/setup.mk
endif
$(CACHE)/setup.mk: ports/setup ports/packages
	@ports/setup $(CACHE)
	@touch $@
setup: $(CACHE)/setup.mk ## install the Debian packages that are missing (done by itself, too)

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),:,printf '  %-8s%s\n' '$(1)' '$(2)')

CC      := gcc
HOSTCC  := gcc
LD      := ld
NM      := nm
OBJCOPY := objcopy

# ---- ports: other people's sources (ports/README.md) ---------------------------------------------------------------

KERNEL_PORTS  := libvterm lz4 xxhash font
PROGRAM_PORTS := busybox dosfstools mtools
TEST_PORTS    := posixtestsuite
BENCH_PORTS   := sqlite
port_stamps = $(1:%=$(BUILD)/ports/%.stamp)

.SECONDEXPANSION:
$(BUILD)/ports/%.stamp: ports/build Makefile $$(wildcard ports/$$*/*)
	@mkdir -p $(@D)
	@PHANTOM_BUILD=$(abspath $(BUILD)) PHANTOM_KERNEL_CFLAGS='$(KERNEL_MACHINE)' ports/build $*
	@touch $@
$(call port_stamps,$(PROGRAM_PORTS) $(TEST_PORTS) $(BENCH_PORTS)): $(call port_stamps,musl)
$(call port_stamps,$(KERNEL_PORTS)): $(wildcard ports/kernel-libc/*)

ports: $(call port_stamps,$(KERNEL_PORTS) $(PROGRAM_PORTS) $(TEST_PORTS) $(BENCH_PORTS)) ## build everything that comes from Debian's sources

# ---- the kernel ----------------------------------------------------------------------------------------------------

KERNEL_GENERATED :=
KERNEL_OBJS      :=
KERNEL_EXCLUDE   :=
-include $(wildcard kernel/build.mk persist/build.mk posix/build.mk pvm/build.mk installer/build.mk)

KERNEL_DIRS := $(wildcard kernel persist posix)
KERNEL_SRCS := $(filter-out $(KERNEL_EXCLUDE),$(sort $(shell find $(KERNEL_DIRS) \
        \( -name host -o -name tests -o -name tools -o -name vdso \) -prune -o \( -name '*.c' -o -name '*.S' \) -print)))
KERNEL_OBJS += $(patsubst %,$(OUT)/obj/%.o,$(KERNEL_SRCS))

# No libc header can be included by accident: only gcc's own and links to the kernel's user API are on the path.
UAPI := $(CACHE)/uapi
KERNEL_CPPFLAGS := -I. -I$(OUT)/gen -nostdinc -isystem $(shell $(CC) -print-file-name=include 2>/dev/null) -isystem $(UAPI) \
        $(KERNEL_PORTS:%=-isystem $(BUILD)/ports/%/include) -DPHANTOM_CHECKS=$(CHECKS)
# Long fills and moves are calls: memset and memcpy may know a faster way than what gcc would put in line.
KERNEL_MACHINE := -mmemset-strategy=rep_8byte:511:noalign,libcall:-1:noalign -mmemcpy-strategy=rep_8byte:511:noalign,libcall:-1:noalign \
        -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
        -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing -fno-common -fcf-protection=none \
        -fno-asynchronous-unwind-tables
KERNEL_CFLAGS := -std=gnu17 -O2 -g $(KERNEL_MACHINE) -Wall -Wextra -Werror -Wstrict-prototypes -Wvla -Wno-missing-field-initializers
KERNEL_LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments --build-id=none

kernel: $(OUT)/kernel.elf ## build the kernel alone

$(UAPI)/stamp:
	$(call say,UAPI,$(UAPI))
	$(Q)mkdir -p $(UAPI)
	$(Q)ln -sfn /usr/include/linux $(UAPI)/linux
	$(Q)ln -sfn /usr/include/asm-generic $(UAPI)/asm-generic
	$(Q)ln -sfn /usr/include/$$($(CC) -print-multiarch)/asm $(UAPI)/asm
	$(Q)touch $@

# A change of flags compiles everything anew.
$(OUT)/obj/flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS)' | cmp -s - $@ || echo '$(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS)' >$@

$(OUT)/obj/%.c.o: %.c $(OUT)/obj/flags | $(UAPI)/stamp $(KERNEL_GENERATED) $(call port_stamps,$(KERNEL_PORTS))
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/obj/%.S.o: %.S $(OUT)/obj/flags | $(UAPI)/stamp $(KERNEL_GENERATED) $(call port_stamps,$(KERNEL_PORTS))
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CPPFLAGS) -D__ASSEMBLY__ -g $(KERNEL_MACHINE) -MMD -MP -c $< -o $@

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)

# Backtraces show names: the kernel is linked with an empty symbol table, the table is made from the result, and the
# kernel is linked again. The table is the last of .rodata, so that no function moves; the third step proves it.
KERNEL_LIBS := $(foreach p,$(KERNEL_PORTS),$(BUILD)/ports/$(p)/lib/lib$(p:lib%=%).a)
KERNEL_LD   := kernel/arch/x86_64/kernel.ld
link_kernel = $(LD) $(KERNEL_LDFLAGS) -T $(KERNEL_LD) -o $(1) $(KERNEL_OBJS) --start-group $(KERNEL_LIBS) --end-group $(2)
compile_ksyms = $(CC) $(KERNEL_MACHINE) -c $(1) -o $(2)

$(OUT)/kernel.elf: $(KERNEL_OBJS) $(call port_stamps,$(KERNEL_PORTS)) $(KERNEL_LD) kernel/debug/ksyms.awk
	$(call say,LINK,$@)
	$(Q)awk -f kernel/debug/ksyms.awk </dev/null >$(OUT)/ksyms0.S
	$(Q)$(call compile_ksyms,$(OUT)/ksyms0.S,$(OUT)/ksyms0.o)
	$(Q)$(call link_kernel,$(OUT)/kernel0.elf,$(OUT)/ksyms0.o)
	$(Q)$(NM) -n $(OUT)/kernel0.elf | awk -f kernel/debug/ksyms.awk >$(OUT)/ksyms.S
	$(Q)$(call compile_ksyms,$(OUT)/ksyms.S,$(OUT)/ksyms.o)
	$(Q)$(call link_kernel,$@,$(OUT)/ksyms.o)
	$(Q)$(NM) -n $@ | awk -f kernel/debug/ksyms.awk | cmp - $(OUT)/ksyms.S || \
	        { echo 'symbols moved: .text must come before .rodata in $(KERNEL_LD)' >&2; exit 1; }

# What the boot loader reads: the same without debug information.
$(OUT)/kernel.stripped: $(OUT)/kernel.elf
	$(Q)$(OBJCOPY) --strip-all $< $@

# ---- the ISO -------------------------------------------------------------------------------------------------------

iso: $(OUT)/phantom.iso ## build build/phantom.iso (boots as BIOS CD, UEFI CD, USB stick)

# ROOTFS_EXTRA names further manifests. Files are dated by the commit, so that the same tree gives the same image.
ROOTFS_EXTRA ?=
ROOTFS_MANIFESTS := rootfs/manifest $(ROOTFS_EXTRA)
mkrootfs = $(BUILD)/mkrootfs -t $$(git log -1 --format=%ct 2>/dev/null || echo 0) -I $(BUILD) -I rootfs -I .

$(BUILD)/mkrootfs: rootfs/mkrootfs.c rootfs/image.h | $(CACHE)/setup.mk
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -O2 -g -Wall -Wextra -Werror -I. $< -o $@ -llz4 -lxxhash

ROOTFS_DEPS = $(BUILD)/mkrootfs $(ROOTFS_MANIFESTS) $(shell find rootfs/overlay) $(call port_stamps,$(PROGRAM_PORTS) musl) $(SYSTEM_PROGRAMS)
$(OUT)/rootfs.img: $(ROOTFS_DEPS)
	$(call say,ROOTFS,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(mkrootfs) -o $@ $(ROOTFS_MANIFESTS)

# The same for Linux.
$(BUILD)/rootfs.cpio: $(ROOTFS_DEPS)
	$(Q)$(mkrootfs) -c -o $@ $(ROOTFS_MANIFESTS)

# CMDLINE is part of the image: a different one makes it anew.
$(OUT)/cmdline: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(CMDLINE)' | cmp -s - $@ || echo '$(CMDLINE)' >$@

# What a disk needs to boot: the installer copies it, and a disk's image is made of it.
$(OUT)/install/install.tar: $(OUT)/kernel.stripped $(OUT)/rootfs.img installer/mkboot installer/grub.cfg
	$(call say,BOOT,$@)
	$(Q)installer/mkboot $(@D) $(OUT)/kernel.stripped $(OUT)/rootfs.img

$(OUT)/phantom.iso: $(OUT)/install/install.tar $(OUT)/cmdline tests/tools/mkiso
	$(call say,ISO,$@)
	$(Q)tests/tools/mkiso $@ $(OUT)/kernel.stripped $(OUT)/rootfs.img "live $(CMDLINE)" $(OUT)/install/install.tar

pfsck: $(BUILD)/pfsck ## the program that proves a store or an image of a disk: build/pfsck IMAGE
.PHONY: pfsck

# ---- a disk --------------------------------------------------------------------------------------------------------

$(BUILD)/mkstore $(BUILD)/pfsck: $(BUILD)/%: persist/tools/%.c $(wildcard persist/*.[ch] persist/store/*.[ch] persist/host/*.[ch]) | $(CACHE)/setup.mk
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -O2 -g -DPERSIST_HOSTED -I. -Wall -Wextra -Werror $(filter %.c,$^) -llz4 -lxxhash -lpthread -o $@

# The store in an image stays; what boots is brought up to date.
DISK_MB ?= 2048
mkdisk = installer/mkdisk $(BUILD)/phantom.img $(OUT)/install $(BUILD)/mkstore --mb $(DISK_MB) --cmdline "$(CMDLINE)"
DISK_NEEDS = $(OUT)/install/install.tar $(BUILD)/mkstore
disk: $(DISK_NEEDS) ## make build/phantom.img, a disk that boots (BIOS, UEFI) and keeps everything; if it is there: bring its kernel up to date
	$(call say,DISK,$(BUILD)/phantom.img)
	$(Q)$(mkdisk)

disk-new: $(DISK_NEEDS) ## make build/phantom.img anew: what was in it is lost (DISK_MB=)
	$(call say,DISK,$(BUILD)/phantom.img)
	$(Q)$(mkdisk) --new

# ---- run -----------------------------------------------------------------------------------------------------------

run: disk iso ## boot build/phantom.img in QEMU: serial terminal here, a window where there is a display (SMP=, MEMORY=). Kill it, run it again
	@tests/tools/qemu.py run

run-live: iso ## boot the live CD, without a disk
	@tests/tools/qemu.py run --no-disk

gdb: iso ## the same, stopped at the first instruction, and gdb attached to it in another terminal
	@echo '  in another terminal: gdb -x kernel/debug/gdbinit $(OUT)/kernel.elf'
	@tests/tools/qemu.py gdb

# ---- tests ---------------------------------------------------------------------------------------------------------
# A file in tests/guest, tests/fuzz or tests/bench is a program for the guest, static and against musl, unless
# LINK_name in a build.mk there says otherwise (-static-pie; -pie or -no-pie for a dynamic one). A file in tests/unit is a
# program for this machine, with cmocka: UNIT_SRCS_name, UNIT_FLAGS_name, UNIT_LIBS_name say what goes into it,
# UNIT_SAN_name which sanitizers it is built with, one program each: address (with undefined, the default), thread.

-include $(wildcard tests/unit/build.mk tests/guest/build.mk)

UNIT_CFLAGS := -std=gnu17 -O1 -g -DPERSIST_HOSTED -I. -Wall -Wextra -Werror -Wstrict-prototypes \
        -Wno-missing-field-initializers -fno-omit-frame-pointer
UNIT_SANITIZE_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined
UNIT_SANITIZE_thread  := -fsanitize=thread
UNIT_TESTS := $(foreach t,$(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*.c)),$(foreach s,$(or $(UNIT_SAN_$t),address),$s/$t))

# Not all .c in $^: the .d files add sources that a test includes.
unit_sources = tests/unit/$(notdir $*).c $(UNIT_SRCS_$(notdir $*))
$(UNIT_TESTS:%=$(OUT)/unit/%): $(OUT)/unit/%: tests/unit/$$(notdir $$*).c $$(UNIT_SRCS_$$(notdir $$*)) \
                | $(call port_stamps,libvterm)
	$(call say,UNIT,$*)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) $(UNIT_CFLAGS) $(UNIT_FLAGS_$(notdir $*)) -MM -MP -MT $@ $(unit_sources) >$@.d
	$(Q)$(HOSTCC) $(UNIT_CFLAGS) $(UNIT_FLAGS_$(notdir $*)) $(UNIT_SANITIZE_$(patsubst %/,%,$(dir $*))) \
	        $(unit_sources) $(UNIT_LIBS_$(notdir $*)) -lcmocka -lpthread -o $@
-include $(wildcard $(OUT)/unit/*/*.d)

UNIT_RUNS := $(subst /,-,$(UNIT_TESTS:%=unit-%))
$(UNIT_RUNS): unit-%: $$(OUT)/unit/$$(subst address-,address/,$$(subst thread-,thread/,$$*))
	@$< >$<.log 2>&1 && echo 'PASS unit $*' || { cat $<.log; echo 'FAIL unit $*'; exit 1; }
unit: $(UNIT_RUNS) ## unit tests: kernel/lib, persist, drivers and page trees in Linux processes, with sanitizers

mutants: ## seeded bugs in persist/ and pvm/, each of which its test must notice (MUTANTS="-v NAME" for some)
	$(Q)PVM_MACHINE_SRCS="$(PVM_MACHINE_SRCS)" tests/tools/mutants.py $(OUT)/mutants $(MUTANTS)

MUSL_CC := $(BUILD)/ports/musl/bin/musl-gcc
GUEST_PROGRAMS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/guest/*.c tests/fuzz/*.c tests/bench/*.c tests/survive/*.c))

$(GUEST_PROGRAMS): $(BUILD)/tests/%: tests/%.c $(wildcard tests/guest/lib/*.c tests/guest/lib/*.h tests/survive/*.h tests/fuzz/*.h) $(call port_stamps,musl)
	$(call say,MUSLCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) -std=gnu17 -O2 -Wall -Wextra -Werror -I. $(or $(LINK_$(notdir $*)),-static) -s -pthread $< \
	        $(wildcard tests/guest/lib/*.c) -o $@

SURVIVING_SCRIPTS := $(patsubst %.sh,$(BUILD)/%,$(wildcard tests/survive/*.sh))
$(SURVIVING_SCRIPTS): $(BUILD)/%: %.sh
	$(Q)mkdir -p $(@D)
	$(Q)install -m 755 $< $@

$(BUILD)/tests/runcases: tests/tools/runcases.c $(call port_stamps,musl)
	$(call say,MUSLCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) -std=gnu17 -O2 -Wall -Wextra -Werror -static -s $< -o $@

$(BUILD)/tests/count.so: tests/tools/count.c
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -O2 -Wall -Wextra -Werror -fPIC -shared $< -o $@

tests: $(GUEST_PROGRAMS) $(SURVIVING_SCRIPTS) $(BUILD)/mkstore $(BUILD)/tests/runcases $(BUILD)/tests/count.so $(call port_stamps,$(TEST_PORTS)) ## build all test programs

linux: $(BUILD)/rootfs.cpio ## fetch Debian's Linux, to compare with
	@ports/fetch-linux $(CACHE)

# One suite in one configuration: make suite-busybox, make suite-posix CONFIG=chaos
CONFIG ?= plain
suite-%: tests iso
	@tests/tools/suites.py run $* $(CONFIG)

reference: tests linux ## run the suites on Debian's Linux and write what passes to tests/guest/expected
	@for suite in $(or $(SUITES),guest busybox posix); do tests/tools/suites.py reference $$suite; done

$(OUT)/bench/rootfs.img $(BUILD)/bench/rootfs.cpio: $(ROOTFS_DEPS) $(GUEST_PROGRAMS) $(wildcard tests/bench/*)
	$(Q)mkdir -p $(@D)
	$(Q)$(mkrootfs) $(if $(filter %.cpio,$@),-c) -o $@ $(ROOTFS_MANIFESTS) tests/bench/manifest

bench: iso tests linux $(OUT)/bench/rootfs.img $(BUILD)/bench/rootfs.cpio ## instructions per operation, ours beside Debian's Linux
	@tests/tools/bench.py

# BUS=nvme for one of them.
bench-disk: iso tests linux $(OUT)/bench/rootfs.img $(BUILD)/bench/rootfs.cpio ## instructions per MiB that dd reads and writes of each kind of disk, beside Linux
	@tests/tools/bench.py disk $(BUS)

$(OUT)/bench/persist.img $(BUILD)/bench/persist.cpio: $(ROOTFS_DEPS) $(GUEST_PROGRAMS) $(wildcard tests/bench/*) $(call port_stamps,$(BENCH_PORTS))
	$(Q)mkdir -p $(@D)
	$(Q)$(mkrootfs) $(if $(filter %.cpio,$@),-c) -o $@ $(ROOTFS_MANIFESTS) tests/bench/persist.manifest

# PARTS="fsync rate" for some of it (benchpersist.py).
bench-persist: iso tests linux $(OUT)/bench/persist.img $(BUILD)/bench/persist.cpio ## what persistence costs, each figure beside its goal: pauses, rate, fsync, resume, sqlite3 beside Linux
	@tests/tools/bench.py persist $(PARTS)

CHECK_NEEDS := iso host tests $(OUT)/bench/rootfs.img $(BUILD)/pfsck
check: $(CHECK_NEEDS) ## the short proof; ends with `N passed, N failed` (STAGES= for some of it)
	@tests/tools/check.py $(STAGES)

soak: $(CHECK_NEEDS) ## all suites in all configurations, and long fuzzing; hours, can be interrupted and goes on
	@tests/tools/check.py soak $(STAGES)

# Cuts of recorded writes of real machines. LAB_BOOTS= LAB_SEED=; a failure leaves what is needed in build/failed.
LAB_BOOTS ?= 20
crash-qemu: $(CHECK_NEEDS) ## real power cuts: LAB_BOOTS=20 boots from cut disks (LAB_SEED=)
	@tests/crash/crashlab.py $(LAB_BOOTS) $(LAB_SEED)

crash: $(CHECK_NEEDS) ## 1,000 boots, a million simulated states, the suites from cut to cut; hours, can be interrupted and goes on
	@tests/crash/crashlab.py long 1000
	@$(MAKE) --no-print-directory crash-sim STATES=1000000

fuzz: $(CHECK_NEEDS) ## random system calls and malformed programs, 10 minutes each (FUZZ_SECONDS=, FUZZ_SEED=); then fuzz-pvm, hours
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600) tests/tools/suites.py run fuzz $(CONFIG)
	@$(MAKE) --no-print-directory fuzz-pvm

# One after the other, each reports for itself.
check-all: $(CHECK_NEEDS) ## check, soak and bench
	@for part in check soak bench bench-persist; do $(MAKE) --no-print-directory $$part; done

# ---- lint ----------------------------------------------------------------------------------------------------------

export TIDY_FLAGS := $(KERNEL_CPPFLAGS) $(filter-out -mmem%,$(KERNEL_CFLAGS)) -Wno-unknown-pragmas

lint: $(KERNEL_GENERATED) $(UAPI)/stamp $(call port_stamps,$(KERNEL_PORTS)) ## format, clang-tidy, include layers, shellcheck
	@tests/tools/lint

format: ## clang-format everything
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

# ---- house-keeping -------------------------------------------------------------------------------------------------

clean: ## remove what was built (sources and ports stay in the cache)
	$(Q)find $(BUILD) -mindepth 1 -maxdepth 1 ! -path '$(CACHE)' ! -name cache -exec rm -rf {} +

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

FORCE:
.PHONY: FORCE unit $(UNIT_RUNS) mutants setup ports kernel iso disk disk-new run run-live gdb tests linux reference bench bench-disk bench-persist check soak fuzz crash crash-qemu check-all lint format clean help
