#pragma once
// Eight floats to one instruction.
//
// `ext_vector_type(8)` imports into Swift as `SIMD8<Float>`, and these inline functions become one
// instruction each, where Swift's own `addingProduct`, `pointwiseMax` and `squareRoot` may become
// calls or scalar code. No intrinsics: the same header compiles to AVX2 and to NEON.

typedef float cv_f8 __attribute__((ext_vector_type(8)));
typedef int cv_i8 __attribute__((ext_vector_type(8)));

// All of it is inlined, so it does not matter how vectors would be passed.
#pragma clang diagnostic ignored "-Wpsabi"
#define CV static inline __attribute__((always_inline))

CV cv_f8 cv_max(cv_f8 a, cv_f8 b) { return __builtin_elementwise_max(a, b); }
CV cv_f8 cv_min(cv_f8 a, cv_f8 b) { return __builtin_elementwise_min(a, b); }
CV cv_f8 cv_sqrt(cv_f8 a) { return __builtin_elementwise_sqrt(a); }

CV cv_f8 cv_subtract(cv_f8 a, cv_f8 b) { return a - b; }

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

// x > y as a mask; x > y or x is NaN; mask ? a : b
CV cv_i8 cv_exceeds_number(cv_f8 x, cv_f8 y) { return x > y; }
CV cv_i8 cv_exceeds(cv_f8 x, cv_f8 y) { return (x > y) | (x != x); }
CV cv_f8 cv_select(cv_i8 mask, cv_f8 a, cv_f8 b) { return mask ? a : b; }
CV cv_i8 cv_select_int(cv_i8 mask, cv_i8 a, cv_i8 b) { return mask ? a : b; }

// Eight bytes as integers, and back.
typedef unsigned char cv_b8 __attribute__((ext_vector_type(8), aligned(1)));
CV cv_i8 cv_load_bytes(const unsigned char *bytes) {
  return __builtin_convertvector(*(const cv_b8 *)bytes, cv_i8);
}
CV void cv_store_bytes(cv_i8 x, unsigned char *bytes) {
  *(cv_b8 *)bytes = __builtin_convertvector(x, cv_b8);
}

// Eight half words as integers.
typedef unsigned short cv_s8 __attribute__((ext_vector_type(8), aligned(2)));
CV cv_i8 cv_load_shorts(const unsigned short *shorts) {
  return __builtin_convertvector(*(const cv_s8 *)shorts, cv_i8);
}

// x >= bound ? a : 0, lane by lane
CV cv_f8 cv_where_at_least(cv_i8 x, int bound, cv_f8 a) {
  cv_i8 mask = x >= (cv_i8)bound;
  return (cv_f8)(mask & (cv_i8)a);
}

// x == number ? a : 0, lane by lane
CV cv_f8 cv_where_equal(cv_i8 x, int number, cv_f8 a) {
  cv_i8 mask = x == (cv_i8)number;
  return (cv_f8)(mask & (cv_i8)a);
}

// Eight rows of eight, written across: out[j * stride + i] = row i, column j.
CV void cv_store_transposed(
    cv_f8 r0, cv_f8 r1, cv_f8 r2, cv_f8 r3, cv_f8 r4, cv_f8 r5, cv_f8 r6, cv_f8 r7, float *out,
    long stride) {
  typedef float unaligned __attribute__((ext_vector_type(8), aligned(4)));
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW2(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH2(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW4(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define HIGH4(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
  cv_f8 a0 = LOW(r0, r1), a1 = HIGH(r0, r1), a2 = LOW(r2, r3), a3 = HIGH(r2, r3);
  cv_f8 a4 = LOW(r4, r5), a5 = HIGH(r4, r5), a6 = LOW(r6, r7), a7 = HIGH(r6, r7);
  cv_f8 b0 = LOW2(a0, a2), b1 = HIGH2(a0, a2), b2 = LOW2(a1, a3), b3 = HIGH2(a1, a3);
  cv_f8 b4 = LOW2(a4, a6), b5 = HIGH2(a4, a6), b6 = LOW2(a5, a7), b7 = HIGH2(a5, a7);
  *(unaligned *)(out) = LOW4(b0, b4);
  *(unaligned *)(out + stride) = LOW4(b1, b5);
  *(unaligned *)(out + 2 * stride) = LOW4(b2, b6);
  *(unaligned *)(out + 3 * stride) = LOW4(b3, b7);
  *(unaligned *)(out + 4 * stride) = HIGH4(b0, b4);
  *(unaligned *)(out + 5 * stride) = HIGH4(b1, b5);
  *(unaligned *)(out + 6 * stride) = HIGH4(b2, b6);
  *(unaligned *)(out + 7 * stride) = HIGH4(b3, b7);
#undef LOW
#undef HIGH
#undef LOW2
#undef HIGH2
#undef LOW4
#undef HIGH4
}

// The sums of eight vectors' lanes, each in the same fixed tree.
CV cv_f8 cv_totals(
    cv_f8 a, cv_f8 b, cv_f8 c, cv_f8 d, cv_f8 e, cv_f8 f, cv_f8 g, cv_f8 h) {
#define EVEN(x, y) __builtin_shufflevector(x, y, 0, 2, 8, 10, 4, 6, 12, 14)
#define ODD(x, y) __builtin_shufflevector(x, y, 1, 3, 9, 11, 5, 7, 13, 15)
#define SUM(x, y) (EVEN(x, y) + ODD(x, y))
  cv_f8 abcd = SUM(SUM(a, b), SUM(c, d)), efgh = SUM(SUM(e, f), SUM(g, h));
  return __builtin_shufflevector(abcd, efgh, 0, 1, 2, 3, 8, 9, 10, 11)
      + __builtin_shufflevector(abcd, efgh, 4, 5, 6, 7, 12, 13, 14, 15);
#undef EVEN
#undef ODD
#undef SUM
}

// Philox4x32-10 of eight counters that differ in their first word, block, block + 1, …: the 32 words
// in order. Four more behind them are overwritten.
CV void cv_philox8(
    unsigned block, unsigned c1, unsigned c2, unsigned c3, unsigned k0, unsigned k1,
    unsigned *words) {
  typedef unsigned u8 __attribute__((ext_vector_type(8)));
  typedef unsigned long long u4 __attribute__((ext_vector_type(4)));
  const u4 low = (u4)0xFFFFFFFFull;
  u8 x0 = (u8)block + (u8){0, 1, 2, 3, 4, 5, 6, 7}, x1 = (u8)c1, x2 = (u8)c2, x3 = (u8)c3;
  for (int round = 0; round < 10; round++) {
    u4 even0 = ((u4)x0 & low) * (u4)0xD2511F53ull, odd0 = ((u4)x0 >> 32) * (u4)0xD2511F53ull;
    u4 even2 = ((u4)x2 & low) * (u4)0xCD9E8D57ull, odd2 = ((u4)x2 >> 32) * (u4)0xCD9E8D57ull;
    u8 high0 = (u8)((even0 >> 32) | (odd0 & ~low)), low0 = (u8)((even0 & low) | (odd0 << 32));
    u8 high2 = (u8)((even2 >> 32) | (odd2 & ~low)), low2 = (u8)((even2 & low) | (odd2 << 32));
    x0 = high2 ^ x1 ^ (u8)k0;
    x1 = low2;
    x2 = high0 ^ x3 ^ (u8)k1;
    x3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  cv_store_transposed(
      (cv_f8)x0, (cv_f8)x1, (cv_f8)x2, (cv_f8)x3, (cv_f8)x0, (cv_f8)x0, (cv_f8)x0, (cv_f8)x0,
      (float *)words, 4);
}

// What whoever includes this is compiled for.
CV const char *cv_compiled_for(void) {
#if defined(__AVX2__) && defined(__FMA__)
  return "AVX2";
#elif defined(__aarch64__)
  return "portable (NEON)";
#else
  return "portable";
#endif
}

// Whether this processor has all that -march=x86-64-v3 may use: AVX2, FMA and what came with them.
int cv_cpu_is_x86_64_v3(void);
