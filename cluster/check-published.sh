#!/usr/bin/env bash
# Checks the import of the CRNN that was published with its weights, against the material in a folder:
#
#   cluster/check-published.sh FOLDER      # weights.safetensors, goldens.safetensors, audio/*.mp3
#
# The published top tens, all probabilities and the maps between the layers, by the tests that know
# where the material is; then what the model makes of the sound files themselves.
set -euo pipefail
published=$(realpath "${1:?usage: cluster/check-published.sh FOLDER}")
cd "$(dirname "$0")/.."
. cluster/setup.sh

swift build -c release --build-tests
TUTTI_PUBLISHED=$published swift test -c release --skip-build --disable-xctest --filter PublishedModel

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
.build/release/tutti import --weights "$published/weights.safetensors" \
  --config configs/crnn-published.yaml --out "$folder/model"
.build/release/tutti tag --model "$folder/model" --top 10 "$published"/audio/*.mp3
