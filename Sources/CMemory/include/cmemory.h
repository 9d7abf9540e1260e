#pragma once
#include <spawn.h>
#include <stdint.h>

// What Swift's Glibc module does not show.

// A file without a name that lives in memory, closed on exec unless a spawn hands it on; or -1 and errno.
int anonymous_file(const char *name);

// Lets nobody write to such a file who has not mapped it for that yet, or change its length.
int seal_against_writing(int descriptor);

// Makes malloc keep what is freed for the next who asks, instead of giving it back to the system, up to
// a gigabyte and for pieces up to 32 MiB.
void keep_freed_memory(void);

// Gives a part of a file back to the disk; it reads as zeros then. 0, or -1 and errno.
int punch_hole(int descriptor, int64_t offset, int64_t count);

// Has a program that is to be started find the descriptors from `first` on closed; 0 or an error's number.
int close_from(posix_spawn_file_actions_t *actions, int first);
