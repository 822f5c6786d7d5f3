import CCUDAKernels
import Engine

/// From the layout's values on the device to what the kernels of a pass read.
extension CUDANetwork {
  /// Inference: every batch norm by its running statistics, the convolutions packed, with the batch norm behind them where one can be folded in.
  /// Training: the convolutions packed; batch norms are the pass's own.
  func weightLaunches(_ device: CUDADevice, at base: DeviceAddress) -> [CUDALaunch] {
    let places = Addresses(base: base, memory: memory)
    var launches: [CUDALaunch] = []
    func fold(_ normalization: Normalization) {
      if !isTraining { launches.append(normalize(normalization, device, places)) }
    }
    fold(stemNormalization)
    launches.append(packStem(device, places))
    for block in blocks {
      for layer in block.layers {
        fold(layer.normalization1)
        fold(layer.normalization2)
        launches.append(pack(layer.convolution1, foldedInto: layer.normalization2, device, places))
        launches.append(pack(layer.convolution2, foldedInto: nil, device, places))
      }
      if let transition = block.transition {
        fold(transition.normalization)
        launches.append(pack(transition.convolution, foldedInto: nil, device, places))
      }
    }
    fold(headNormalization)
    return launches
  }

  /// The batch norm's scale and shift: by its running statistics, or by the batch's moments of `count` pixels, which then also move the running ones.
  func normalize(
    _ normalization: Normalization, _ device: CUDADevice, _ places: Addresses, moments: DeviceAddress = 0,
    count: Int = 0
  ) -> CUDALaunch {
    let (kernel, architecture) = (device.kernel("normalization"), plan.architecture)
    func value(_ range: Range<Int>) -> DeviceAddress { places[parameters] + DeviceAddress(range.lowerBound * 4) }
    return CUDALaunch(
      kernel, normalization.name, "\(normalization.channels) channels",
      grid: ((normalization.lanes + kernel.threads - 1) / kernel.threads, 1, 1),
      normalization_parameters(
        scale: value(normalization.parameters.scale), shift: value(normalization.parameters.shift),
        running_mean: value(normalization.parameters.runningMean),
        running_variance: value(normalization.parameters.runningVariance), moments: moments,
        affine: places[normalization.affine], shifts: normalization.bias.map { places[$0] } ?? 0,
        map: normalization.map, epsilon: architecture.batchNormEpsilon, momentum: architecture.batchNormMomentum,
        count: Int64(count), channels: Int32(normalization.channels), lanes: Int32(normalization.lanes)))
  }

  private func pack(
    _ convolution: Convolution, foldedInto normalization: Normalization?, _ device: CUDADevice, _ places: Addresses
  ) -> CUDALaunch {
    let kernel = device.kernel("pack_convolution_\(precision.rawValue)")
    let count = convolution.taps * convolution.inputLanes * convolution.outputLanes
    return CUDALaunch(
      kernel, "weights of \(convolution.name)",
      "\(convolution.inputChannels)→\(convolution.outputChannels), \(convolution.taps) taps",
      grid: (Self.blocks(count, kernel), 1, 1),
      pack_convolution_parameters(
        weight: places[parameters] + DeviceAddress(convolution.weight.lowerBound * 4),
        affine: isTraining ? 0 : normalization.map { places[$0.affine] } ?? 0, packed: places[convolution.packed],
        inputs: convolution.inputs, outputs_map: convolution.outputs,
        input_channels: Int32(convolution.inputChannels), output_channels: Int32(convolution.outputChannels),
        channels: Int32(convolution.inputLanes), outputs: Int32(convolution.outputLanes),
        taps: Int32(convolution.taps), unused: 0))
  }

  private func packStem(_ device: CUDADevice, _ places: Addresses) -> CUDALaunch {
    let kernel = device.kernel("pack_stem_\(precision.rawValue)")
    let convolution = stemConvolution
    return CUDALaunch(
      kernel, "weights of conv0", "\(convolution.inputChannels)→\(convolution.outputChannels), 49 taps",
      grid: (Self.blocks(convolution.inputLanes * convolution.outputLanes, kernel), 1, 1),
      pack_stem_parameters(
        weight: places[parameters] + DeviceAddress(convolution.weight.lowerBound * 4),
        affine: isTraining ? 0 : places[stemNormalization.affine], packed: places[convolution.packed],
        outputs_map: convolution.outputs, channels: Int32(convolution.inputChannels),
        output_channels: Int32(convolution.outputChannels), outputs: Int32(convolution.outputLanes), unused: 0))
  }

  /// Enough for a thread an element, as long as they are not many.
  private static func blocks(_ elements: Int, _ kernel: CUDAKernel) -> Int {
    max(1, min(1024, (elements + kernel.threads - 1) / kernel.threads))
  }
}

/// Where places are on a device.
struct Addresses {
  let base: DeviceAddress
  let memory: MemoryPlan.Layout

  subscript(_ buffer: MemoryPlan.Buffer) -> DeviceAddress { base + DeviceAddress(memory[buffer]) }
}

extension CUDANetwork {
  /// Tells what watches the memory, if anything does, what lies where.
  func announce(at base: DeviceAddress, on device: CUDADevice) {
    guard let announce = device.functions.announce else { return }
    let places = Addresses(base: base, memory: memory)
    for (name, buffer) in contents { _ = announce(places[buffer], memory.bytes(of: buffer), name) }
  }
}
