#!/usr/bin/env bash
# Sets chexnet beside PyTorch, ONNX Runtime and OpenVINO: builds the bench, measures all in turns, prints
# one table with ratios.
# PEERS_PYTHON is the Python that has the peers (default: python3; see Tools/bench/README.md). --help shows the options.
set -euo pipefail
peers=$(dirname "$0")/peers
python=$(command -v "${PEERS_PYTHON:-python3}") || {
  echo "error: PEERS_PYTHON is ${PEERS_PYTHON:-python3}, which is no command" >&2
  exit 69
}

# They make OpenBLAS take another processor's kernels; an allocator of the caller's would serve every contender.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE LD_PRELOAD MALLOC_CONF
# They choose the peers' instructions and precision, which --isa and --precision do.
unset ATEN_CPU_CAPABILITY ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA MKL_ENABLE_INSTRUCTIONS OV_CPU_MAX_ISA
unset TORCHINDUCTOR_CPP_MARCH ONEDNN_DEFAULT_FPMATH_MODE DNNL_DEFAULT_FPMATH_MODE
export PYTHONDONTWRITEBYTECODE=1

for argument in "$@"; do
  case $argument in -h | --help) exec "$python" "$peers/compare.py" --help ;; esac
done

package=$(cd "$(dirname "$0")/../.." && pwd)
"$package/Tools/setup.sh"
swift build -c release --product bench --package-path "$package" >&2
bench=$(swift build -c release --show-bin-path --package-path "$package")/bench
exec "$python" "$peers/compare.py" --bench "$bench" "$@"
