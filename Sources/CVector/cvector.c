#include "cvector.h"

// This file is compiled for the baseline: it may run on any processor, to say what it has.

int cv_cpu_is_x86_64_v3(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("x86-64-v3") != 0;
#else
  return 0;
#endif
}
