/*
 * hosted.c - struct persist_host for a Linux process.
 *
 * The space is one sparse memory file, mapped twice: at SPACE_START, where each page has its own protection, and as an alias that is always
 * writable. A page's state byte says what the kernel's page tables would: has a frame, is present, was noted dirty. The state changes first, then
 * mprotect follows; a fault that finds the state ahead of the protection just runs the same mprotect again.
 * Frames have garbage in them when they are provided, so that nobody relies on zeroes.
 */
#define _GNU_SOURCE
#include "persist/host/hosted.h"
#include <asm/errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <fcntl.h>
#include <unistd.h>

#define PAGE        4096ul
#define SPACE_BYTES (SPACE_PAGES * PAGE)

#ifdef __SANITIZE_THREAD__
/* A store to a frozen page allocates, in the handler of its fault; but no allocator ever stores to the space, so none is interrupted there. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
        return "report_signal_unsafe=0";
}
#endif

enum { FRAME = 1, PRESENT = 2, DIRTY = 4, FROZEN = 8 };

static int file = -1;
static char *alias;
static uint8_t *state;                     /* [a] */
static uint64_t frames_max = UINT32_MAX;   /* who has no space has no limit */
static uint64_t frames_used, frames_aside; /* [a] */
static ppn_t *dirty_list; /* pages noted in this epoch; a page withdrawn meanwhile may stand here in vain */
static uint64_t ndirty;   /* [a] */
static ppn_t *frozen_list;
static uint64_t nfrozen, frozen_next;

static _Thread_local struct {
        unsigned cpu;
        bool entered, running, panicking;
        sigjmp_buf run, panic;
        void (*retry)(void *arg);
        void *retry_arg;
        char message[300];
} self;
static struct section sections[HOSTED_CPUS];

static void fail(const char *what)
{
        perror(what);
        abort();
}

bool hosted_quiet;
char hosted_said[2048];
uint64_t hosted_clock_ns;
void (*hosted_on_yield)(void);
bool hosted_no_frames;

static void __attribute__((format(printf, 1, 2))) host_log(const char *fmt, ...)
{
        size_t n = strlen(hosted_said);
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(hosted_said + n, sizeof(hosted_said) - n, fmt, ap);
        va_end(ap);
        if (hosted_quiet)
                return;
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
}

static void __attribute__((format(printf, 1, 2), noreturn)) host_panic(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(self.message, sizeof(self.message), fmt, ap);
        va_end(ap);
        if (self.panicking)
                siglongjmp(self.panic, 1);
        fprintf(stderr, "panic (CPU %u): %s\n", self.cpu, self.message);
        abort();
}

/* ---- pages ---- */

static void protect(ppn_t ppn, int prot)
{
        if (mprotect(space_page(ppn), PAGE, prot))
                fail("mprotect");
}

static void protect_as_state(ppn_t ppn)
{
        uint8_t s = __atomic_load_n(&state[ppn], __ATOMIC_ACQUIRE);

        protect(ppn, !(s & PRESENT) ? PROT_NONE : s & DIRTY ? PROT_READ | PROT_WRITE : PROT_READ);
}

static bool note(ppn_t ppn)
{
        if (__atomic_fetch_or(&state[ppn], DIRTY, __ATOMIC_ACQ_REL) & DIRTY)
                return false;
        dirty_list[__atomic_fetch_add(&ndirty, 1, __ATOMIC_RELAXED)] = ppn;
        return true;
}

static int host_page_provide(ppn_t ppn)
{
        if (__atomic_fetch_add(&frames_used, 1, __ATOMIC_RELAXED) >= frames_max || hosted_no_frames) {
                __atomic_fetch_sub(&frames_used, 1, __ATOMIC_RELAXED);
                return -ENOMEM;
        }
        if (__atomic_load_n(&state[ppn], __ATOMIC_RELAXED) & FRAME) {
                __atomic_fetch_sub(&frames_used, 1, __ATOMIC_RELAXED);
                note(ppn);
                protect_as_state(ppn);
                return 0;
        }
        memset(hosted_alias(ppn), 0xa5, PAGE);
        __atomic_fetch_or(&state[ppn], FRAME | PRESENT, __ATOMIC_ACQ_REL);
        note(ppn);
        protect_as_state(ppn);
        return 0;
}

static void host_pages_withdraw(const ppn_t *ppns, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                if (!(__atomic_load_n(&state[ppns[i]], __ATOMIC_RELAXED) & FRAME))
                        host_panic("page %lx is withdrawn and has no frame", ppns[i]);
                __atomic_store_n(&state[ppns[i]], 0, __ATOMIC_RELEASE);
                protect(ppns[i], PROT_NONE);
                if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(ppns[i] * PAGE), PAGE))
                        fail("fallocate");
        }
        __atomic_fetch_sub(&frames_used, n, __ATOMIC_RELAXED);
}

static bool host_page_present(ppn_t ppn)
{
        return __atomic_load_n(&state[ppn], __ATOMIC_ACQUIRE) & PRESENT;
}

static void host_page_set_present(ppn_t ppn, bool present)
{
        if (!(__atomic_load_n(&state[ppn], __ATOMIC_RELAXED) & FRAME))
                host_panic("page %lx has no frame to be present with", ppn);
        if (present)
                __atomic_fetch_or(&state[ppn], PRESENT, __ATOMIC_ACQ_REL);
        else
                __atomic_fetch_and(&state[ppn], (uint8_t)~PRESENT, __ATOMIC_ACQ_REL);
        protect_as_state(ppn);
}

static bool host_page_note_dirty(ppn_t ppn)
{
        bool first = note(ppn);

        protect_as_state(ppn);
        return first;
}

static uint64_t host_dirty_count(void)
{
        return __atomic_load_n(&ndirty, __ATOMIC_RELAXED);
}

static void host_flush(void)
{
}

static int by_number(const void *a, const void *b)
{
        ppn_t x = *(const ppn_t *)a, y = *(const ppn_t *)b;

        return x < y ? -1 : x > y;
}

static void freeze_dirty(void)
{
        if (frozen_next < nfrozen)
                host_panic("frozen again before all of the last set was taken");
        nfrozen = frozen_next = 0;
        for (uint64_t i = 0; i < ndirty; i++)
                if (state[dirty_list[i]] & DIRTY && !(state[dirty_list[i]] & FROZEN)) {
                        state[dirty_list[i]] |= FROZEN;
                        frozen_list[nfrozen++] = dirty_list[i];
                }
        qsort(frozen_list, nfrozen, sizeof(*frozen_list), by_number);
}

static unsigned host_frozen_take(ppn_t *ppns, unsigned max)
{
        unsigned n = 0;

        while (n < max && frozen_next < nfrozen)
                ppns[n++] = frozen_list[frozen_next++];
        return n;
}

static bool host_page_frozen(ppn_t ppn)
{
        return __atomic_load_n(&state[ppn], __ATOMIC_ACQUIRE) & FROZEN;
}

static void host_page_captured(ppn_t ppn)
{
        __atomic_fetch_and(&state[ppn], (uint8_t)~FROZEN, __ATOMIC_ACQ_REL);
}

static bool host_page_is_dirty(ppn_t ppn)
{
        return __atomic_load_n(&state[ppn], __ATOMIC_ACQUIRE) & DIRTY;
}

static uint64_t host_protect_all(bool freeze)
{
        uint64_t n = ndirty;

        if (freeze)
                freeze_dirty();

        for (uint64_t i = 0; i < n; i++) {
                ppn_t ppn = dirty_list[i];

                __atomic_fetch_and(&state[ppn], (uint8_t)~DIRTY, __ATOMIC_ACQ_REL);
                protect_as_state(ppn);
        }
        ndirty = 0;
        return n;
}

/* P4: what can be written is in the list. The kernel's tables are /proc/self/maps here. */
static void host_check_tracking(void)
{
        FILE *f = fopen("/proc/self/maps", "r");
        uint64_t from, to;
        char prot[8], line[400];

        if (!f)
                fail("/proc/self/maps");
        while (fgets(line, sizeof(line), f)) {
                if (sscanf(line, "%lx-%lx %4s", &from, &to, prot) != 3 || from < SPACE_START ||
                    to > SPACE_START + SPACE_BYTES)
                        continue;
                for (; prot[1] == 'w' && from < to; from += PAGE)
                        if (!(state[(from - SPACE_START) / PAGE] & DIRTY))
                                host_panic("P4: page %lx is writable and not noted dirty", (from - SPACE_START) / PAGE);
        }
        fclose(f);
}

static uint64_t host_frames_free(void)
{
        uint64_t used =
                __atomic_load_n(&frames_used, __ATOMIC_RELAXED) + __atomic_load_n(&frames_aside, __ATOMIC_RELAXED);

        return used < frames_max ? frames_max - used : 0;
}

static uint64_t host_frames_total(void)
{
        return frames_max;
}

static int host_evict_begin(void)
{
        return 0;
}

/* There are no accessed bits: chance decides. */
static bool host_page_evict(ppn_t ppn)
{
        static uint64_t chance = 88172645463325252ul;

        if ((state[ppn] & (FRAME | PRESENT | DIRTY | FROZEN)) != (FRAME | PRESENT) || hosted_random(&chance) % 2)
                return false;
        host_pages_withdraw(&ppn, 1);
        return true;
}

static void host_evict_end(void)
{
}

/* ---- CPUs: the protocol of kernel/glue/persist_host.c ---- */

static uint64_t asked, released;
static uint64_t parked[HOSTED_CPUS];
static uint32_t participants;

static void host_park_if_asked(void)
{
        uint64_t barrier;

        while ((barrier = __atomic_load_n(&asked, __ATOMIC_SEQ_CST)) != __atomic_load_n(&released, __ATOMIC_ACQUIRE)) {
                if (!section_quiet())
                        host_panic("parking inside a section");
                __atomic_store_n(&parked[self.cpu], barrier, __ATOMIC_RELEASE);
                while (__atomic_load_n(&released, __ATOMIC_ACQUIRE) < barrier)
                        sched_yield();
        }
}

static void host_spin(unsigned turn)
{
        (void)turn;
        sched_yield();
}

static void host_park_others(void)
{
        uint64_t barrier = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);

        for (unsigned i = 0; i < HOSTED_CPUS; i++) {
                /* A thread may leave while it is waited for. */
                while (i != self.cpu && __atomic_load_n(&participants, __ATOMIC_SEQ_CST) >> i & 1 &&
                       __atomic_load_n(&parked[i], __ATOMIC_ACQUIRE) != barrier)
                        sched_yield();
        }
}

static void host_release_others(void)
{
        __atomic_store_n(&released, asked, __ATOMIC_RELEASE);
}

static void __attribute__((noreturn)) host_abandon(void (*retry)(void *arg), void *arg)
{
        if (!self.running)
                host_panic("section abandoned outside hosted_run");
        self.retry = retry;
        self.retry_arg = arg;
        siglongjmp(self.run, 1);
}

static uint64_t host_pages_differ(const void *a, const void *b)
{
        const char *x = a, *y = b;
        uint64_t lines = 0;

        for (unsigned i = 0; i < 64; i++)
                lines |= (uint64_t)(memcmp(x + i * 64, y + i * 64, 64) != 0) << i;
        return lines;
}

static void *host_frame_get(void)
{
        return malloc(PAGE);
}

static int host_page_install(ppn_t ppn, void *frame)
{
        if (__atomic_load_n(&state[ppn], __ATOMIC_RELAXED) & FRAME)
                return -EEXIST;
        __atomic_fetch_add(&frames_used, 1, __ATOMIC_RELAXED);
        memcpy(hosted_alias(ppn), frame, PAGE);
        free(frame);
        __atomic_fetch_or(&state[ppn], FRAME | PRESENT, __ATOMIC_ACQ_REL);
        protect_as_state(ppn);
        return 0;
}

static void host_clock(uint64_t *mono_ns, uint64_t *real_ns)
{
        *mono_ns = hosted_clock_ns;
        *real_ns = 1000000000ul * 1000 + hosted_clock_ns;
}

static uint64_t host_uptime_ns(void)
{
        return hosted_clock_ns;
}

static void host_writer_pause(uint64_t ns)
{
        hosted_clock_ns += ns;
}

static void host_wake(const void *key)
{
        (void)key;
}

static void host_writer_yield(void)
{
        if (hosted_on_yield)
                hosted_on_yield();
}

static void host_writer_wake(void)
{
}

static uint64_t host_clock_ticks(void)
{
        return __builtin_ia32_rdtsc();
}

static void *host_scratch(size_t len)
{
        static void *area;
        static size_t size;

        if (len > size) {
                free(area);
                size = len + len / 4;
                area = malloc(size);
                if (!area)
                        fail("malloc");
        }
        return area;
}

static void *host_mem_alloc(size_t len)
{
        return malloc(len);
}

static void host_set_aside(size_t len)
{
        __atomic_store_n(&frames_aside, (len + PAGE - 1) / PAGE, __ATOMIC_RELAXED);
}

static void host_use_aside(bool on)
{
        (void)on; /* malloc gives */
}

static void host_mem_free(void *p, size_t len)
{
        (void)len;
        free(p);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
        uint64_t err = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
        uint64_t addr = (uint64_t)info->si_addr;
        ppn_t ppn = (addr - SPACE_START) / PAGE;

        if (addr - SPACE_START < SPACE_BYTES) {
                bool present = host_page_present(ppn);

                /* A read of a page that is present: its protection was behind its state, or another CPU fetched it just now. */
                if ((present && !(err & 2)) || space_fault(addr, present, err & 2)) {
                        protect_as_state(ppn);
                        return;
                }
        }
        fprintf(stderr, "fault at %lx (error %lx), CPU %u\n", addr, err, self.cpu);
        signal(sig, SIG_DFL);
}

static const struct persist_host hosted = {
        .page_provide = host_page_provide,
        .pages_withdraw = host_pages_withdraw,
        .page_present = host_page_present,
        .page_set_present = host_page_set_present,
        .page_note_dirty = host_page_note_dirty,
        .dirty_count = host_dirty_count,
        .flush = host_flush,
        .protect_all = host_protect_all,
        .frozen_take = host_frozen_take,
        .page_frozen = host_page_frozen,
        .page_captured = host_page_captured,
        .page_is_dirty = host_page_is_dirty,
        .pages_differ = host_pages_differ,
        .frame_get = host_frame_get,
        .frame_put = free,
        .page_install = host_page_install,
        .check_tracking = host_check_tracking,
        .frames_free = host_frames_free,
        .frames_total = host_frames_total,
        .evict_begin = host_evict_begin,
        .page_evict = host_page_evict,
        .evict_end = host_evict_end,
        .spin = host_spin,
        .park_others = host_park_others,
        .release_others = host_release_others,
        .park_if_asked = host_park_if_asked,
        .abandon = host_abandon,
        .clock_ticks = host_clock_ticks,
        .clock = host_clock,
        .uptime_ns = host_uptime_ns,
        .wake = host_wake,
        .writer_yield = host_writer_yield,
        .writer_pause = host_writer_pause,
        .writer_wake = host_writer_wake,
        .scratch = host_scratch,
        .mem_alloc = host_mem_alloc,
        .mem_free = host_mem_free,
        .set_aside = host_set_aside,
        .use_aside = host_use_aside,
        .log = host_log,
        .panic = host_panic,
};
const struct persist_host *persist_host = &hosted;

/* ---- for the process around it ---- */

static void *map(void *at, size_t len, int prot, int flags, int fd)
{
        void *p = mmap(at, len, prot, flags, fd, 0);

        if (p == MAP_FAILED)
                fail("mmap");
        return p;
}

void hosted_open(uint64_t nframes)
{
        struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

        file = memfd_create("space", MFD_CLOEXEC);
        if (file < 0 || ftruncate(file, (off_t)SPACE_BYTES))
                fail("memfd");
        map((void *)SPACE_START, SPACE_BYTES, PROT_NONE, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, file);
        alias = map(NULL, SPACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file);
        state = map(NULL, SPACE_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
        dirty_list = map(NULL, SPACE_PAGES * sizeof(*dirty_list), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
        frozen_list = map(NULL, SPACE_PAGES * sizeof(*frozen_list), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
        nfrozen = frozen_next = 0;
        frames_max = nframes;
        frames_used = 0;
        ndirty = 0;
        asked = released = 0;
        participants = 0;
        memset(parked, 0, sizeof(parked));
        if (sigaction(SIGSEGV, &sa, NULL))
                fail("sigaction");
}

void hosted_close(void)
{
        if (file < 0)
                return;
        if (self.entered)
                hosted_cpu_leave();
        self.running = false;
        munmap((void *)SPACE_START, SPACE_BYTES);
        munmap(alias, SPACE_BYTES);
        munmap(state, SPACE_PAGES);
        munmap(dirty_list, SPACE_PAGES * sizeof(*dirty_list));
        munmap(frozen_list, SPACE_PAGES * sizeof(*frozen_list));
        close(file);
        file = -1;
        space_forget();
}

void hosted_cpu_enter(unsigned cpu)
{
        self.cpu = cpu;
        self.entered = true;
        persist_section = &sections[cpu];
        __atomic_fetch_or(&participants, 1u << cpu, __ATOMIC_SEQ_CST);
        host_park_if_asked();
}

void hosted_cpu_ready(void)
{
        section_cpu_init(persist_section, self.cpu);
}

void hosted_cpu_leave(void)
{
        self.entered = false;
        persist_section = NULL;
        __atomic_fetch_and(&participants, ~(1u << self.cpu), __ATOMIC_SEQ_CST);
}

void hosted_run(void (*fn)(void *arg), void *arg)
{
        if (self.running)
                host_panic("hosted_run does not nest");
        self.retry = fn;
        self.retry_arg = arg;
        sigsetjmp(self.run, 1);
        self.running = true;
        self.retry(self.retry_arg);
        self.running = false;
}

const char *hosted_panic_of(void (*fn)(void *arg), void *arg)
{
        self.panicking = true;
        if (sigsetjmp(self.panic, 1)) {
                self.panicking = false;
                self.running = false;
                return self.message;
        }
        fn(arg);
        self.panicking = false;
        return NULL;
}

uint64_t hosted_frames_used(void)
{
        return frames_used;
}

bool hosted_page_writable(ppn_t ppn)
{
        return (state[ppn] & (PRESENT | DIRTY)) == (PRESENT | DIRTY);
}

bool hosted_page_noted(ppn_t ppn)
{
        return state[ppn] & DIRTY;
}

void *hosted_alias(ppn_t ppn)
{
        return alias + ppn * PAGE;
}

uint64_t hosted_random(uint64_t *s)
{
        *s ^= *s << 13;
        *s ^= *s >> 7;
        *s ^= *s << 17;
        return *s;
}
