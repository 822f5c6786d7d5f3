#!/usr/bin/env bash
# Compiles the kernels for arm64 and compares their level NEON with the reference: on a machine of that kind directly, on any other by a
# cross compiler and under qemu. Prints a line for each precision; fails where something differs.
# --required: fails, instead of saying `skipped`, where the cross compiler or qemu is missing.
# --native: compares the levels of this machine's own processor, whatever that is.
set -euo pipefail
cd "$(dirname "$0")/../.."
required=no native=no
for option; do
  case $option in
    --required) required=yes ;;
    --native) native=yes ;;
    *)
      echo "error: expected --required or --native, found $option" >&2
      exit 64
      ;;
  esac
done

# Swift brings a clang that compiles for any processor; what is missing is the other's libraries.
compiler=$(dirname "$(readlink -f "$(command -v swift || echo swift)")")/clang
[ -x "$compiler" ] || compiler=clang
missing=() target=() emulator=()
command -v "$compiler" >/dev/null || missing+=(clang)
if [ "$native" = no ] && [ "$(uname -m)" != aarch64 ]; then
  # Static: qemu finds no libraries of arm64 here.
  target=(--target=aarch64-linux-gnu -static) emulator=(qemu-aarch64)
  [ -e /usr/aarch64-linux-gnu/lib/libc.a ] || missing+=(libc6-dev-arm64-cross)
  command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
  command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
fi
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$required" = yes ]; then
    echo "error: the comparison of NEON's kernels needs ${missing[*]}" >&2
    echo "hint: Tools/setup.sh --tests" >&2
    exit 69
  fi
  echo "skipped: the comparison of NEON's kernels needs ${missing[*]}"
  exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
nice "$compiler" "${target[@]}" -std=c11 -O2 -Wall -Wextra -ISources/CKernels/include -o "$folder/compare" \
  Tests/NEON/compare_levels.c Sources/CKernels/*.c -lm
nice "${emulator[@]}" "$folder/compare"
