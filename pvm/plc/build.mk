# The compiler under the sanitizers, for the fuzzer; the class library, compiled; the tests of both.

PLC_LIB_SRCS := $(wildcard pvm/lib/*.ph)

$(BUILD)/host/plc-asan: $(PLC_SRCS) $(wildcard pvm/plc/*.h) pvm/format.h pvm/internal.def
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu17 -O1 -g -I. -Wall -Wextra -Werror -Wstrict-prototypes -fsanitize=address,undefined \
	        -fno-sanitize-recover=undefined $(PLC_SRCS) -o $@

$(BUILD)/host/lib.stamp: $(BUILD)/host/plc $(PLC_LIB_SRCS)
	$(call say,PLC,$(BUILD)/host/lib)
	$(Q)rm -rf $(BUILD)/host/lib && mkdir -p $(BUILD)/host/lib
	$(Q)$(if $(PLC_LIB_SRCS),$(BUILD)/host/plc -o $(BUILD)/host/lib $(PLC_LIB_SRCS))
	$(Q)touch $@
host: $(BUILD)/host/lib.stamp

check-plc: $(BUILD)/host/plc $(BUILD)/host/plc-asan $(BUILD)/host/pvm $(BUILD)/host/lib.stamp ## tests of the compiler, the class library and the native programs
	@tests/plc/run.py $(PARTS)
bench-plc: $(BUILD)/host/plc ## lines a second of the compiler
	@tests/plc/speed.py $<
.PHONY: check-plc bench-plc
