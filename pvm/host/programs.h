/*
 * programs.h - running programs as somebody sees them who serves others: who they are, and what they answer, in limited time. Root sees all of them, others their own.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A process, not only its number: that is given again. */
struct program {
        int pid;
        uint32_t uid, gid;
        uint64_t start;      /* of the process, as /proc has it */
        uint64_t mute_until; /* monotonic, ns: it did not answer in time and is not asked before that */
};

/* The process with this number, whatever it is. False: there is none, or none that we may look into. */
bool program_find(int pid, struct program *p);
/* Is it still that process? */
bool program_is_there(const struct program *p);
/* Does it let others look into it? It is woken for that, but need not answer. */
bool program_listens(const struct program *p);
/*
 * A request of monitor.h, with the path. Blocks for some seconds at most. 0: *text by malloc, not ended by NUL; -ENOENT: it says no; -ESTALE: it has ended; -EIO: no answer, or not in time; -EFBIG,
 * -ENOMEM, -EMFILE, -ENFILE, -ENAMETOOLONG.
 */
int program_ask(struct program *p, const char *request, const char *path, char **text, size_t *len);

uint64_t monotonic_now(void);
