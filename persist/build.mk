# persist/ in a Linux process: `make unit-persist` builds and runs its unit tests, with ASan and UBSan, then with TSan. `make check` runs it.

PERSIST_TESTS   := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/persist_*.c))
PERSIST_SRCS    := $(wildcard persist/*.c persist/host/*.c)
PERSIST_CFLAGS  := -std=gnu17 -O1 -g -DPERSIST_HOSTED -I. -Wall -Wextra -Werror -Wstrict-prototypes -fno-omit-frame-pointer
PERSIST_ADDRESS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
PERSIST_THREAD  := -fsanitize=thread
PERSIST_LIBS    := -lcmocka -lpthread

$(OUT)/unit/address/%: tests/unit/%.c $(PERSIST_SRCS) $(wildcard persist/*.h persist/host/*.h tests/unit/persist_*.h)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)gcc $(PERSIST_CFLAGS) $(PERSIST_ADDRESS) $(filter %.c,$^) $(PERSIST_LIBS) -o $@

$(OUT)/unit/thread/%: tests/unit/%.c $(PERSIST_SRCS) $(wildcard persist/*.h persist/host/*.h tests/unit/persist_*.h)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)gcc $(PERSIST_CFLAGS) $(PERSIST_THREAD) $(filter %.c,$^) $(PERSIST_LIBS) -o $@

unit-persist: $(PERSIST_TESTS:%=$(OUT)/unit/address/%) $(PERSIST_TESTS:%=$(OUT)/unit/thread/%) ## unit tests of persist/, sanitized
	$(Q)for t in $^; do printf '  %-8s%s\n' TEST $$t; $$t >$$t.log 2>&1 || { cat $$t.log; exit 1; }; done
.PHONY: unit-persist
