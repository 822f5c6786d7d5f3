#!/usr/bin/env bash
# Builds chexnet.fatbin, the GPU's kernels in machine code for every architecture, which is committed and embedded in the executable.
# Needs no GPU. The same sources give the same bytes, in whatever folder.
#
# Tools/cuda/build.sh              builds it, and chexnet.fatbin.sources beside it: the SHA-256 of every file that went in; and writes what each
#                                  kernel takes of a processor into Tools/cuda/MEASURED.md
# Tools/cuda/build.sh --check      builds it elsewhere and compares with what is there; exit 1 where they differ
# Tools/cuda/build.sh --install    fetches NVIDIA's compiler (110 MB, from PyPI) into a folder of the cache, and builds nothing
#
# The compiler is $NVCC, or else what --install has fetched. Without one: "skipped: …" and exit 77.
# Fails where a convolution spills registers or has a stack frame, and where products of wgmma wait for one another.
set -euo pipefail
export LC_ALL=C

kernels=Sources/Accelerators/CUDA/Kernels
fatbin=chexnet.fatbin
release=13.0.88
architectures=(80 86 89 90a 100 120)
# Newer ones than these compile this at their first start.
ptx=80
# Sums and products are fused only where a kernel says fmaf, so that the emulator, built with -ffp-contract=off, computes the same bits.
flags=(-std=c++17 -O3 -fmad=false -compress-mode=size)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/chexnet/nvcc-13.0

fail() {
  echo "error: $1" >&2
  [ $# -lt 3 ] || echo "hint: $3" >&2
  exit "${2-70}"
}

[ $# -le 1 ] || fail "expected at most one option, found $*" 64
task=${1-build}
case $task in
  build | --check | --install) ;;
  *) fail "expected --check, --install or nothing, found $task" 64 ;;
esac
cd "$(dirname "$0")/../.."
tools=$PWD/Tools/cuda

if [ "$task" = --install ]; then
  python3 -m venv "$cache"
  "$cache/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: -r "$tools/requirements.txt"
fi

if [ -n "${NVCC-}" ] && [ "$task" != --install ]; then
  nvcc=$(command -v "$NVCC") || fail "NVCC is $NVCC, which is no command" 69
else
  nvcc=''
  for candidate in "$cache"/lib/python3*/site-packages/nvidia/cu13/bin/nvcc; do
    if [ -x "$candidate" ]; then nvcc=$candidate; fi
  done
fi
if [ -z "$nvcc" ]; then
  echo "skipped: there is no nvcc $release here; Tools/cuda/build.sh --install fetches it, or NVCC names one"
  exit 77
fi
case "$("$nvcc" --version)" in
  *"V$release"*) ;;
  *) fail "expected nvcc $release, found another: $nvcc" 69 "without NVCC, Tools/cuda/build.sh --install fetches it" ;;
esac
if [ "$task" = --install ]; then
  echo "nvcc $release: $nvcc"
  exit 0
fi
command -v g++ >/dev/null || fail "nvcc needs g++, which is not on this machine" 69 "apt-get install g++"

# A copy: what is compiled and what is hashed are the same, also while somebody edits.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/sources" "$scratch/built"
(cd "$kernels" && find . \( -name '*.h' -o -name '*.cu' \) -exec cp --parents {} "$scratch/sources" \;)
cd "$scratch/sources"

# Each list of kernel_list.h, with its name: in which a kernel is a convolution.
{
  echo '#include "include/kernel_list.h"'
  echo '#include <stdio.h>'
  cat <<'END'
#define PRINT(name, parameters, threads, blocks, bytes, ...) printf("%s\t%s\t%d\t%d\t%d\n", LIST, #name, int(threads), int(blocks), int(bytes));
END
  echo 'int main() {'
  sed -n 's/^#define \(CHEXNET_CUDA_[A-Z0-9_]*\)(K).*/\1/p' include/kernel_list.h | { grep -v '^CHEXNET_CUDA_KERNELS' || true; } |
    while read -r list; do printf '#define LIST "%s"\n%s(PRINT)\n#undef LIST\n' "$list" "$list"; done
  echo '}'
} >"$scratch/list.cpp"
g++ -std=c++17 -I. "$scratch/list.cpp" -o "$scratch/list" || fail "kernel_list.h does not compile"
"$scratch/list" >"$scratch/list.txt"
[ -s "$scratch/list.txt" ] || fail "there is no kernel in kernel_list.h" 65

targets=()
for architecture in "${architectures[@]}"; do targets+=(-gencode "arch=compute_$architecture,code=sm_$architecture"); done
targets+=(-gencode "arch=compute_$ptx,code=compute_$ptx")
# A relative name of the source and always the same name of the result: both could get into it.
if ! "$nvcc" "${flags[@]}" "${targets[@]}" --threads 2 -Xptxas -v -fatbin kernels.cu -o "$fatbin" >"$scratch/log" 2>&1; then
  grep -v '^ptxas info\|^ *[0-9]* bytes stack frame' "$scratch/log" >&2 || cat "$scratch/log" >&2
  fail "the kernels do not compile"
fi
grep -i 'warning' "$scratch/log" >&2 || true
# ptxas only informs of it, and it undoes what wgmma is for.
if grep 'C7515\|wgmma.*serialized' "$scratch/log" >&2; then fail "ptxas makes wgmma's products wait for one another" 65; fi
mv "$fatbin" "$scratch/built"

"$nvcc" "${flags[@]}" -gencode "arch=compute_$ptx,code=compute_$ptx" -MM kernels.cu >"$scratch/dependencies"
# A relative name is one of ours; the others are nvcc's.
sed 's/\\$//' "$scratch/dependencies" | tr ' ' '\n' | sed -n '/^[^/].*\.\(h\|cu\)$/p' | xargs -r realpath --relative-to=. | sort -u >"$scratch/names"
[ -s "$scratch/names" ] || fail "nvcc -MM names no source"
xargs sha256sum <"$scratch/names" >"$scratch/built/$fatbin.sources"

cd "$tools/../.."
resources=(python3 "$tools/resources.py" "$scratch/list.txt" "$scratch/log" "${architectures[@]/#/sm_}")
case $task in
  build)
    for name in "$fatbin.sources" "$fatbin"; do
      cp "$scratch/built/$name" "$kernels/$name.part"
      mv "$kernels/$name.part" "$kernels/$name"
    done
    echo "$kernels/$fatbin: $(stat -c %s "$kernels/$fatbin") bytes, $(wc -l <"$kernels/$fatbin.sources") sources"
    "${resources[@]}" --into "$tools/MEASURED.md"
    ;;
  --check)
    same=yes
    "${resources[@]}" >"$scratch/table" || same=no
    if ! diff -u "$kernels/$fatbin.sources" "$scratch/built/$fatbin.sources"; then same=no; fi
    python3 "$tools/images.py" "$kernels/$fatbin" "$scratch/built/$fatbin" || same=no
    if [ $same = no ]; then
      echo "error: $kernels/$fatbin is not what its sources give" >&2
      echo "hint: Tools/cuda/build.sh makes it anew" >&2
      exit 1
    fi
    echo "$kernels/$fatbin is what its sources give"
    ;;
esac
