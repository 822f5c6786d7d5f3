import Platform

/// What this machine has of vendors' libraries, which are opened for it, and their versions; nil where one is not there.
public func acceleratorLibraryVersions() -> [(name: String, version: String?)] {
  let driver = (try? CUDAFunctions()).flatMap { functions -> String? in
    var version: CInt = 0
    return functions.driverVersion(&version) == 0 ? "of CUDA \(CUDADevice.text(version: Int(version)))" : nil
  }
  return [
    ("NVIDIA driver", driver), ("NCCL", (try? NCCLFunctions()).map { NCCLFunctions.text(version: $0.version) }),
    ("Synapse", (try? SynapseFunctions())?.version),
  ]
}
