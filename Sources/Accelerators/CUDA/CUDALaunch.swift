import CCUDAKernels
import Engine

/// One launch of a kernel.
struct CUDALaunch: CustomStringConvertible {
  /// What no kernel for the same operation can do without, at the sizes of the batch: what it cannot be faster than.
  struct Cost {
    /// Each value read or written once.
    var bytes = 0.0
    /// Of the convolution itself.
    var multiplyAdds = 0.0
  }

  let kernel: CUDAKernel
  /// `denseblock1.denselayer2.conv1`.
  let operation: String
  /// `128→128 at 2×56×56`.
  let shapes: String
  let grid: (x: Int, y: Int, z: Int)
  let cost: Cost
  /// What its kernel was chosen for, or a kernel that comes with it; nil where there is no choice.
  let question: CUDAKernelChoice.Question?
  /// What the maps are of that its parameters begin with.
  let tensors: [CUDATensor]
  private let parameters: [UInt8]

  /// `parameters`: the struct that the kernel takes, which begins with a map for each of `tensors`, whatever is there now.
  init<Parameters: BitwiseCopyable>(
    _ kernel: CUDAKernel, _ operation: String, _ shapes: String = "", grid: (Int, Int, Int), cost: Cost = Cost(),
    for question: CUDAKernelChoice.Question? = nil, tensors: [CUDATensor] = [], _ parameters: Parameters
  ) {
    precondition(
      kernel.parameterBytes == MemoryLayout<Parameters>.size, "\(kernel.name) does not take \(Parameters.self)")
    (self.kernel, self.operation, self.shapes, self.grid, self.cost) = (kernel, operation, shapes, grid, cost)
    (self.question, self.tensors) = (question, tensors)
    self.parameters = withUnsafeBytes(of: parameters) { Array($0) }
  }

  /// Calls `body` with the bytes that the driver copies. Throws where it cannot make a map.
  func withParameters(on device: CUDADevice, _ body: (UnsafeMutableRawPointer?) -> CInt) throws(BackendError) -> CInt {
    var parameters = parameters
    for (number, tensor) in tensors.enumerated() {
      let map = try tensor.map(by: device, for: description)
      let first = number * MemoryLayout<tensor_map>.size
      withUnsafeBytes(of: map) { parameters.replaceSubrange(first..<first + $0.count, with: $0) }
    }
    return parameters.withUnsafeMutableBytes { body($0.baseAddress) }
  }

  var description: String {
    "\(operation)\(shapes.isEmpty ? "" : " (\(shapes))") by \(kernel.name)"
  }
}
