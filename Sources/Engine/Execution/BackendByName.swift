import Platform

/// What `--device` takes: `auto`, or a backend's own name.
public let backendNames = ["auto", "cpu", "reference"]

/// The backend that `--device` names, for every program that takes the option; `unknownDevice` where it is not of this
/// library.
///
/// `auto` is the fused engine where the processor has an instruction set that it is written for (AVX-512), else the textbook on
/// OpenBLAS, which is then faster than the fused engine's plain C.
public func backend(named device: String, pool: ThreadPool) throws(BackendError) -> any Backend {
  switch device {
  case "auto":
    CPUBackend.isFast ? CPUBackend(threads: pool.threads) : ReferenceBackend(pool: pool)
  case "cpu": CPUBackend(threads: pool.threads)
  case "reference": ReferenceBackend(pool: pool)
  default: throw .unknownDevice(device, known: backendNames.filter { $0 != "auto" })
  }
}
