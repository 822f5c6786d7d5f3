import Platform

/// What `--device` takes: `auto` for the fastest backend of this library, or a backend's own name.
public let backendNames = ["auto", "reference"]

/// The backend that `--device` names, for every program that takes the option; `unknownDevice` where it is not of this
/// library.
public func backend(named device: String, pool: ThreadPool) throws(BackendError) -> any Backend {
  switch device {
  case "auto", "reference": ReferenceBackend(pool: pool)
  default: throw .unknownDevice(device, known: backendNames.filter { $0 != "auto" })
  }
}
