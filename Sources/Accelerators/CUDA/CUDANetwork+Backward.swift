import CCUDAKernels
import Engine

/// The way back, from the logits' gradients to those of the parameters.
extension CUDANetwork {
  /// Of the flat gradients, what the way back completes together, in its order: a block's, with what follows it.
  var buckets: [Range<Int>] {
    var end = plan.layout.trainedCount
    return blocks.indices.reversed().map { index in
      let first = index == 0 ? 0 : blocks[index].layers[0].normalization1.parameters.scale.lowerBound
      defer { end = first }
      return first..<end
    }
  }

  /// What the way back over `count` images launches, in order, bucket by bucket, behind a forward pass over the same and the loss.
  func backwardLaunches(
    _ device: CUDADevice, at base: DeviceAddress, count: Int, _ gradients: CUDAGradients
  ) -> [[CUDALaunch]] {
    var parts: [[CUDALaunch]] = []
    var pass = BackwardPass(
      network: self, gradients: gradients, device: device, places: Addresses(base: base, memory: memory), count: count)
    pass.head()
    for index in blocks.indices.reversed() {
      if index + 1 < blocks.count { pass.transition(index) }
      for layer in blocks[index].layers.indices.reversed() { pass.denseLayer(layer, of: index) }
      if index == 0 { pass.stem() }
      parts.append(pass.launches)
      pass.launches = []
    }
    return parts
  }

  /// The loss of `count` images and the gradients of their logits.
  func lossLaunch(
    _ device: CUDADevice, at base: DeviceAddress, count: Int, _ gradients: CUDAGradients
  ) -> CUDALaunch {
    let places = Addresses(base: base, memory: memory)
    return CUDALaunch(
      device.kernel("loss"), "loss", "\(count)×\(head.classCount)", grid: (1, 1, 1),
      loss_parameters(
        logits: places[logits], known: places[gradients.labels],
        positive: places[gradients.positive], negative: places[gradients.negative], scale: places[gradients.scale],
        gradient: places[gradients.logitGradients], sum: places[gradients.lossSum], images_count: Int32(count),
        labels: Int32(head.classCount)))
  }
}

/// Collects the launches of one way back.
struct BackwardPass {
  let network: CUDANetwork
  let gradients: CUDAGradients
  let device: CUDADevice
  let places: Addresses
  let count: Int
  var launches: [CUDALaunch] = []

  init(network: CUDANetwork, gradients: CUDAGradients, device: CUDADevice, places: Addresses, count: Int) {
    (self.network, self.gradients, self.device, self.places, self.count) = (network, gradients, device, places, count)
  }

  var precision: Precision { network.precision }
  var suffix: String { precision.rawValue }
  var sums: DeviceAddress { places[gradients.sums] }

  func slice(_ buffer: CUDANetwork.Buffer, from lanes: Int, size: Int) -> DeviceAddress {
    places[buffer] + DeviceAddress(lanes * size)
  }

  func gradient(_ range: Range<Int>) -> DeviceAddress {
    places[gradients.gradients] + DeviceAddress(4 * range.lowerBound)
  }

  func value(_ range: Range<Int>) -> DeviceAddress {
    places[network.parameters] + DeviceAddress(4 * range.lowerBound)
  }

  /// Of maps with so many values together, each read or written once.
  func cost(values: Int, multiplyAdds: Double = 0) -> CUDALaunch.Cost {
    CUDALaunch.Cost(bytes: Double(values * precision.size), multiplyAdds: multiplyAdds)
  }

  /// Of a gradient of `convolution`, or of so many in one, whose own maps have so many values together.
  func cost(
    _ convolution: CUDANetwork.Convolution, pixels: Int, values: Int, gradients: Int = 1
  ) -> CUDALaunch.Cost {
    cost(
      values: values + convolution.weight.count,
      multiplyAdds: Double(gradients * pixels) * convolution.multiplyAddsPerPixel)
  }

  func moments(_ buffer: CUDANetwork.Buffer?) -> DeviceAddress { buffer.map { places[$0] } ?? 0 }

  // MARK: What every layer needs

  /// From the parts' sums to dγ, dβ and what the lanes owe, and from those of `weights` to the convolution's gradient.
  mutating func addUp(
    _ normalization: CUDANetwork.Normalization, _ moments: CUDANetwork.Buffer?, _ debts: CUDAGradients.Debts,
    parts: Int, pixels: Int, accumulates: Bool, weights: (CUDANetwork.Convolution, parts: Int)? = nil,
    for question: CUDAKernelChoice.Question? = nil
  ) {
    let kernel = device.kernel("sums_of_parts")
    var bytes = parts * normalization.lanes * MemoryLayout<gate_sums>.stride
    var blocks = normalization.lanes / 8
    var (name, shapes) = ("gradient of \(normalization.name)", "\(normalization.channels) channels of \(parts) parts")
    var unpack = unpack_gradient_parameters()
    if let (convolution, parts) = weights {
      let elements = convolution.elements
      bytes += 4 * (parts * elements + 2 * convolution.weight.count)
      blocks += elements / 128
      name += " and of \(convolution.name)"
      shapes += ", \(elements) weights of \(parts)"
      unpack = unpack_gradient_parameters(
        partial: places[gradients.partial], gradient: gradient(convolution.weight), inputs: convolution.inputs,
        outputs_map: convolution.outputs, input_channels: Int32(convolution.inputChannels),
        output_channels: Int32(convolution.outputChannels), channels: Int32(convolution.inputLanes),
        outputs: Int32(convolution.outputLanes), taps: Int32(convolution.taps), parts: Int32(parts))
    }
    launches.append(
      CUDALaunch(
        kernel, name, shapes, grid: (blocks, 1, 1), cost: CUDALaunch.Cost(bytes: Double(bytes)), for: question,
        sums_of_parts_parameters(
          normalization: normalization_gradient_parameters(
            sums: sums, moments: self.moments(moments), scale: value(normalization.parameters.scale),
            scale_gradient: gradient(normalization.parameters.scale),
            shift_gradient: gradient(normalization.parameters.shift), owed: places[debts.owed],
            debts: places[debts.debts], map: normalization.map, epsilon: network.plan.architecture.batchNormEpsilon,
            count: Int64(pixels), parts: Int32(parts), channels: Int32(normalization.channels),
            lanes: Int32(normalization.lanes), accumulates: accumulates ? 1 : 0),
          weights: unpack)))
  }

  /// `pixels` × `lanes` of a gradient, with what is owed taken off: of G, from lane `first` of its map on, or of what is behind a gate, times a scale.
  mutating func resolve(
    _ name: String, _ g: DeviceAddress, stride: Int, affine: CUDANetwork.Buffer? = nil,
    debts: DeviceAddress, x: DeviceAddress, xStride: Int, into target: CUDANetwork.Buffer, pixels: Int, lanes: Int,
    for question: CUDAKernelChoice.Question? = nil
  ) {
    let kernel = device.kernel("resolve_gradient_\(suffix)")
    launches.append(
      CUDALaunch(
        kernel, "resolved gradient of \(name)", "\(lanes) lanes of \(pixels) pixels",
        // A thread keeps its lanes' constants: so many blocks as are there at once, and some in line behind them, read them once for many pixels.
        grid: (
          min(16 * device.multiprocessors, (pixels * lanes / 8 + kernel.threads - 1) / kernel.threads), 1, 1
        ),
        cost: cost(values: 3 * pixels * lanes), for: question,
        resolve_gradient_parameters(
          g: g, affine: affine.map { places[$0] } ?? 0, debts: debts, x: x, resolved: places[target],
          pixels: Int32(pixels), lanes: Int32(lanes), g_stride: Int32(stride), x_stride: Int32(xStride))))
  }

  // MARK: The network, from its end

  mutating func head() {
    guard let block = network.blocks.last, let own = gradients.blocks.last else { return }
    let (head, area, pixels) = (network.head, block.plan.area, count * block.plan.area)
    launches.append(
      CUDALaunch(
        device.kernel("classifier_gradient"), "gradient of classifier",
        "\(head.input.channels)→\(head.classCount) of \(count)", grid: ((block.lanes + 31) / 32, 1, 1),
        classifier_gradient_parameters(
          gradient: places[gradients.logitGradients], mean: places[network.mean],
          weight: value(head.classifierWeight), weight_gradient: gradient(head.classifierWeight),
          bias_gradient: gradient(head.classifierBias), share: places[gradients.share],
          map: network.headNormalization.map, images_count: Int32(count), lanes: Int32(block.lanes),
          feature_channels: Int32(head.input.channels), labels: Int32(head.classCount), area: Int32(area), unused: 0)))
    let parts = CUDAGradients.sumParts(pixels)
    launches.append(
      CUDALaunch(
        device.kernel("head_gradient_\(suffix)"), "gradient of the feature map",
        "\(head.input.channels) channels of \(pixels) pixels", grid: (parts, (block.lanes + 63) / 64, 1),
        cost: cost(values: 2 * pixels * block.lanes),
        head_gradient_parameters(
          share: places[gradients.share], x: places[block.map], affine: places[network.headNormalization.affine],
          moments: moments(block.moments), gradient: places[own.gradient], sums: sums, images_count: Int32(count),
          area: Int32(area), channels: Int32(block.lanes), x_stride: Int32(block.lanes), g_stride: Int32(block.lanes),
          rectified: head.hasReLU ? 1 : 0)))
    addUp(
      network.headNormalization, block.moments, own.debts, parts: parts, pixels: pixels, accumulates: false)
  }

  mutating func transition(_ index: Int) {
    let (block, next) = (network.blocks[index], network.blocks[index + 1])
    let (own, theirs) = (gradients.blocks[index], gradients.blocks[index + 1])
    guard let transition = block.transition else { return }
    let (convolution, pixels) = (transition.convolution, count * next.plan.area)
    resolve(
      convolution.name, places[theirs.gradient], stride: next.lanes, debts: places[theirs.debts.debts],
      x: places[next.map], xStride: next.lanes, into: gradients.grown, pixels: pixels, lanes: convolution.outputLanes)
    let question = block.transitionQuestion(transition, pixels)
    let chosen = network.choice.pointwiseGradients(question, precision)
    pointwiseApart(
      convolution, chosen, dy: gradients.grown, x: transition.pooled, stride: block.lanes, affine: nil, moments: nil,
      gradient: nil, y: gradients.gated, pixels: pixels, for: question)
    let all = count * block.plan.area
    let parts = CUDAGradients.sumParts(all)
    launches.append(
      CUDALaunch(
        device.kernel("mean_pool_gradient_\(suffix)"), "gradient of \(transition.normalization.name)",
        "\(block.lanes) lanes at \(count)×\(block.plan.height)×\(block.plan.width)",
        grid: (parts, (block.lanes + 63) / 64, 1), cost: cost(values: (pixels + 2 * all) * block.lanes),
        mean_pool_gradient_parameters(
          dy: places[gradients.gated], x: places[block.map], affine: places[transition.normalization.affine],
          moments: moments(block.moments), gradient: places[own.gradient], sums: sums, images_count: Int32(count),
          height: Int32(block.plan.height), width: Int32(block.plan.width), channels: Int32(block.lanes),
          x_stride: Int32(block.lanes), g_stride: Int32(block.lanes))))
    addUp(
      transition.normalization, block.moments, own.debts, parts: parts, pixels: all, accumulates: false,
      weights: (convolution, chosen.parts))
  }

  mutating func stem() {
    let (stem, convolution, block) = (network.stem, network.stemConvolution, network.blocks[0])
    let (lanes, own) = (convolution.outputLanes, gradients.blocks[0])
    let (pooled, pixels) = (count * stem.output.area, count * stem.convolved.area)
    resolve(
      "pool0", places[own.gradient], stride: block.lanes, debts: places[own.debts.debts], x: places[block.map],
      xStride: block.lanes, into: gradients.grown, pixels: pooled, lanes: lanes)
    let parts = CUDAGradients.sumParts(pixels)
    launches.append(
      CUDALaunch(
        device.kernel("maximum_pool_gradient_\(suffix)"), "gradient of pool0",
        "\(lanes) lanes at \(count)×\(stem.convolved.height)×\(stem.convolved.width)",
        grid: (parts, (lanes + 63) / 64, 1), cost: cost(values: (pooled + 2 * pixels) * lanes),
        maximum_pool_gradient_parameters(
          dy: places[gradients.grown], x: places[network.convolved], affine: places[network.stemNormalization.affine],
          moments: moments(network.stemMoments), d: places[gradients.gated], sums: sums, images_count: Int32(count),
          height: Int32(stem.convolved.height), width: Int32(stem.convolved.width), channels: Int32(lanes))))
    addUp(
      network.stemNormalization, network.stemMoments, gradients.debts, parts: parts, pixels: pixels,
      accumulates: false)
    resolve(
      "conv0", places[gradients.gated], stride: lanes, affine: network.stemNormalization.affine,
      debts: places[gradients.debts.debts], x: places[network.convolved], xStride: lanes, into: gradients.gated,
      pixels: pixels, lanes: lanes)
    let weights = network.choice.stemGradient(convolution, pixels: pixels, precision)
    launches.append(
      CUDALaunch(
        weights.weights, "weight gradient of conv0",
        "\(stem.image.channels)→\(stem.convolved.channels), \(pixels) pixels in \(weights.parts) parts",
        grid: weights.grid,
        cost: cost(convolution, pixels: pixels, values: pixels * lanes),
        stem_weight_gradient_parameters(
          images: places[network.windows], table: places[network.table], dy: places[gradients.gated],
          partial: places[gradients.partial], images_count: Int32(count), channels: Int32(stem.image.channels),
          height: Int32(stem.image.height), width: Int32(stem.image.width), outputs: Int32(lanes), unused: 0)))
    let kernel = device.kernel("unpack_stem_gradient")
    launches.append(
      CUDALaunch(
        kernel, "sums of the weight gradient of conv0", "\(weights.parts) parts",
        grid: (convolution.elements / 128, 1, 1),
        unpack_stem_gradient_parameters(
          partial: places[gradients.partial], gradient: gradient(convolution.weight), outputs_map: convolution.outputs,
          channels: Int32(stem.image.channels), output_channels: Int32(stem.convolved.channels),
          outputs: Int32(lanes), parts: Int32(weights.parts))))
  }
}
