#!/usr/bin/env bash
# From a fresh clone to a trained model: installs, builds, makes the embedded data set, trains the main
# job on four local workers. What you add goes to the coordinator: cluster/demo.sh --set training.seed=2
set -euo pipefail
cd "$(dirname "$0")/.."
. cluster/setup.sh
swift build -c release
exec .build/release/coordinator --workers 4 "$@"
