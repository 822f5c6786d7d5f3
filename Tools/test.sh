#!/usr/bin/env bash
# Builds and runs every test; closes with "N passed, N failed". Fails when one fails, when the build does, or when none ran.
# Arguments go to `swift test`: Tools/test.sh --filter AUROC. Without any, the kernels of arm64 are tested too (Tests/NEON), as one test.
set -uo pipefail
cd "$(dirname "$0")/.."
Tools/setup.sh --tests || exit

# Optimised: the numeric suites are far too slow otherwise. One scratch folder of its own, so that the demo's build stays.
build=(-c release -Xswiftc -enable-testing --scratch-path .build-tests)
swift build --build-tests "${build[@]}" || { echo "0 passed, 1 failed (the build)"; exit 1; }

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
swift test --skip-build "${build[@]}" --xunit-output "$results/results.xml" "$@"
status=$?

# Swift Testing's results; a parameterised test counts once.
counts=$(sed -n 's/.*<testsuite [^>]*>/&/p' "$results"/*swift-testing.xml 2>/dev/null | head -n 1)
attribute() { printf '%s' "$counts" | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p"; }
total=$(attribute tests) failed=$(( $(attribute failures) + $(attribute errors) )) skipped=$(attribute skipped)
: "${total:=0}" "${skipped:=0}"
passed=$((total - failed - skipped))
# A run that crashed has written no results, or claims none failed.
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
ran=$passed

if [ $# -eq 0 ]; then
  # Where setup.sh has installed what it needs, it is not skipped.
  required=()
  if [ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null; then required=(--required); fi
  if ! Tests/NEON/run.sh "${required[@]}" >"$results/neon.txt" 2>&1; then failed=$((failed + 1))
  elif grep -q '^skipped: ' "$results/neon.txt"; then skipped=$((skipped + 1))
  else passed=$((passed + 1)); fi
  cat "$results/neon.txt"
fi
[ "$skipped" -eq 0 ] || echo "$skipped skipped (see above: what they need is not on this machine)"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$ran" -gt 0 ]
