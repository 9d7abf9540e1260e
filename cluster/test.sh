#!/usr/bin/env bash
# Everything that must hold before a change lands: installs, checks the format, builds without warnings
# and with honest arrows between modules, runs all tests (in release: the kernels are hopeless in debug)
# and, unless told to run only some of them, those of the arithmetic once more with the portable kernels,
# attacks the readers for a few seconds each, and starts and stops workers on make-believe hosts.
set -euo pipefail
cd "$(dirname "$0")/.."
. cluster/setup.sh

swift format lint --strict --recursive Package.swift Sources Tests

log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift build -c release --build-tests --explicit-target-dependency-import-check error 2>&1 | tee "$log"
if grep -E '(^|[[:space:]])warning: ' "$log"; then
  echo 'test: the build has warnings, see above' >&2
  exit 1
fi

# Only the kernels made for AVX2 may use it, and what came with it: Package.swift says how other code
# could come to it.
if [ "$(uname -m)" = x86_64 ]; then
  for program in coordinator worker tutti bench; do
    objdump --disassemble --no-show-raw-insn ".build/release/$program"
  done | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2 }
    $2 ~ /^(v|bls|((shl|shr|sar|mul|ror)x|andn|bextr|bzhi|lzcnt|movbe|pdep|pext)$)/ && name !~ /x86v3Kernels/ && !seen[name]++ { print name }' >"$log"
  if [ -s "$log" ]; then
    echo 'test: these functions would run on AVX2 without having asked whether it is there:' >&2
    cat "$log" >&2
    exit 1
  fi
fi

run_tests() {
  swift test -c release --skip-build --disable-xctest "$@" 2>&1 | tee "$log" && return
  # What failed stands last, where it is seen, with the lines that say why.
  printf '\ntest: what failed, again:\n' >&2
  grep -A 12 -E 'recorded an issue|[Ff]atal error|error: Exited' "$log" | grep -vE '^(◇|✔|➜)' | cut -c -1000 >&2
  exit 1
}

run_tests "$@"
[ $# -gt 0 ] && exit

echo 'test: what computes, once more with the portable kernels'
TUTTI_KERNELS=portable run_tests --filter '^(KernelsTests|LayersTests|ModelsTests)\.'
cluster/fuzz --brief
cluster/test-hosts
