# The vDSO: user-mode code, built apart and taken into the kernel as data (posix/exec/vdso).
VDSO := $(OUT)/gen/vdso.so
VDSO_CFLAGS := -std=gnu17 -O2 -ffreestanding -fPIC -fvisibility=default -fno-stack-protector -fcf-protection=none -fno-common -march=x86-64 \
        -mgeneral-regs-only -fomit-frame-pointer -fasynchronous-unwind-tables -Wall -Wextra -Werror

$(VDSO): posix/exec/vdso/vdso.c posix/exec/vdso/vdso.ld kernel/include/time.h | $(CACHE)/uapi/stamp
	$(call say,VDSO,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CPPFLAGS) $(VDSO_CFLAGS) -nostdlib -shared -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both -Wl,-Bsymbolic \
	        -Wl,--build-id=none -Wl,--eh-frame-hdr -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-T,posix/exec/vdso/vdso.ld -o $@ posix/exec/vdso/vdso.c
	$(Q)if readelf -r $@ | grep -q R_X86_64; then echo 'the vDSO must have no relocations' >&2; exit 1; fi
	$(Q)$(OBJCOPY) --strip-debug $@

$(OUT)/obj/posix/exec/vdso/image.S.o: posix/exec/vdso/image.S $(VDSO)
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -D__ASSEMBLY__ '-DVDSO_IMAGE="$(VDSO)"' -c $< -o $@

KERNEL_OBJS += $(OUT)/obj/posix/exec/vdso/image.S.o

# Programs of the system itself: static, against musl.
SYSTEM_PROGRAMS := $(patsubst posix/tools/%.c,$(BUILD)/posix/%,$(wildcard posix/tools/*.c))
$(SYSTEM_PROGRAMS): $(BUILD)/posix/%: posix/tools/%.c | $(BUILD)/ports/musl.stamp
	$(call say,MUSLCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(MUSL_CC) -std=gnu17 -O2 -Wall -Wextra -Werror -static -s $< -o $@
