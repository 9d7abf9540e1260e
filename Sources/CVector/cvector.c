#include "cvector.h"

// This file is compiled for the baseline: it may run on any processor, to say what it lacks.

const char *cv_instruction_set(void) {
#if defined(__x86_64__)
  return "AVX2 and FMA";
#elif defined(__aarch64__)
  return "NEON";
#else
  return "its baseline";
#endif
}

int cv_cpu_has_instruction_set(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#else
  return 1;
#endif
}
