#!/usr/bin/env bash
# The whole of chexnet on made-up data, in a few minutes: builds, makes a synthetic chest X-ray set, imports, finetunes,
# evaluates, draws heatmaps. Prints each command before it runs. Everything it makes is in the folder demo/.
#
# Tools/demo.sh [--small]
#   DenseNet-121 at 224×224, from random weights. --small: the little network that is imported, at 64×64, on more images;
#   taken without being asked for where the processor has neither AVX2 nor NEON, for which the fused engine is written.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1-} in
  "") if [ "$(uname -m)" = aarch64 ] || grep -qsw avx2 /proc/cpuinfo; then size=full; else size=small; fi ;;
  --small) size=small ;;
  *)
    echo "error: expected --small or nothing, found $1" >&2
    exit 64
    ;;
esac
Tools/setup.sh
if [ "$size" = small ]; then
  images=1000
  network="--weights demo/start.safetensors --image-size 64 --epochs 8 --learning-rate 4e-3"
else
  images=500
  network="--architecture densenet121 --epochs 5 --batch-size 8 --learning-rate 1e-3"
fi

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

run swift build -c release --static-swift-stdlib --product chexnet
PATH=$(swift build -c release --show-bin-path):$PATH

if [ -e demo ]; then
  echo
  echo "removing demo/ of an earlier run"
  rm -rf demo
fi
mkdir demo
# Nothing of the demo stays in the user's own cache.
export XDG_CACHE_HOME=$PWD/demo/cache

run chexnet demo-data --output demo/data --images $images
run chexnet import-weights fixtures/demo/start.pt --output demo/start.safetensors
# shellcheck disable=SC2086  # several words on purpose
run chexnet finetune --data demo/data --train demo/data/train_list.txt --validation demo/data/val_list.txt \
  $network --schedule cosine --augment flip --output demo/run
run chexnet evaluate demo/start.safetensors demo/run/checkpoints/best.safetensors demo/run/checkpoints/last.safetensors \
  --data demo/data --test demo/data/test_list.txt --thresholds-from demo/data/val_list.txt --report demo/report | sed -n '1,25p'
run chexnet heatmap demo/run/checkpoints/best.safetensors demo/data/test_list.txt --finding all \
  --minimum-probability 0.5 --size map --boxes demo/data/BBox_List_2017.csv --output demo/heatmaps | tee demo/heatmaps.txt |
  sed -n -e '1,5p' -e '$p'

# The first of them again, at the size of its radiograph.
drawn=$(basename "$(grep '\.pgm$' demo/heatmaps.txt | head -n 1)" .pgm)
run chexnet heatmap demo/run/checkpoints/best.safetensors "demo/data/images/${drawn%%.*}.png" --finding "${drawn#*.}" \
  --output demo/picture

cat <<'END'

The same with your own data (ChestX-ray14: images, Data_Entry_2017_v2020.csv and lists of https://nihcc.app.box.com/v/ChestXray-NIHCC):

  chexnet import-weights densenet121.pt --output start.safetensors --head new
  chexnet finetune --data images --train train_list.txt --validation val_list.txt --weights start.safetensors --output run
  chexnet evaluate run/checkpoints/best.safetensors --data images --test test_list.txt --predictions predictions.csv
  chexnet heatmap run/checkpoints/best.safetensors images/00000001_000.png --output heatmaps

The executable is .build/release/chexnet. For research; not a medical device.
END
