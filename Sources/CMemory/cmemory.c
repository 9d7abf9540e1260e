#define _GNU_SOURCE
#include "cmemory.h"

#include <malloc.h>
#include <sys/mman.h>

int anonymous_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

void keep_freed_memory(void) {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

int close_from(posix_spawn_file_actions_t *actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
