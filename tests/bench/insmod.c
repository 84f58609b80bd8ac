/* insmod.c - loads modules into Linux, in the order of the arguments. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                int fd = open(argv[i], O_RDONLY);

                if (fd < 0 || syscall(SYS_finit_module, fd, "", 0)) {
                        perror(argv[i]);
                        return 1;
                }
                close(fd);
        }
        return 0;
}
