#!/usr/bin/env bash
# Lets every single write, fsync, rename and other change of a file fail that a run of `finetune` makes, each in a run of its own (EIO; a disk
# that stays full; a kill before it and in the middle of its bytes), and compares what the run goes on to: `FinetuneFaultTests`, which in
# the ordinary tests leave most writes in the middle of a file out.
set -euo pipefail
export CHEXNET_SOAK_FAULTS=1
exec "$(dirname "$0")/../test.sh" --filter FinetuneFaultTests
