import Platform

/// What `--device` takes: `auto`, or a backend's own name.
public let backendNames = ["auto", "cpu", "reference"]

/// The backend that `--device` names, for every program that takes the option; `unknownDevice` where it is not of this
/// library.
///
/// `auto` is the fused engine where the processor has an instruction set that it is written for (AVX2, AVX-512 or NEON), else the textbook on
/// OpenBLAS, which is then faster than the fused engine's plain C, where OpenBLAS is there.
///
/// `precisionUnavailable`, or with `isMemoryEfficient` `memoryEfficientUnavailable`, where the backend has no such thing; `library` where OpenBLAS is not there. `level`: the
/// fused engine's instruction set.
public func backend(
  named device: String, pool: ThreadPool, precision: Precision = .fp32, isMemoryEfficient: Bool = false,
  level: InstructionSet = .best
) throws(BackendError) -> any Backend {
  switch device {
  case "auto" where CPUBackend.isFast || !OpenBLAS.isThere, "cpu":
    return CPUBackend(threads: pool.threads, precision, level: level, isMemoryEfficient: isMemoryEfficient)
  case "auto", "reference":
    if precision != .fp32 { throw .precisionUnavailable(precision, device: "reference") }
    if isMemoryEfficient { throw .memoryEfficientUnavailable(device: "reference") }
    if case .failure(let error) = OpenBLAS.loaded { throw .library(error) }
    return ReferenceBackend(pool: pool)
  default: throw .unknownDevice(device, known: backendNames.filter { $0 != "auto" })
  }
}
