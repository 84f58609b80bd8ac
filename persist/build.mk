# persist/ in a Linux process: its unit tests run with ASan and UBSan, and again with TSan. `make unit` runs them.

PERSIST_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/persist_*.c))
$(foreach t,$(PERSIST_TESTS),$(eval UNIT_SRCS_$t := $(wildcard persist/*.c persist/host/*.c))$(eval UNIT_SAN_$t := address thread))

unit-persist: $(foreach t,$(PERSIST_TESTS),unit-address-$t unit-thread-$t) ## unit tests of persist/ alone
.PHONY: unit-persist
