#!/usr/bin/env bash
# Installs what Tutti needs on Debian 12: the C libraries by apt, and Swift by its own installer where
# there is none. Run it as often as you like; what is there is left alone.
set -euo pipefail

swift_version=6.3.1
packages=(
  ca-certificates curl git
  libopenblas-dev    # matrix products
  libfftw3-dev       # spectra
  libsndfile1-dev    # sound files
  libsoxr-dev        # resampling
  libzmq3-dev        # messages between machines
  libxxhash-dev      # checksums of blocks and messages
  libsodium-dev      # SHA-256
)
# What compiling and linking with Swift asks for on Debian 12.
toolchain_packages=(binutils gnupg2 libc6-dev libcurl4-openssl-dev libedit2 libgcc-12-dev libncurses-dev
  libpython3-dev libsqlite3-0 libstdc++-12-dev libxml2-dev libz3-dev pkg-config tzdata unzip zlib1g-dev)

fail() { printf 'setup: %s\n' "$*" >&2; exit 69; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "installing packages needs root, and there is no sudo: run this as root once"; fi
}

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  command -v apt-get >/dev/null || fail "this is not Debian: install the like of ${missing[*]} by hand"
  echo "setup: installing ${missing[*]}"
  as_root apt-get update -qq || fail "apt-get update failed: is the network there?"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null || fail "apt-get could not install ${missing[*]}"
}

find_swift() {
  local folder
  command -v swift >/dev/null && return
  for folder in "${SWIFTLY_BIN_DIR:-$HOME/.local/share/swiftly/bin}" /opt/swift/usr/bin; do
    if [ -x "$folder/swift" ]; then export PATH="$folder:$PATH"; return; fi
  done
  return 1
}

install_swift() {
  local folder archive
  folder=$(mktemp -d)
  archive="swiftly-$(uname -m).tar.gz"
  echo "setup: installing Swift $swift_version with swiftly"
  curl -fsSL --retry 2 -o "$folder/$archive" "https://download.swift.org/swiftly/linux/$archive" ||
    fail "Swift is not here and its installer cannot be fetched: install Swift $swift_version (swift.org/install) and run this again"
  tar -xzf "$folder/$archive" -C "$folder" || fail "the downloaded installer, $archive, is damaged"
  "$folder/swiftly" init --assume-yes --quiet-shell-followup --skip-install ||
    fail "swiftly could not be set up"
  # shellcheck disable=SC1091
  . "${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly}/env.sh"
  swiftly install --use --assume-yes "$swift_version" ||
    fail "swiftly could not install Swift $swift_version"
  rm -rf "$folder"
}

install_packages "${packages[@]}" "${toolchain_packages[@]}"
find_swift || install_swift
find_swift || fail "Swift was installed but cannot be found: open a new shell and run this again"

found=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
[ "$(printf '%s\n6.2\n' "$found" | sort -V | head -n 1)" = 6.2 ] ||
  fail "Swift $found is too old: Tutti needs 6.2 or newer"
