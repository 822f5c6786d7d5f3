import Engine

/// Which instance of a kernel computes a convolution of given sizes.
///
/// Of the forward pass all sum in the same order, so an image's logits do not depend on which one it is, and so not on the batch around it.
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

  // MARK: Weight gradients

  /// What computes a convolution's weight gradient: a grid of parts × columns.
  struct WeightGradient {
    let kernel: CUDAKernel
    /// Together with the gradient of what goes in, from a gradient that is not resolved.
    let isFused: Bool
    let columns: (y: Int, z: Int)
    let parts: Int

    var grid: (Int, Int, Int) { (parts, columns.y, columns.z) }
  }

  /// Pixels that a part of a weight gradient has at the most: its sums are fp32. A sum of bf16 products in steps of 16 errs by 2⁻²⁴ a step, by 6·10⁻⁵ of
  /// itself at the worst, where its factors have 4·10⁻³; an exact one is made of sums of 256.
  private static let mostPixels = 16384

  /// In as many parts as make blocks for all multiprocessors at once, and none that would have to wait for another to end.
  private func cut(
    _ kernel: CUDAKernel, isFused: Bool = false, pixels: Int, columns: (y: Int, z: Int)
  ) -> WeightGradient {
    let needed = (pixels + Self.mostPixels - 1) / Self.mostPixels
    let room = kernel.residentBlocks * multiprocessors / (columns.y * columns.z)
    return WeightGradient(
      kernel: kernel, isFused: isFused, columns: columns, parts: max(needed, min((pixels + 63) / 64, room), 1))
  }

  func stemWeightGradient(
    _ convolution: CUDANetwork.Convolution, pixels: Int, _ precision: Precision
  ) -> WeightGradient {
    cut(
      kernel("stem_weight_gradient_\(precision.rawValue)"), pixels: pixels,
      columns: (convolution.inputLanes / 64, (convolution.outputLanes + 63) / 64))
  }

  /// `isGated`: of a dense layer, not of a transition.
  func pointwiseWeightGradient(
    _ convolution: CUDANetwork.Convolution, pixels: Int, isGated: Bool, _ precision: Precision
  ) -> WeightGradient {
    if isGated, precision == .bf16, convolution.outputLanes <= 128,
      let kernel = ["64", "32"].lazy.compactMap({ self.kernels["pointwise_gradients_\($0)_bf16"] }).first
    {
      return cut(kernel, isFused: true, pixels: pixels, columns: ((convolution.inputLanes + 127) / 128, 1))
    }
    return cut(
      kernel("pointwise_weight_gradient_\(precision.rawValue)"), pixels: pixels,
      columns: ((convolution.inputLanes + 63) / 64, (convolution.outputLanes + 127) / 128))
  }

  func growthWeightGradient(
    _ convolution: CUDANetwork.Convolution, pixels: Int, width: Int, _ precision: Precision
  ) -> WeightGradient {
    if precision == .bf16, convolution.outputLanes == 32,
      let kernel = [(tile: 96, widest: 128), (48, 256)].lazy.filter({ width <= $0.widest })
        .compactMap({ self.kernels["growth_gradients_\($0.tile)x\($0.widest)_bf16"] }).first
    {
      return cut(kernel, isFused: true, pixels: pixels, columns: ((convolution.inputLanes + 63) / 64, 1))
    }
    return cut(
      kernel("growth_weight_gradient_\(precision.rawValue)"), pixels: pixels,
      columns: (convolution.inputLanes / 32, convolution.outputLanes / 32))
  }
}
