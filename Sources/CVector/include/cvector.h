#pragma once
// Eight floats to one instruction.
//
// `ext_vector_type(8)` imports into Swift as `SIMD8<Float>`, and these inline functions become one
// instruction each, where Swift's own `addingProduct`, `pointwiseMax` and `squareRoot` may become
// calls or scalar code. No intrinsics: the same header compiles to AVX2 and to NEON.

typedef float cv_f8 __attribute__((ext_vector_type(8)));
typedef int cv_i8 __attribute__((ext_vector_type(8)));

#define CV static inline __attribute__((always_inline))

CV cv_f8 cv_max(cv_f8 a, cv_f8 b) { return __builtin_elementwise_max(a, b); }
CV cv_f8 cv_min(cv_f8 a, cv_f8 b) { return __builtin_elementwise_min(a, b); }
CV cv_f8 cv_sqrt(cv_f8 a) { return __builtin_elementwise_sqrt(a); }

// x > y ? a : b, lane by lane
CV cv_f8 cv_select_greater(cv_f8 x, cv_f8 y, cv_f8 a, cv_f8 b) { return (x > y) ? a : b; }
CV cv_i8 cv_select_greater_int(cv_f8 x, cv_f8 y, cv_i8 a, cv_i8 b) { return (x > y) ? a : b; }

// a * b + c, rounded once where the processor can
CV cv_f8 cv_fma(cv_f8 a, cv_f8 b, cv_f8 c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_elementwise_fma(a, b, c);
#else
  return a * b + c; // without the instruction, __builtin_elementwise_fma calls fmaf() per lane
#endif
}

// What the kernels of this build use (Package.swift decides), and whether this processor has it.
const char *cv_instruction_set(void);
int cv_cpu_has_instruction_set(void);
