#!/usr/bin/env bash
# Installs what chexnet is built with, where it is missing: seven C libraries from Debian's or Ubuntu's packages.
# Says what it installs; does nothing the second time. Swift itself it does not install: it says how to get it.
# Tools/setup.sh --tests: also what the tests of another processor's kernels are compiled and run with (Tests/NEON).
# Tools/setup.sh --with-ranks: also Open MPI and MPICH, under both of which the tests of ranks run; without them they are skipped.
# Tools/setup.sh --package: also what Tools/package.sh takes beside the static libraries, which come with the headers.
set -euo pipefail

packages=(libhdf5-dev libopenblas0 zlib1g-dev libdeflate-dev libpng-dev libturbojpeg0-dev libssl-dev pkg-config)
# pkg-config's names of the same libraries: what the build asks for, on any distribution.
libraries=(hdf5-serial zlib libdeflate libpng libturbojpeg libcrypto)

files=()
for option in "$@"; do
  case $option in
    # An arm64 machine needs none of them; where packages have other names, Tests/NEON is skipped.
    --tests)
      if [ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null; then
        packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
        files+=(/usr/bin/aarch64-linux-gnu-gcc /usr/aarch64-linux-gnu/lib/libc.a /usr/bin/qemu-aarch64)
      fi
      ;;
    --with-ranks)
      packages+=(openmpi-bin mpich)
      files+=(/usr/bin/mpirun.openmpi /usr/bin/mpirun.mpich)
      ;;
    --package)
      # Swift's Foundation has ICU within, whose licence it does not bring.
      packages+=(binutils libicu-dev)
      files+=(/usr/bin/strip /usr/bin/readelf /usr/share/doc/libicu-dev/copyright)
      ;;
    *)
      echo "error: expected --tests, --with-ranks or --package, found $option" >&2
      exit 64
      ;;
  esac
done

missing() {
  for library in "${libraries[@]}"; do
    pkg-config --exists "$library" 2>/dev/null || printf '%s ' "$library"
  done
  # Opened at run time, so that its headers are not needed. No `| grep -q`, which stops reading at its first match:
  # with pipefail, ldconfig's broken pipe would count as a missing library, once in a while, on a machine with many.
  case "$({ ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null)" in
    *libopenblas.so*) ;;
    *) printf 'openblas ' ;;
  esac
  for file in "${files[@]}"; do
    [ -e "$file" ] || printf '%s ' "$file"
  done
}

if [ -n "$(missing)" ]; then
  if ! command -v apt-get >/dev/null; then
    echo "error: missing: $(missing)" >&2
    echo "hint: install HDF5 (serial), OpenBLAS, zlib, libdeflate, libpng, TurboJPEG, OpenSSL and pkg-config, with their headers" >&2
    exit 69
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "error: installing packages needs root, and there is no sudo here" >&2
      echo "hint: as root: apt-get install ${packages[*]}" >&2
      exit 69
    fi
    as_root=(sudo)
  fi
  echo "setup: installing ${packages[*]}"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "error: the packages could not be installed" >&2
    exit 69
  fi
  if [ -n "$(missing)" ]; then
    echo "error: still missing after the installation: $(missing)" >&2
    exit 69
  fi
fi

if ! command -v swift >/dev/null; then
  echo "error: there is no Swift on this machine's PATH" >&2
  echo "hint: install Swift 6.3 or newer from https://www.swift.org/install/linux (swiftly, or a tar ball), then run this again" >&2
  exit 69
fi
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
if [ "$(printf '6.3\n%s\n' "$version" | sort -V | head -n 1)" != 6.3 ]; then
  echo "error: expected Swift 6.3 or newer, found ${version:-an unknown version}" >&2
  echo "hint: swiftly install latest, or see https://www.swift.org/install/linux" >&2
  exit 69
fi
