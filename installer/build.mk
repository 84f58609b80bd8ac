# The installer: a program of the system, static against musl.
INSTALLER := $(BUILD)/installer/phantom-install
SYSTEM_PROGRAMS += $(INSTALLER)
$(INSTALLER): installer/phantom-install.c installer/gpt.c installer/gpt.h | $(BUILD)/ports/musl.stamp
	$(call say,MUSLCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) -std=gnu17 -O2 -Wall -Wextra -Werror -static -s $(filter %.c,$^) -o $@
