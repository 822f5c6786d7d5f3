#!/usr/bin/env bash
# Draws 2,000 samples of each of ten designs whose AUROC is known, and counts how often the 95 % interval holds it: `CoverageTests`. Two minutes.
set -euo pipefail
export CHEXNET_SOAK_COVERAGE=2000
exec "$(dirname "$0")/../test.sh" --filter CoverageTests
