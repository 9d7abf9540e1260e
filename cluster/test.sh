#!/usr/bin/env bash
# Everything that must hold before a change lands: installs, checks the format, builds without warnings
# and with honest arrows between modules, runs all tests (in release: the kernels are hopeless in debug)
# and, unless told to run only some of them, attacks the readers for a few seconds each.
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

if ! swift test -c release --skip-build --disable-xctest "$@" 2>&1 | tee "$log"; then
  # What failed stands last, where it is seen, with the lines that say why.
  printf '\ntest: what failed, again:\n' >&2
  grep -A 12 -E 'recorded an issue|[Ff]atal error|error: Exited' "$log" | grep -vE '^(◇|✔|➜)' | cut -c -1000 >&2
  exit 1
fi

[ $# -gt 0 ] || cluster/fuzz --brief
