/*
 * tree.c - a tree of 1,000 processes, ten children each: a number goes down to all, and comes back counted.
 */
#include "tests/survive/survive.h"
#include <stdbool.h>

#define FANOUT 10
#define TREE   1000

/* Processes below the node that has `left` processes in its part of the tree, itself included. */
static void node(int from, int to, unsigned left)
{
        int down[FANOUT], up[2], p[2], nchildren = 0;
        uint64_t n, last = 0, reply, sum;

        left--;
        MUST(pipe(up) == 0);
        for (unsigned i = 0; i < FANOUT && left; i++) {
                unsigned part = (left + FANOUT - i - 1) / (FANOUT - i);

                MUST(pipe(p) == 0);
                switch (fork()) {
                case -1:
                        survive_fail("fork: errno %d", errno);
                case 0:
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (int k = 0; k < nchildren; k++)
                                close(down[k]);
                        close(p[1]);
                        close(up[0]);
                        close(from);
                        node(p[0], up[1], part);
                }
                close(p[0]);
                down[nchildren++] = p[1];
                left -= part;
        }
        close(up[1]);
        for (bool on = true; on;) { /* for ever, which gcc would take for a recursion without end */
                survive_read(from, &n, sizeof(n));
                SAME(n, last + 1);
                last = n;
                sum = 1;
                for (int k = 0; k < nchildren; k++)
                        survive_write(down[k], &n, sizeof(n));
                for (int k = 0; k < nchildren; k++) {
                        survive_read(up[0], &reply, sizeof(reply));
                        SAME(reply / 10000, n);
                        sum += reply % 10000;
                }
                reply = n * 10000 + sum;
                survive_write(to, &reply, sizeof(reply));
                on = sum > 0;
        }
}

static void tree(volatile uint64_t *good)
{
        int down[2], up[2];
        uint64_t reply;

        MUST(pipe(down) == 0 && pipe(up) == 0);
        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(down[1]);
                close(up[0]);
                node(down[0], up[1], TREE);
        }
        for (uint64_t n = 1;; n++) {
                survive_write(down[1], &n, sizeof(n));
                survive_read(up[0], &reply, sizeof(reply));
                SAME(reply, n * 10000 + TREE);
                *good = n;
                survive_nap(300);
        }
}

int main(void)
{
        survive_begin("tree");
        survive_part(tree);
        survive_watch();
}
