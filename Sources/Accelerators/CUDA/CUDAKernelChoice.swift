import Engine

/// Which instance of a kernel computes a convolution of given sizes.
///
/// All sum in the same order, so an image's logits do not depend on which one it is, and so not on the batch around it.
extension CUDADevice {
  /// Pixels of a tile and the longest row between two runs of its halo that there is shared memory for, the largest tile first.
  private static let growthShapes: [(tile: Int, pitch: Int)] = [(256, 56), (128, 28), (128, 130), (64, 66)]

  /// The largest tile of those that leaves no multiprocessor without one; else the smallest.
  private func choose(_ kernels: [CUDAKernel], pixels: Int, columns: Int) -> CUDAKernel {
    for kernel in kernels where (pixels + kernel.tile - 1) / kernel.tile * columns >= multiprocessors { return kernel }
    guard let smallest = kernels.last else { preconditionFailure("no kernel to choose from") }
    return smallest
  }

  func pointwise(pixels: Int, outputs: Int, normalises: Bool, _ precision: Precision) -> CUDAKernel {
    let suffix = normalises ? "_normalised_\(precision.rawValue)" : "_\(precision.rawValue)"
    switch precision {
    case .fp32: return kernel("pointwise" + suffix)
    case .bf16:
      return choose(
        [128, 64, 32].map { kernel("pointwise_\($0)" + suffix) }, pixels: pixels, columns: (outputs + 127) / 128)
    }
  }

  func growth(pixels: Int, width: Int, outputs: Int, normalises: Bool, _ precision: Precision) -> CUDAKernel {
    let suffix = normalises ? "_normalised_\(precision.rawValue)" : "_\(precision.rawValue)"
    switch precision {
    case .fp32: return kernel("growth" + suffix)
    case .bf16:
      let fitting = Self.growthShapes.filter { min(width, $0.tile + 2) <= $0.pitch }
      return choose(
        fitting.map { kernel("growth_\($0.tile)x\($0.pitch)" + suffix) }, pixels: pixels, columns: outputs / 32)
    }
  }

  func pointwiseDataGradient(pixels: Int, channels: Int, _ precision: Precision) -> CUDAKernel {
    switch precision {
    case .fp32: return kernel("pointwise_data_gradient_fp32")
    case .bf16:
      return choose(
        [128, 32].map { kernel("pointwise_data_gradient_\($0)_bf16") }, pixels: pixels, columns: (channels + 127) / 128)
    }
  }

  func growthDataGradient(pixels: Int, width: Int, channels: Int, _ precision: Precision) -> CUDAKernel {
    switch precision {
    case .fp32: return kernel("growth_data_gradient_fp32")
    case .bf16:
      let shapes = [(tile: 128, pitch: 56), (128, 130), (64, 66)].filter { min(width, $0.tile + 2) <= $0.pitch }
      return choose(
        shapes.map { kernel("growth_data_gradient_\($0.tile)x\($0.pitch)_bf16") }, pixels: pixels,
        columns: (channels + 127) / 128)
    }
  }
}
