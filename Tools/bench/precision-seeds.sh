#!/usr/bin/env bash
# What bf16 costs in AUROC: trains the demo's network with some seeds in fp32 and in bf16, evaluates each in its own precision
# on the demo's test list, and prints the differences, their mean and its standard error. Half an hour on two processors.
#
# Tools/bench/precision-seeds.sh FOLDER [SEEDS]     FOLDER is made; SEEDS: how many, 5
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 2 ] || {
  echo "error: expected a folder and perhaps a number of seeds (Tools/bench/precision-seeds.sh FOLDER [SEEDS])" >&2
  exit 64
}
folder=$1 seeds=${2:-5}
[ ! -e "$folder" ] || {
  echo "error: $folder is there already" >&2
  exit 73
}
package=$(cd "$(dirname "$0")/../.." && pwd)
"$package/Tools/setup.sh"
swift build -c release --static-swift-stdlib --product chexnet --package-path "$package" >&2
chexnet=$(swift build -c release --show-bin-path --package-path "$package")/chexnet
mkdir -p "$folder"

"$chexnet" demo-data --output "$folder/data" --images 500 >&2
for seed in $(seq "$seeds"); do
  for precision in fp32 bf16; do
    run=$folder/$precision-$seed
    # As Tools/demo.sh trains.
    "$chexnet" finetune --data "$folder/data" --train "$folder/data/train_list.txt" \
      --validation "$folder/data/val_list.txt" --architecture densenet121 --epochs 5 --batch-size 8 \
      --learning-rate 1e-3 --schedule cosine --augment flip --seed "$seed" --precision $precision --output "$run" >&2
    "$chexnet" evaluate "$run/checkpoints/last.safetensors" --data "$folder/data" \
      --test "$folder/data/test_list.txt" --precision $precision --json >"$run.json"
  done
done

python3 - "$folder" "$seeds" <<'END'
import json
import statistics
import sys

folder, seeds = sys.argv[1], int(sys.argv[2])


def mean_auroc(name):
    with open(f"{folder}/{name}.json") as file:
        return json.load(file)["checkpoints"][0]["mean_auroc"]


print("seed    fp32    bf16  difference")
differences = []
for seed in range(1, seeds + 1):
    fp32, bf16 = mean_auroc(f"fp32-{seed}"), mean_auroc(f"bf16-{seed}")
    differences.append(bf16 - fp32)
    print(f"{seed:4}  {fp32:.4f}  {bf16:.4f}  {differences[-1]:+10.4f}")
error = statistics.stdev(differences) / seeds**0.5 if seeds > 1 else float("nan")
print(f"mean AUROC(bf16) − AUROC(fp32): {statistics.mean(differences):+.4f}, standard error {error:.4f}")
END
