/*
 * mount.h - `pvm mount`: running programs' objects as files, by the kernel's FUSE protocol. What stands where is in inspect.h; above that there is a folder for each program, its process number.
 */
#pragma once

/* The command: DIR, or --fd N, a connection that somebody else opened, and has mounted or will; the test is the kernel there. Exit status. */
int mount_command(int argc, char **argv);
