import Accelerators
import ArgumentParser
import Engine
import Platform

/// The help of every `--device`.
let deviceHelp = ArgumentHelp(
  "Where to run: \((backendNames + [cudaName]).joined(separator: ", ")) (cuda:1 is the second GPU).", valueName: "name")

/// The backend that `--device` names: the one place above the engine that knows their names.
///
/// `auto` takes none but the processor's. `local`: this process among those of its machine, which have a GPU each.
func backend(
  named device: String, pool: ThreadPool, precision: Precision, isMemoryEfficient: Bool = false,
  local: (rank: Int, size: Int) = (0, 1)
) throws(BackendError) -> any Backend {
  if isCUDA(device) {
    if isMemoryEfficient { throw .memoryEfficientUnavailable(device: device) }
    return try CUDABackend(device, precision, local: local)
  }
  do {
    return try Engine.backend(
      named: device, pool: pool, precision: precision, isMemoryEfficient: isMemoryEfficient)
  } catch .unknownDevice(let name, let known) {
    throw .unknownDevice(name, known: known + [cudaName])
  }
}

private let cudaName = "cuda"

/// Whether `--device` names a GPU of NVIDIA's: `cuda`, `cuda:1`.
func isCUDA(_ device: String) -> Bool { device == cudaName || device.hasPrefix(cudaName + ":") }
