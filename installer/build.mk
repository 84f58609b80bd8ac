# Programs of the system, static against musl: SRCS_name.
INSTALLER_SRCS_phantom-install := $(addprefix installer/,phantom-install.c gpt.c esp.c crc32.c)
INSTALLER_SRCS_phantom-upgrade := $(addprefix installer/,phantom-upgrade.c kernel_file.c gpt.c esp.c crc32.c)
INSTALLER_PROGRAMS := $(addprefix $(BUILD)/installer/,phantom-install phantom-upgrade)
SYSTEM_PROGRAMS += $(INSTALLER_PROGRAMS)
$(INSTALLER_PROGRAMS): $(BUILD)/installer/%: $$(INSTALLER_SRCS_$$*) $(wildcard installer/*.h) | $(BUILD)/ports/musl.stamp $(BUILD)/ports/xxhash.stamp
	$(call say,MUSLCC,installer/$*.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) -std=gnu17 -O2 -Wall -Wextra -Werror -DXXH_INLINE_ALL -isystem $(BUILD)/ports/xxhash/include -static -s $(filter %.c,$^) -o $@
$(OUT)/install/install.tar: installer/seal

check-install: iso tests ## installing and upgrading in full: all firmwares and kinds of disk, 200 power cuts of each (INSTALL_CUTS=); hours
	@tests/tools/installtests.py matrix; r=$$?; tests/tools/installcuts.py $(or $(INSTALL_CUTS),200) && exit $$r
.PHONY: check-install
