#!/usr/bin/env bash
# Kills `finetune` (kill -9) and interrupts it (INT, TERM, USR1, USR2, HUP; every third time twice) at random moments, 200 times each, and
# compares what each run ends with to a run that nobody stopped, byte for byte: `FinetuneKillTests`, for half an hour instead of half a minute.
#
# Tools/soak/finetune.sh [TIMES] [SEED]     of the moments: another seed, other moments; 1
set -euo pipefail
export CHEXNET_SOAK_KILLS=${1:-200} CHEXNET_SOAK_INTERRUPTIONS=${1:-200} CHEXNET_SOAK_SEED=${2:-1}
exec "$(dirname "$0")/../test.sh" --filter FinetuneKillTests
