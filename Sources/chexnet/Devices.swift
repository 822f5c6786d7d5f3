import Accelerators
import ArgumentParser
import Engine
import Platform

/// The help of every `--device`.
let deviceHelp = ArgumentHelp(
  "Where to run: \((backendNames + acceleratorNames).joined(separator: ", ")) (cuda:1 is the second GPU, gaudi:1 the card of module 1).",
  valueName: "name")

/// The backend that `--device` names: the one place above the engine that knows their names.
///
/// `auto` takes none but the processor's. `local`: this process among those of its machine, which have a GPU or a card each.
func backend(
  named device: String, pool: ThreadPool, precision: Precision, isMemoryEfficient: Bool = false,
  local: (rank: Int, size: Int) = (0, 1)
) throws(BackendError) -> any Backend {
  if isCUDA(device) {
    if isMemoryEfficient { throw .memoryEfficientUnavailable(device: device) }
    return try CUDABackend(device, precision, local: local)
  }
  if isGaudi(device) {
    if isMemoryEfficient { throw .memoryEfficientUnavailable(device: device) }
    // Ranks of a machine compile the same: one says it.
    let recipes = GaudiRecipes(folder: userCacheFolder + "/gaudi") { [isFirst = local.rank == 0] what in
      if isFirst { standardError("note: \(what)\n") }
    }
    return try GaudiBackend(device, precision, local: local, recipes: recipes)
  }
  do {
    return try Engine.backend(
      named: device, pool: pool, precision: precision, isMemoryEfficient: isMemoryEfficient)
  } catch .unknownDevice(let name, let known) {
    throw .unknownDevice(name, known: known + acceleratorNames)
  }
}

private let (cudaName, gaudiName) = ("cuda", "gaudi")
let acceleratorNames = [cudaName, gaudiName]

/// Whether `--device` names a GPU of NVIDIA's: `cuda`, `cuda:1`.
func isCUDA(_ device: String) -> Bool { device == cudaName || device.hasPrefix(cudaName + ":") }

/// Whether `--device` names a Gaudi of Intel's: `gaudi`, `gaudi:1`.
func isGaudi(_ device: String) -> Bool { device == gaudiName || device.hasPrefix(gaudiName + ":") }
