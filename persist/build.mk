# persist/ in a Linux process: its unit tests run with ASan and UBSan, and again with TSan. `make unit` runs them.

PERSIST_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/persist_*.c))
$(foreach t,$(PERSIST_TESTS),$(eval UNIT_SRCS_$t := $(wildcard persist/*.c persist/store/*.c persist/host/*.c))$(eval UNIT_LIBS_$t := -llz4 -lxxhash)$(eval UNIT_SAN_$t := address thread))

# Simulated power cuts. crash-sim is the share of `make check`: STATES distinct states, from SEED on.
crash-sim: STATES ?= 20000
crash-sim: SEED ?= 1
CRASH_SRCS   := tests/crash/crash_sim.c $(wildcard persist/*.c persist/store/*.c persist/host/*.c)
$(OUT)/crash/crash_sim: $(CRASH_SRCS) $(wildcard persist/*.h persist/store/*.h persist/host/*.h)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -O2 -g -DPERSIST_HOSTED -DSTORE_SMALL -I. -Wall -Wextra -Werror $(CRASH_SRCS) -llz4 -lxxhash -lpthread -o $@
crash-sim: $(OUT)/crash/crash_sim ## simulated power cuts: STATES=20000 SEED=1
	$(Q)$< -n $(STATES) -s $(SEED) -c && echo 'PASS crash-sim'
.PHONY: crash-sim

unit-persist: $(foreach t,$(PERSIST_TESTS),unit-address-$t unit-thread-$t) ## unit tests of persist/ alone
.PHONY: unit-persist
