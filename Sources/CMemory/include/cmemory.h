#pragma once
// What Swift's Glibc module does not show.

// A file without a name that lives in memory, closed on exec unless a spawn hands it on; or -1 and errno.
int anonymous_file(const char *name);

// Makes malloc keep what is freed for the next who asks, instead of giving it back to the system, up to
// a gigabyte and for pieces up to 32 MiB.
void keep_freed_memory(void);
