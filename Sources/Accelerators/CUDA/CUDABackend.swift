import Engine

/// The fused engine on an NVIDIA GPU: the driver and the kernels that come with this library, and nothing else of CUDA.
public struct CUDABackend: Backend {
  public let name: String
  public let precision: Precision
  let device: CUDADevice

  /// `name`: `cuda`, or `cuda:1` for the second GPU that the driver shows. Throws `device`.
  public init(_ name: String, _ precision: Precision = .fp32) throws(BackendError) {
    self.init(try CUDADevice(named: name), name, precision)
  }

  /// On a device that is open.
  init(_ device: CUDADevice, _ name: String = "cuda", _ precision: Precision) {
    (self.device, self.name, self.precision) = (device, name, precision)
  }

  public func makeSession(_ plan: Plan) throws(BackendError) -> any Session {
    switch plan.mode {
    case .inference: return try CUDASession(plan, precision, device)
    case .training: return try CUDATraining(plan, precision, device)
    }
  }
}
