# pvm/ on this machine: `make host` builds the object machine and the compiler.

PVM_SRCS := $(wildcard pvm/*.c pvm/internal/*.c pvm/jit/*.c)
# The store, and what it needs of the rest of persist/.
PVM_STORE_SRCS := $(wildcard persist/*.c persist/store/*.c) persist/host/hosted.c persist/host/filedisk.c kernel/lib/fmt.c kernel/lib/string.c
PVM_HOST_SRCS := $(PVM_SRCS) $(wildcard pvm/host/*.c pvm/client/*.c) $(PVM_STORE_SRCS)
PVM_HEADERS := $(wildcard pvm/*.h pvm/*.def pvm/*/*.h kernel/lib/*.h persist/*.h persist/*/*.h)
PVM_CFLAGS := -std=gnu17 -O2 -g -DPERSIST_HOSTED -I. -Wall -Wextra -Werror -Wstrict-prototypes -fno-strict-aliasing -ffp-contract=off
PLC_SRCS := $(wildcard pvm/plc/*.c)
PVM_PROGRAMS := $(BUILD)/host/pvm $(if $(PLC_SRCS),$(BUILD)/host/plc)

# One object a source file, so that a change compiles what it concerns.
$(BUILD)/host/obj/%.o: %.c $(PVM_HEADERS) pvm/build.mk
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) $(PVM_CFLAGS) -c $< -o $@
$(BUILD)/host/obj/pvm/interp.o: PVM_CFLAGS += -fno-gcse -fno-crossjumping

$(BUILD)/host/pvm: $(PVM_HOST_SRCS:%.c=$(BUILD)/host/obj/%.o)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) $^ -llz4 -lxxhash -lpthread -o $@

$(BUILD)/host/plc: $(PLC_SRCS) $(wildcard pvm/plc/*.h) pvm/format.h pvm/internal.def
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -O2 -g -I. -Wall -Wextra -Werror -Wstrict-prototypes $(PLC_SRCS) -o $@

# For Unix programs that call methods of objects: cc -Ipvm/client program.c build/host/libphantom.a
$(BUILD)/host/libphantom.a: $(BUILD)/host/obj/pvm/client/phantom.o
	$(call say,AR,$@)
	$(Q)ar rcs $@ $<

host: $(PVM_PROGRAMS) $(BUILD)/host/libphantom.a ## programs for this machine: build/host/plc, build/host/pvm; build/host/libphantom.a
.PHONY: host

# Unit tests: the whole machine in each, with the assembler of the tests.
PVM_MACHINE_SRCS := $(PVM_SRCS) pvm/host/host.c pvm/host/image.c pvm/host/monitor.c pvm/host/store.c pvm/host/unix.c pvm/client/phantom.c $(PVM_STORE_SRCS)
PVM_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/pvm_*.c))
$(foreach t,$(PVM_TESTS),$(eval UNIT_SRCS_$t := $(PVM_MACHINE_SRCS) tests/pvm/asm.c tests/pvm/program.c)\
        $(eval UNIT_LIBS_$t := -llz4 -lxxhash)\
        $(eval UNIT_FLAGS_$t := -fno-strict-aliasing -ffp-contract=off))
unit-pvm: $(foreach t,$(PVM_TESTS),unit-address-$t) ## unit tests of pvm/ alone
.PHONY: unit-pvm

# The rest of what `make check` has of pvm/: the stage "pvm".
$(BUILD)/host/caller: tests/pvm/caller.c $(BUILD)/host/libphantom.a
	$(call say,HOSTCC,$@)
	$(Q)$(HOSTCC) $(PVM_CFLAGS) $^ -o $@

check-pvm: host $(BUILD)/host/caller
	@tests/pvm/ordinals check
	@tests/pvm/parse_json.py
	@tests/pvm/parse_xml.py
	@tests/pvm/parse_ppm.py
	@tests/pvm/monitor.py
	@tests/pvm/mount.py
	@tests/pvm/versions.py
	@tests/pvm/loader.py
	@tests/pvm/images.py
	@tests/pvm/heap.py
.PHONY: check-pvm

# More than `make check` has time for: FILES class files that somebody has tampered with, under the sanitizers; METHODS random ones without, for most of their code is the compiler's.
fuzz-pvm: FILES ?= 10000000
fuzz-pvm: METHODS ?= 1000000
fuzz-pvm: $(OUT)/unit/address/pvm_fuzz random-pvm ## the object machine: class files that somebody has tampered with, random methods; hours (FILES= METHODS=)
	$(Q)PVM_FUZZ_FILES=$(FILES) $< && echo 'PASS fuzz-pvm'

random-pvm: METHODS ?= 10000
random-pvm: $(BUILD)/host/pvm_random ## random methods, interpreted and compiled: METHODS=10000
	$(Q)PVM_RANDOM=$(METHODS) $< && echo 'PASS random-pvm'
$(BUILD)/host/obj/tests/%.o: PVM_CFLAGS += -Wno-missing-field-initializers
$(BUILD)/host/pvm_random: $(patsubst %.c,$(BUILD)/host/obj/%.o,tests/unit/pvm_random.c tests/pvm/asm.c tests/pvm/program.c $(PVM_MACHINE_SRCS))
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) $^ -llz4 -lxxhash -lcmocka -lpthread -o $@
.PHONY: fuzz-pvm random-pvm

# How much of the loader and the verifier the fuzzer reaches.
coverage-pvm: $(patsubst %.c,$(BUILD)/host/obj/%.o,tests/pvm/asm.c $(filter-out pvm/file.c pvm/verify.c,$(PVM_MACHINE_SRCS))) ## branches of loader and verifier that the share of `make check` takes
	$(Q)rm -rf $(BUILD)/coverage && mkdir -p $(BUILD)/coverage
	$(Q)$(HOSTCC) $(filter-out -O2,$(PVM_CFLAGS)) -O1 --coverage tests/unit/pvm_fuzz.c pvm/file.c pvm/verify.c $^ -llz4 -lxxhash -lpthread -o $(BUILD)/coverage/pvm_fuzz
	$(Q)$(BUILD)/coverage/pvm_fuzz
	$(Q)gcov -b -n $(BUILD)/coverage/pvm_fuzz-file.gcda $(BUILD)/coverage/pvm_fuzz-verify.gcda | grep -A 4 "^File 'pvm/.*c'"
.PHONY: coverage-pvm

# Simulated power cuts under programs of the machine: STATES from SEED on.
crash-native: STATES ?= 20000
crash-native: SEED ?= 1
$(BUILD)/crash/pvm_sim: $(patsubst %.c,$(BUILD)/host/obj/%.o,tests/crash/pvm_sim.c persist/host/simdisk.c $(PVM_MACHINE_SRCS))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) -Wl,--wrap=filedisk_open,--wrap=heap_store_open $^ -llz4 -lxxhash -lpthread -o $@
$(BUILD)/crash/programs.stamp: $(BUILD)/host/lib.stamp $(wildcard pvm/programs/*.ph tests/crash/*.ph)
	$(call say,PLC,$(BUILD)/crash/programs)
	$(Q)mkdir -p $(BUILD)/crash/programs
	$(Q)$(BUILD)/host/plc -w -L $(BUILD)/host/lib -o $(BUILD)/crash/programs pvm/programs/*.ph tests/crash/*.ph
	$(Q)touch $@
crash-native: $(BUILD)/crash/pvm_sim $(BUILD)/crash/programs.stamp ## simulated power cuts under a bank and a game of objects: STATES=20000 SEED=1
	$(Q)$< -n $(STATES) -s $(SEED) $(BUILD)/crash/programs $(BUILD)/host/lib && echo 'PASS crash-native'
.PHONY: crash-native

include pvm/plc/build.mk

# The same programs, and the class library, for the system itself: static, against musl. What they find classes in without being told is part of them.
PVM_SYSTEM_LIBS := lz4 xxhash
$(BUILD)/pvm/obj/%.o: %.c $(PVM_HEADERS) pvm/build.mk | $(call port_stamps,musl $(PVM_SYSTEM_LIBS))
	$(call say,MUSLCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(PVM_CFLAGS) -DPVM_LIBRARY='"/usr/lib/phantom"' $(PVM_SYSTEM_LIBS:%=-isystem $(BUILD)/ports/%/include) -c $< -o $@
$(BUILD)/pvm/obj/pvm/interp.o: PVM_CFLAGS += -fno-gcse -fno-crossjumping

$(BUILD)/pvm/pvm: $(PVM_HOST_SRCS:%.c=$(BUILD)/pvm/obj/%.o)
$(BUILD)/pvm/plc: $(PLC_SRCS:%.c=$(BUILD)/pvm/obj/%.o)
$(BUILD)/pvm/pvm $(BUILD)/pvm/plc:
	$(call say,LINK,$@)
	$(Q)$(MUSL_CC) -static -s -pthread $^ $(foreach l,$(PVM_SYSTEM_LIBS),$(BUILD)/ports/$l/lib/lib$l.a) -o $@
$(PLC_SRCS:%.c=$(BUILD)/pvm/obj/%.o): $(wildcard pvm/plc/*.h)
SYSTEM_PROGRAMS += $(BUILD)/pvm/pvm $(BUILD)/pvm/plc $(BUILD)/host/lib.stamp $(wildcard pvm/programs/*)

bench-pvm: host ## the object machine beside Lua 5.4, LuaJIT, gcc and HotSpot (lua5.4, luajit, javac; RUNS=5 ROWS=)
	@tests/pvm/bench/run.py
.PHONY: bench-pvm
