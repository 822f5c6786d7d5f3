#!/usr/bin/env bash
# Checks and measures chexnet on a machine with an NVIDIA GPU, in one go; no Swift, no compiler, no network, no root. Changes none of the card's settings.
# Results are files in ${OUT:-./gpu-report}; the summary is its MEASURED.md.
#
# Tools/cuda/on-gpu.sh [--chexnet PATH] [--minutes 25] [--compile-minutes 8] [--rounds 5] [--only PARTS] [-- OPTIONS OF peer_pytorch.py]
#   PATH: the executable, or the archive that Tools/package.sh makes; otherwise what is found here: bin/chexnet, chexnet/bin/chexnet, chexnet,
#         chexnet-*.tar.gz, or chexnet on the PATH.
#   PARTS, with commas: machine    what nvidia-smi says
#                       doctor     `chexnet doctor --device cuda`: does every operation conform, how far is every kernel from its floor
#                       inference  images/s beside PyTorch, in turns (python3 with torch and torchvision; alone without)
#                       training   the same of a step by Adam, in bf16, and memory
#                       sanitizer  compute-sanitizer's memcheck and racecheck of doctor, where there is one
#                       ncu        Nsight Compute's counters of the kernels that multiply, where there is one
#
# A part has a time limit of its own, and what is left of the whole. A part that fails is told of at the end, and the others are done. Exit 1 where one failed.
set -uo pipefail

fail() {
  echo "error: $1" >&2
  exit "${2-64}"
}

here=$(cd "$(dirname "$0")" && pwd)
minutes=25 compile_minutes=8 rounds=5 named='' only=machine,doctor,inference,training,sanitizer,ncu
while [ $# -gt 0 ]; do
  case $1 in
    --) shift && break ;;
    --chexnet | --minutes | --compile-minutes | --rounds | --only) [ $# -ge 2 ] || fail "$1 needs a value" ;;
    *) fail "expected --chexnet, --minutes, --compile-minutes, --rounds or --only, found $1" ;;
  esac
  case $1 in
    --chexnet) named=$2 ;;
    --minutes) minutes=$2 ;;
    --compile-minutes) compile_minutes=$2 ;;
    --rounds) rounds=$2 ;;
    --only) only=$2 ;;
  esac
  shift 2
done
for value in "$minutes" "$compile_minutes" "$rounds"; do
  case $value in '' | 0 | *[!0-9]*) fail "expected a whole number above 0, found $value" ;; esac
done
for part in ${only//,/ }; do
  case $part in machine | doctor | inference | training | sanitizer | ncu) ;; *) fail "expected parts of machine, doctor, inference, training, sanitizer and ncu, found $part" ;; esac
done

out=${OUT:-./gpu-report}
mkdir -p "$out" || fail "cannot make the folder $out" 73
out=$(realpath "$out")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
end=$((SECONDS + 60 * minutes))
: >"$out/errors.txt"

if [ -z "$named" ]; then
  for candidate in bin/chexnet chexnet/bin/chexnet chexnet chexnet-*.tar.gz; do
    if [ -f "$candidate" ]; then named=$candidate && break; fi
  done
  : "${named:=$(command -v chexnet)}"
fi
[ -f "$named" ] || fail "there is no chexnet here${named:+: $named}; --chexnet names the executable, or the archive that Tools/package.sh makes" 66
case $named in
  *.tar.gz)
    tar -C "$scratch" -xzf "$named" || fail "cannot unpack $named" 66
    chexnet=$scratch/chexnet/bin/chexnet
    ;;
  *) chexnet=$(realpath "$named") ;;
esac
[ -x "$chexnet" ] || fail "not executable: $chexnet" 66
version=$("$chexnet" --version) || fail "$chexnet does not run here" 69
# What it finds of this machine is not kept.
export XDG_CACHE_HOME=$scratch/cache

# say NAME RESULT
failed=0
say() {
  echo "$1: $2" | tee -a "$scratch/status.txt"
}

# wanted PART
wanted() {
  case ",$only," in *",$1,"*) return 0 ;; *) return 1 ;; esac
}

# limit SECONDS: the same, or what is left with half a minute for the report.
limit() {
  local left=$((end - SECONDS - 30))
  echo $(($1 < left ? $1 : left))
}

# attempt NAME SECONDS FILE COMMAND…: runs it, with FILE of the results for what it prints and errors.txt for its errors, and says how that went.
attempt() {
  local name=$1 seconds file=$out/$3 status start=$SECONDS
  seconds=$(limit "$2")
  shift 3
  if [ "$seconds" -lt 5 ]; then
    say "$name" "left out, the time is over"
    failed=1
    return 1
  fi
  echo "== $name" >>"$out/errors.txt"
  timeout -k 10 "$seconds" "$@" >"$file" 2>>"$out/errors.txt"
  status=$?
  case $status in
    0) say "$name" "done, $((SECONDS - start)) s" ;;
    124 | 137) say "$name" "stopped after $seconds s" ;;
    *) say "$name" "failed with $status, after $((SECONDS - start)) s" ;;
  esac
  [ $status -eq 0 ] || failed=1
  return $status
}

# Doctor without its measurements, where it can: under a tool that makes all of it many times slower.
small=("$chexnet" doctor --device cuda)
case "$("$chexnet" doctor --help 2>/dev/null)" in *--conformance-only*) small+=(--conformance-only) ;; esac

machine=''
if wanted machine; then
  attempt machine 60 machine.txt nvidia-smi --format=csv,noheader --query-gpu=name,driver_version,memory.total
  machine=$(head -n 1 "$out/machine.txt")
  # And what the card may do, and whether somebody else is on it.
  {
    uname -srm
    timeout 60 nvidia-smi
    timeout 60 nvidia-smi --format=csv \
      --query-gpu=compute_cap,clocks.sm,clocks.max.sm,clocks.mem,clocks.max.mem,power.limit,temperature.gpu,utilization.gpu,memory.used
  } >>"$out/machine.txt" 2>>"$out/errors.txt"
fi
if wanted doctor; then
  attempt "doctor --json" 300 doctor.json "$chexnet" doctor --device cuda --json
  attempt doctor 300 doctor.txt "$chexnet" doctor --device cuda --keep-kernels
fi
for task in inference training; do
  wanted $task || continue
  kinds=()
  [ $task = inference ] || kinds=(--batches "256,32" --precisions bf16 --kinds "eager,compile")
  # Its own limit is a little earlier, so that it ends by itself.
  seconds=$(limit $((60 * (compile_minutes + 6))))
  attempt $task "$seconds" $task.txt python3 "$here/measure.py" $task "$out" --chexnet "$chexnet" --rounds "$rounds" \
    --seconds $((seconds > 40 ? seconds - 20 : seconds)) --compile-minutes "$compile_minutes" -- "${kinds[@]}" "$@"
  rm -f "$out/$task.txt"
done
if wanted sanitizer; then
  if command -v compute-sanitizer >/dev/null; then
    : >"$out/sanitizer.txt"
    for tool in memcheck racecheck; do
      attempt $tool 240 part.txt compute-sanitizer --tool $tool --print-limit 50 --error-exitcode 9 "${small[@]}"
      { echo "tool: $tool" && cat "$out/part.txt"; } >>"$out/sanitizer.txt"
      rm -f "$out/part.txt"
    done
  else
    say sanitizer "left out, there is no compute-sanitizer here"
  fi
fi
if wanted ncu; then
  if command -v ncu >/dev/null; then
    # Each kernel is run several times over, so only those that multiply, and the clocks are left as they are.
    metrics=gpu__time_duration.sum
    for unit in dram__throughput.avg.pct_of_peak_sustained_elapsed lts__throughput.avg.pct_of_peak_sustained_elapsed \
      sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active l1tex__data_pipe_lsu_wavefronts_mem_shared.avg.pct_of_peak_sustained_elapsed \
      sm__warps_active.avg.pct_of_peak_sustained_active sm__inst_issued.avg.pct_of_peak_sustained_active; do
      metrics+=,$unit
    done
    attempt ncu 180 ncu.csv ncu --clock-control none --csv --kernel-name 'regex:^(pointwise|growth|stem)_' --launch-count 240 --metrics "$metrics" \
      "$chexnet" doctor --device cuda --keep-kernels --json
  else
    say ncu "left out, there is no ncu here"
  fi
fi
touch "$scratch/status.txt"
python3 "$here/measure.py" report "$out" --machine "$machine" --version "$version" --status "$scratch/status.txt" || failed=1

echo
cat "$scratch/status.txt"
echo "$out/MEASURED.md"
exit $failed
