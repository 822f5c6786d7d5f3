#!/usr/bin/env bash
# Fuzzes the readers of weight files: Tools/fuzz/run.sh [SECONDS] [TARGET…]; 60 seconds each of archive, pickle, stream, safetensors, keras.
# Prints for each target how many inputs were tried and what was found; fails where something was.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(archive pickle stream safetensors keras)

# The libraries, instrumented; every check of the optimised build stays.
build=.build-fuzz
swift build -c release --scratch-path "$build" --target WeightFormats -Xswiftc -enable-testing \
  -Xswiftc -sanitize=fuzzer,address -Xcc -fsanitize=address >/dev/null
binaries=$build/release
work=$build/fuzz
mkdir -p "$work"
# The objects of the library and of all that it is made of, and no program's.
mapfile -t objects < <(find "$binaries/" -name '*.o' -not -path '*Tests*' | sort)
mapfile -t modules < <(printf -- '-fmodule-map-file=%s\n' Sources/System/*/module.modulemap "$binaries"/C*.build/module.modulemap)
mapfile -t includes < <(printf -- '-Xcc\n%s\n' "${modules[@]}" $(pkg-config --cflags zlib libdeflate libcrypto))
mapfile -t flags < <(pkg-config --libs zlib libdeflate libcrypto | tr ' ' '\n' | sed '/^$/d')

# Memory is bounded as in Sources/WeightFormats: no single allocation over 80 MB. An input may take a second; the sanitizer makes five of it.
options=(-rss_limit_mb=1024 -malloc_limit_mb=80 -timeout=5 -max_len=65536 -print_final_stats=1)
found=0
for target in "${targets[@]}"; do
  swiftc -O -swift-version 6 -parse-as-library -sanitize=fuzzer,address -I "$binaries/Modules" "${includes[@]}" -module-name "fuzz_$target" \
    Tools/fuzz/Fuzzing.swift Tests/WeightFormatsTests/MemoryBytes.swift "Tools/fuzz/$target.swift" "${objects[@]}" "${flags[@]}" -o "$work/$target" \
    2> >(grep -v 'Cannot export local symbol' >&2)
  corpus=$work/corpus-$target
  python3 Tools/fuzz/seeds.py "$target" "$work/seeds-$target"
  mkdir -p "$corpus" "$work/findings"
  log=$work/$target.log
  status=0
  ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=64 "$work/$target" "$corpus" "$work/seeds-$target" "${options[@]}" -max_total_time="$seconds" \
    -artifact_prefix="$work/findings/$target-" >"$log" 2>&1 || status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  if [ "$status" -eq 0 ]; then
    echo "$target: ${executions:-?} executions in $seconds s, nothing found, peak ${memory:-?} MB"
  else
    found=$((found + 1))
    echo "$target: ${executions:-?} executions, status $status, see $log:"
    grep -aE 'ERROR|SUMMARY|Fatal error|Test unit written' "$log" | head -n 8 || tail -n 8 "$log"
  fi
done
[ "$found" -eq 0 ]
