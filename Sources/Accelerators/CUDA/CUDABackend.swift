import Engine

/// The fused engine on an NVIDIA GPU: the driver and the kernels that come with this library, and nothing else of CUDA.
public struct CUDABackend: Backend {
  public let name: String
  public let precision: Precision
  let device: CUDADevice

  /// `name`: `cuda`, or `cuda:1` for the second GPU that the driver shows. `local`: this process among those of its host, each of which `cuda` gives a GPU
  /// of its own. Throws `device`.
  public init(
    _ name: String, _ precision: Precision = .fp32, local: (rank: Int, size: Int) = (0, 1)
  ) throws(BackendError) {
    self.init(try CUDADevice(named: name, local: local), name, precision)
  }

  /// On a device that is open.
  init(_ device: CUDADevice, _ name: String = "cuda", _ precision: Precision) {
    (self.device, self.name, self.precision) = (device, name, precision)
  }

  public var equipment: [String: String] { ["device": device.name, "kernels": device.choice.origin] }

  public func makeSession(_ plan: Plan) throws(BackendError) -> any Session {
    switch plan.mode {
    case .inference: return try CUDASession(plan, precision, device)
    case .training: return try CUDATraining(plan, precision, device)
    }
  }
}
