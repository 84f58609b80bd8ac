/* caller.c - a Unix program that uses libphantom.a: caller PID PATH METHOD [ARGUMENT...] prints the result, `refused` and why, or the error's number. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "pvm/client/phantom.h"

int main(int argc, char **argv)
{
        char *result;
        int r;

        if (argc < 4)
                return 2;
        r = phantom_call(atol(argv[1]), argv[2], argv[3], (const char *const *)argv + 4, (unsigned)argc - 4, &result);
        if (r < 0)
                printf("error %d\n", errno);
        else
                printf("%s%s", r == PHANTOM_REFUSED ? "refused " : "", result);
        free(result);
        return r != PHANTOM_OK;
}
