#!/usr/bin/env bash
# Runs what Tools/package.sh has made in a system where nothing else is: one of debootstrap's smallest variant, in a temporary folder that is
# removed again. Does every job there, and compares what comes out with the ordinary build of this machine. As root.
#
# Tools/package-check.sh TAR [SUITE]
#   SUITE: trixie (Debian 13; by default), bookworm (Debian 12) or noble (Ubuntu 24.04).
set -euo pipefail

fail() {
  echo "error: $1" >&2
  [ $# -lt 3 ] || echo "hint: $3" >&2
  exit "$2"
}

[ $# -eq 1 ] || [ $# -eq 2 ] || fail "expected the package and a suite, found $*" 64
package=$(realpath "$1")
suite=${2-trixie}
[ -f "$package" ] || fail "no such file: $1" 66 "Tools/package.sh makes it"
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || fail "debootstrap, mount and chroot need root" 69
command -v debootstrap >/dev/null || fail "there is no debootstrap on this machine" 69 "apt-get install debootstrap"
options=() source=()
case $suite in
  trixie | bookworm) source=(http://deb.debian.org/debian) ;;
  noble)
    keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    [ -e $keys ] || fail "the keys of Ubuntu's archive are missing: $keys" 69 "the package ubuntu-keyring (of Debian 13, or its .deb elsewhere) has them"
    if [ "$(uname -m)" = x86_64 ]; then mirror=http://archive.ubuntu.com/ubuntu; else mirror=http://ports.ubuntu.com/ubuntu-ports; fi
    # A debootstrap that is older than the suite knows it by the first one that was made like it.
    options=("--keyring=$keys") source=("$mirror" /usr/share/debootstrap/scripts/gutsy)
    ;;
  *) fail "expected trixie, bookworm or noble, found $suite" 64 ;;
esac

swift build -c release --static-swift-stdlib --product chexnet >&2
ordinary=$(swift build -c release --static-swift-stdlib --show-bin-path)/chexnet

folder=$(mktemp -d)
root=$folder/root
clean_up() {
  # Nothing is removed while a file system of the machine is in it; debootstrap has some for a while.
  for place in "$root/proc" "$root/sys"; do
    if mountpoint -q "$place"; then umount "$place" || exit; fi
  done
  rm -rf --one-file-system "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

debootstrap --variant=minbase "${options[@]}" "$suite" "$root" "${source[@]}" >"$folder/log" 2>&1 || {
  tail -5 "$folder/log" >&2
  fail "debootstrap of $suite failed" 69
}
tar -C "$root/opt" -xzf "$package"
mkdir "$root/work"
cp -r fixtures/weight-files "$root/work/files"

# The package's in the new system, and the ordinary one of this machine; both in the same folder, so that they say the same of the same files.
inside() { chroot "$root" env -i -C /work HOME=/root LANG=C.UTF-8 "$@"; }
packaged() { inside /opt/chexnet/bin/chexnet "$@"; }
built() { env -C "$root/work" XDG_CACHE_HOME="$folder/cache" "$ordinary" "$@"; }

failed=0
# check TEXT COMMAND…: the command succeeds.
check() {
  local text=$1
  shift
  if "$@" >"$folder/log" 2>&1; then
    echo "ok      $text"
  else
    echo "FAILED  $text"
    sed 's/^/        /' "$folder/log" | tail -20
    failed=$((failed + 1))
  fi
}
# refuses STATUS TEXT COMMAND…: it ends with that status and says TEXT.
refuses() {
  local expected=$1 text=$2 status=0
  shift 2
  "$@" >"$folder/said" 2>&1 || status=$?
  cat "$folder/said"
  [ "$status" -eq "$expected" ] && grep -q -- "$text" "$folder/said"
}
# says TEXT COMMAND…: it succeeds and says TEXT.
says() { refuses 0 "$@"; }
# same ARGUMENTS…: both say the same, and end alike.
same() {
  local status=0 expected=0
  packaged "$@" >"$folder/found" 2>&1 || status=$?
  built "$@" >"$folder/expected" 2>&1 || expected=$?
  diff "$folder/expected" "$folder/found" && [ "$status" -eq "$expected" ]
}
# same_output NAME ARGUMENTS…: both write the same file or folder of that name.
same_output() {
  local name=$1
  shift
  packaged "$@" --output "$name" >/dev/null && mv "$root/work/$name" "$root/work/$name.packaged" &&
    built "$@" --output "$name" >/dev/null && diff -r "$root/work/$name.packaged" "$root/work/$name"
}
nothing_else() { ! find "$root"/usr "$root"/lib* -name 'libhdf5*' -o -name 'libopenblas*' -o -name 'libturbojpeg*' -o -name 'libswift*' | grep .; }

echo "$(basename "$package") in $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$root/etc/os-release"), $(inside ldd --version | sed -n '1s/.* /glibc /p')"
check "without /proc it says what is missing" refuses 69 "/proc is not there" packaged --version
mount -t proc proc "$root/proc"
check "no library of those it is built with is there" nothing_else
check "--version" same --version
check "doctor: the arithmetic is right, HDF5 is within, OpenBLAS is not there" \
  says "OpenBLAS none, HDF5 1" packaged doctor
check "demo-data" packaged demo-data --output data --images 60
check "finetune" packaged finetune --data data --train data/train_list.txt --validation data/val_list.txt \
  --architecture 8:2,2 --image-size 32 --epochs 3 --batch-size 4 --learning-rate 4e-3 --augment flip --output run
check "evaluate: the AUROCs, to the letter, of the ordinary build" \
  same evaluate run/checkpoints/best.safetensors --data data --test data/test_list.txt
sed -n 's/^mean of.*/        &/p' "$folder/found"
check "heatmap: the bytes of the ordinary build" \
  same_output maps heatmap run/checkpoints/best.safetensors data/test_list.txt --finding all --overlay
check "import-weights, PyTorch: the bytes of the ordinary build" same_output torch.safetensors import-weights files/network/torchvision.pt
check "import-weights, Keras (HDF5): the bytes of the ordinary build" same_output keras.safetensors import-weights files/network/keras-nested.h5
check "import-weights, packed and converted HDF5: the tensors of the ordinary build" \
  same import-weights --inspect files/keras/chunked.h5
check "import-weights, a file that crashes libhdf5: the confined process ends, not the command" \
  refuses 65 "signal 11 ended the process that reads it" packaged import-weights files/keras/crashes-libhdf5.h5 --output none.safetensors
check "export-weights, Keras (HDF5)" packaged export-weights keras.safetensors --format keras --output exported.h5
check "import-weights of what was exported" packaged import-weights exported.h5 --output again.safetensors
check "--device reference names OpenBLAS, which is missing" \
  refuses 69 libopenblas packaged predict keras.safetensors data/images --device reference
check "a rank of Open MPI's names libmpi, which is missing" \
  refuses 69 libmpi.so.40 inside OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 \
  /opt/chexnet/bin/chexnet evaluate run/checkpoints/best.safetensors --data data --test data/test_list.txt
if [ "$failed" -gt 0 ]; then
  echo "$failed failed"
  exit 1
fi
echo "all passed"
