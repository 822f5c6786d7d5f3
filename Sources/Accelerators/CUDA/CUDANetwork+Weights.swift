import CCUDAKernels
import Engine

/// From the layout's values on the device to what the kernels of a pass read.
extension CUDANetwork {
  /// Inference: every batch norm by its running statistics, the convolutions packed, with the batch norm behind them where one can be folded in.
  /// Training: the convolutions packed; batch norms are the pass's own.
  func weightLaunches(_ device: CUDADevice, at base: DeviceAddress) -> [CUDALaunch] {
    let places = Addresses(base: base, memory: memory)
    let folded = isTraining ? [] : normalizations.map { normalize($0, device, places) }
    return folded + [packStem(device, places), packConvolutions(device, places)]
  }

  private var normalizations: [Normalization] {
    [stemNormalization]
      + blocks.flatMap { block in
        block.layers.flatMap { [$0.normalization1, $0.normalization2] }
          + (block.transition.map { [$0.normalization] } ?? [])
      } + [headNormalization]
  }

  /// Lanes whose statistics lie in the sums of so many tiles: what has just been computed.
  struct Fresh {
    let tiles: Int
    let first: Int
    let lanes: Int
  }

  /// The batch norm's scale and shift: by its running statistics, or by the batch's moments of `count` pixels, which then also move the running ones.
  func normalize(
    _ normalization: Normalization, _ device: CUDADevice, _ places: Addresses, moments: DeviceAddress = 0,
    fresh: Fresh? = nil, count: Int = 0
  ) -> CUDALaunch {
    let (kernel, architecture) = (device.kernel("normalization"), plan.architecture)
    func value(_ range: Range<Int>) -> DeviceAddress { places[parameters] + DeviceAddress(range.lowerBound * 4) }
    return CUDALaunch(
      kernel, normalization.name,
      "\(normalization.channels) channels" + (fresh.map { ", \($0.lanes) lanes of \($0.tiles) tiles" } ?? ""),
      grid: (normalization.lanes / 8, 1, 1),
      normalization_parameters(
        sums: sums.map { places[$0] } ?? 0, moments: moments, scale: value(normalization.parameters.scale),
        shift: value(normalization.parameters.shift), running_mean: value(normalization.parameters.runningMean),
        running_variance: value(normalization.parameters.runningVariance),
        affine: places[normalization.affine], shifts: normalization.bias.map { places[$0] } ?? 0,
        map: normalization.map, epsilon: architecture.batchNormEpsilon, momentum: architecture.batchNormMomentum,
        count: Int64(count), tiles: Int32(fresh?.tiles ?? 0), first_fresh: Int32(fresh?.first ?? 0),
        fresh: Int32(fresh?.lanes ?? 0), unused: 0))
  }

  /// What the packing of the convolutions is told.
  private func packing(_ places: Addresses) -> [pack_convolution_parameters] {
    convolutions.map { convolution, normalization in
      pack_convolution_parameters(
        weight: places[parameters] + DeviceAddress(convolution.weight.lowerBound * 4),
        affine: isTraining ? 0 : normalization.map { places[$0.affine] } ?? 0, packed: places[convolution.packed],
        inputs: convolution.inputs, outputs_map: convolution.outputs,
        input_channels: Int32(convolution.inputChannels), output_channels: Int32(convolution.outputChannels),
        channels: Int32(convolution.inputLanes), outputs: Int32(convolution.outputLanes),
        taps: Int32(convolution.taps), unused: 0)
    }
  }

  /// Sends that to the device, for all `weightLaunches` to come.
  func sendPacking(_ device: CUDADevice, at base: DeviceAddress, on stream: borrowing CUDAStream) throws(BackendError) {
    let places = Addresses(base: base, memory: memory)
    let packing = packing(places)
    let staged = try PinnedMemory(packing.count * MemoryLayout<pack_convolution_parameters>.stride, for: device)
    packing.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: staged.pointer, count: staged.bytes).copyMemory(from: $0)
    }
    try stream.copy(staged.bytes, from: UnsafeRawPointer(staged.pointer), to: places[self.packing])
    try stream.wait("describing the weights")
  }

  private func packConvolutions(_ device: CUDADevice, _ places: Addresses) -> CUDALaunch {
    let elements = convolutions.map(\.0.elements)
    let kernel = device.kernel("pack_convolutions_\(precision.rawValue)")
    return CUDALaunch(
      kernel, "weights of \(elements.count) convolutions", "\(elements.reduce(0, +)) elements",
      grid: (Self.blocks(elements.max() ?? 0, kernel), elements.count, 1),
      pack_convolutions_parameters(convolutions: places[packing]))
  }

  private func packStem(_ device: CUDADevice, _ places: Addresses) -> CUDALaunch {
    let kernel = device.kernel("pack_stem_\(precision.rawValue)")
    let convolution = stemConvolution
    return CUDALaunch(
      kernel, "weights of conv0", "\(convolution.inputChannels)→\(convolution.outputChannels), 49 taps",
      grid: (Self.blocks(convolution.elements, kernel), 1, 1),
      pack_stem_parameters(
        weight: places[parameters] + DeviceAddress(convolution.weight.lowerBound * 4),
        affine: isTraining ? 0 : places[stemNormalization.affine], packed: places[convolution.packed],
        outputs_map: convolution.outputs, channels: Int32(convolution.inputChannels),
        output_channels: Int32(convolution.outputChannels), outputs: Int32(convolution.outputLanes), unused: 0))
  }

  /// Enough for a thread eight outputs.
  private static func blocks(_ elements: Int, _ kernel: CUDAKernel) -> Int {
    max(1, (elements / 8 + kernel.threads - 1) / kernel.threads)
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
