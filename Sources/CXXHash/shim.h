#pragma once
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>
#if defined(__x86_64__)
// From here on XXH3's functions are those that take the best instructions that the processor has.
#include <xxh_x86dispatch.h>
#endif

// XXH3 with 64 bits, which Swift would otherwise find in the instructions that every processor has: the same
// values, at a third of the speed.

static inline uint64_t xxh3(const void *bytes, size_t count) { return XXH3_64bits(bytes, count); }

static inline uint64_t xxh3_with_seed(const void *bytes, size_t count, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, count, seed);
}

static inline void xxh3_update(XXH3_state_t *state, const void *bytes, size_t count) {
  XXH3_64bits_update(state, bytes, count);
}
