#!/usr/bin/env bash
# Makes one file that runs where neither Swift nor any C library is: chexnet-<version>-linux-<processor>.tar.gz, with the executable, the
# licences of what is linked into it, and what it needs. On Debian or Ubuntu; Tools/package-check.sh runs it in an empty system.
#
# Tools/package.sh [FOLDER]
#   where the file is put; by default .build-package, where all of it is made.
#
# Swift's library and the C libraries are linked statically, glibc is not: MPI and OpenBLAS are opened at run time, and a static glibc opens none.
set -euo pipefail

# Debian 12's; Ubuntu 24.04 has 2.39. What is built on a newer system needs a newer one.
highest_glibc=2.36
glibc_libraries='libc.so.6 libm.so.6 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1'

if [ $# -gt 1 ]; then
  echo "error: expected one folder or nothing, found $*" >&2
  exit 64
fi
folder=$(realpath -m "${1-$(dirname "$0")/../.build-package}")
cd "$(dirname "$0")/.."
Tools/setup.sh --package
scratch=$PWD/.build-package
static=$scratch/static
mkdir -p "$static/pc" "$folder"

fail() {
  echo "error: $1" >&2
  exit "${2-70}"
}

# What pkg-config says is what SwiftPM links, so it is told of a folder that has archives only. The build ends up with those, and
# Package.swift need not know.

# archive FILE NAME: FILE as lib<NAME>.a.
linked=()
archive() {
  [ -e "$1" ] || fail "the static library $1 is missing; it comes with the headers of its library" 69
  linked+=("$1")
  ln -sf "$1" "$static/lib$2.a"
}
system=$(pkg-config --variable=libdir zlib)
archive "$system/libhdf5_serial.a" hdf5
for name in sz aec z deflate png16 turbojpeg crypto; do archive "$system/lib$name.a" $name; done
archive "$(gcc -print-file-name=libstdc++.a)" stdc++
# Linked by the compiler itself.
for name in gcc gcc_eh c_nonshared; do linked+=("$(gcc -print-file-name=lib$name.a)"); done

# libhdf5 knows how to read files on S3, by libcurl, which would bring twenty libraries more. Nothing here opens such files.
cat >"$static/no_curl.c" <<'END'
int curl_global_init(long flags) { return 2; }  /* CURLE_FAILED_INIT */
void curl_global_cleanup(void) {}
void *curl_easy_init(void) { return 0; }
void curl_easy_cleanup(void *handle) {}
int curl_easy_setopt(void *handle, int option, ...) { return 2; }
int curl_easy_perform(void *handle) { return 2; }
void *curl_slist_append(void *list, const char *text) { return 0; }
void curl_slist_free_all(void *list) {}
END
gcc -c -O2 -fPIC "$static/no_curl.c" -o "$static/no_curl.o"
ar -crs "$static/libno_curl.a" "$static/no_curl.o"

# libraries NAME FLAGS: what is linked where Package.swift names NAME.
libraries() {
  cat >"$static/pc/$1.pc" <<END
Name: $1
Description: static
Version: $(pkg-config --modversion "$1")
Cflags: $(pkg-config --cflags "$1")
Libs: -L$static $2
END
}
# libhdf5 comes with zlib, because whatever reads weight files has both; nothing of Package.swift names it, as it is opened elsewhere.
libraries zlib "-lhdf5 -lno_curl -lsz -laec -lz -lcrypto"
libraries libdeflate -ldeflate
libraries libpng "-lpng16 -lz -lm"
libraries libturbojpeg -lturbojpeg
libraries libcrypto -lcrypto

build=(-c release --static-swift-stdlib --product chexnet --scratch-path "$scratch" --pkg-config-path "$static/pc"
  -Xcc -DCHEXNET_LINKED_HDF5 -Xswiftc -Xclang-linker -Xswiftc -static-libgcc)
swift build "${build[@]}"
built=$(swift build "${build[@]}" --show-bin-path)/chexnet

# The folder as it is unpacked.
root=$scratch/root/chexnet
rm -rf "$scratch/root"
mkdir -p "$root/bin" "$root/licenses"
strip -o "$root/bin/chexnet" "$built"

mapfile -t needed < <(readelf -d "$root/bin/chexnet" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p')
[ ${#needed[@]} -gt 0 ] || fail "readelf names no library that the executable needs"
for library in "${needed[@]}"; do
  case " $glibc_libraries " in
    *" $library "*) ;;
    *) fail "the executable needs $library, which is not glibc's" ;;
  esac
done
# A library of the system with the same names, opened at run time, would be given ours.
for symbol in H5open EVP_sha256 inflate png_read_image tjDecompress2 _Unwind_RaiseException; do
  if nm -D --defined-only "$root/bin/chexnet" | grep -w "$symbol" >/dev/null; then
    fail "the executable gives the name $symbol to libraries that are opened at run time"
  fi
done
glibc=$(objdump -T "$root/bin/chexnet" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
glibc=${glibc#GLIBC_}
if [ "$(printf '%s\n' "$glibc" "$highest_glibc" | sort -V | tail -n 1)" != "$highest_glibc" ]; then
  fail "the executable needs glibc $glibc, expected at most $highest_glibc: build it on Debian 12"
fi

cp LICENSE "$root/licenses/chexnet.txt"
swift=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
cp "$swift/share/swift/LICENSE.txt" "$root/licenses/swift.txt"
for checkout in "$scratch"/checkouts/*/; do
  for file in "$checkout"LICENSE* "$checkout"NOTICE*; do
    [ ! -e "$file" ] || cp "$file" "$root/licenses/$(basename "$checkout")-$(basename "$file" .txt).txt"
  done
done
# Within Swift's Foundation.
cp /usr/share/doc/libicu-dev/copyright "$root/licenses/libicu-dev.txt"
for file in "${linked[@]}"; do
  package=$(dpkg -S "$(realpath "$file")" | sed 's/[:,].*//')
  cp "/usr/share/doc/$package/copyright" "$root/licenses/$package.txt"
done

version=$("$root/bin/chexnet" --version)
processor=$(uname -m)
cat >"$root/README.txt" <<END
chexnet $version for Linux on $processor

bin/chexnet is all of it: it may be put and linked anywhere. \`bin/chexnet help\` says what it does, \`bin/chexnet doctor\` whether the
arithmetic is right on this machine.

It needs Linux, glibc $glibc or newer (Debian 12, Ubuntu 24.04 and later) and /proc, and no other library or file.
Where they are there, it opens at run time:

  libmpi.so.40 (Open MPI), libmpi.so.12 or libmpich.so.12 (MPICH and its kin)    when mpirun or srun starts it; CHEXNET_MPI=/path names another
  libopenblas.so.0                                                               for --device reference

licenses/ has the licences of what is linked into it.

For research. Not a medical device: no output of this program is a diagnosis.
END

# The same source gives the same archive, whoever makes it: no user, no time of the day.
file=$folder/chexnet-$version-linux-$processor.tar.gz
tar -C "$scratch/root" --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw --mtime="@$(git log -1 --format=%ct 2>/dev/null || echo 0)" \
  -cf - chexnet | gzip -9n >"$file.part"
mv "$file.part" "$file"
echo "needs ${needed[*]}, glibc $glibc"
echo "$file: $(stat -c %s "$file") bytes"
