import CCUDAKernels
import Engine

/// The forward pass.
extension CUDANetwork {
  /// What a pass over `count` images launches, in order; the images' windows, the table and the weights are there.
  func forwardLaunches(
    _ device: CUDADevice, at base: DeviceAddress, count: Int, keepingFeatures: Bool
  ) -> [CUDALaunch] {
    var pass = ForwardPass(
      network: self, device: device, places: Addresses(base: base, memory: memory), count: count,
      keepsFeatures: keepingFeatures)
    pass.stem()
    for (index, block) in blocks.enumerated() {
      for layer in block.layers.indices { pass.denseLayer(layer, of: block, index) }
      if let transition = block.transition { pass.transition(transition, from: block, to: blocks[index + 1]) }
    }
    pass.head()
    return pass.launches
  }
}

/// Collects the launches of one pass.
private struct ForwardPass {
  let network: CUDANetwork
  let device: CUDADevice
  let places: Addresses
  let count: Int
  let keepsFeatures: Bool
  var launches: [CUDALaunch] = []
  /// What the next batch norm adds up.
  private var fresh: CUDANetwork.Fresh?

  init(network: CUDANetwork, device: CUDADevice, places: Addresses, count: Int, keepsFeatures: Bool) {
    (self.network, self.device, self.places) = (network, device, places)
    (self.count, self.keepsFeatures) = (count, keepsFeatures)
  }

  private var precision: Precision { network.precision }
  private var size: Double { Double(precision.size) }
  private var isTraining: Bool { network.isTraining }
  private var sums: DeviceAddress { network.sums.map { places[$0] } ?? 0 }

  /// Where a map's channels begin that follow its first `lanes`.
  private func slice(_ buffer: CUDANetwork.Buffer, from lanes: Int = 0) -> DeviceAddress {
    places[buffer] + DeviceAddress(lanes * precision.size)
  }

  private func shapes(_ inputs: Int, _ outputs: Int, _ height: Int, _ width: Int) -> String {
    "\(inputs)→\(outputs) at \(count)×\(height)×\(width)"
  }

  /// In training: the batch norm by the batch, of which the lanes that have just been computed are added up.
  private mutating func normalize(
    _ normalization: CUDANetwork.Normalization, _ moments: CUDANetwork.Buffer?, pixels: Int
  ) {
    guard let moments else { return }
    launches.append(
      network.normalize(normalization, device, places, moments: places[moments], fresh: fresh, count: pixels))
    fresh = nil
  }

  mutating func stem() {
    let (stem, convolution) = (network.stem, network.stemConvolution)
    let (lanes, output) = (convolution.outputLanes, stem.convolved)
    let pixels = count * output.area
    let tiles = ((output.width + 15) / 16) * ((output.height + 7) / 8)
    launches.append(
      CUDALaunch(
        device.kernel("stem_\(precision.rawValue)"), "conv0",
        shapes(stem.image.channels, output.channels, output.height, output.width),
        grid: (tiles, count, (lanes + 63) / 64),
        cost: CUDALaunch.Cost(
          bytes: Double(count * stem.image.area) + Double(pixels * lanes) * size,
          multiplyAdds: Double(pixels) * convolution.multiplyAddsPerPixel),
        stem_parameters(
          images: places[network.windows], table: places[network.table], weight: places[convolution.packed],
          bias: network.stemNormalization.bias.map { places[$0] } ?? 0, y: places[network.convolved], sums: sums,
          images_count: Int32(count), channels: Int32(stem.image.channels), height: Int32(stem.image.height),
          width: Int32(stem.image.width), outputs: Int32(lanes), unused: 0)))
    fresh = .init(tiles: tiles * count, first: 0, lanes: lanes)
    normalize(network.stemNormalization, network.stemMoments, pixels: pixels)

    let (block, pooled) = (network.blocks[0], count * stem.output.area)
    let kernel = device.kernel("maximum_pool_\(precision.rawValue)")
    launches.append(
      CUDALaunch(
        kernel, "pool0", shapes(output.channels, output.channels, stem.output.height, stem.output.width),
        grid: (kernel.tiles(pooled), (lanes + 63) / 64, 1),
        cost: CUDALaunch.Cost(bytes: Double((pixels + pooled) * lanes) * size),
        maximum_pool_parameters(
          x: places[network.convolved], affine: isTraining ? places[network.stemNormalization.affine] : 0,
          y: places[block.map], sums: sums, images_count: Int32(count), height: Int32(output.height),
          width: Int32(output.width), channels: Int32(lanes), y_stride: Int32(block.lanes), unused: 0)))
    fresh = .init(tiles: kernel.tiles(pooled), first: 0, lanes: lanes)
  }

  mutating func denseLayer(_ number: Int, of block: CUDANetwork.Block, _ index: Int) {
    let layer = block.layers[number]
    let (height, width, pixels) = (block.plan.height, block.plan.width, count * block.plan.area)
    normalize(layer.normalization1, block.moments, pixels: pixels)
    pointwise(
      layer.convolution1, from: block.map, stride: block.lanes, affine: layer.normalization1,
      bias: layer.normalization2.bias, to: slice(layer.bottleneck), stride: layer.convolution1.outputLanes,
      (height, width))
    normalize(layer.normalization2, layer.moments, pixels: pixels)

    let convolution = layer.convolution2
    let lanes = convolution.outputLanes
    let first = block.plan.inputSlabs(of: number) * ChannelSlabs.lanes
    let question = CUDAKernelChoice.Question(
      .growth, convolution, width: width, pixels: pixels, normalises: isTraining)
    let kernel = network.choice.growth(question, precision)
    let parameters = growth_parameters(
      x: places[layer.bottleneck], affine: places[layer.normalization2.affine], weight: places[convolution.packed],
      y: slice(block.map, from: first), sums: sums, pixels: Int32(pixels), height: Int32(height),
      width: Int32(width), channels: Int32(convolution.inputLanes), outputs: Int32(lanes),
      y_stride: Int32(block.lanes))
    func launch(_ parameters: some BitwiseCopyable, _ tensors: [CUDATensor] = []) -> CUDALaunch {
      CUDALaunch(
        kernel, convolution.name, shapes(convolution.inputChannels, convolution.outputChannels, height, width),
        grid: (kernel.tiles(pixels), lanes / 32, 1),
        cost: CUDALaunch.Cost(
          bytes: Double(pixels * (convolution.inputLanes + lanes)) * size,
          multiplyAdds: Double(pixels) * convolution.multiplyAddsPerPixel), for: question, tensors: tensors, parameters)
    }
    if kernel.copiesInBulk {
      var bulk = growth_bulk_parameters()
      bulk.given = parameters
      launches.append(
        launch(
          bulk,
          [
            CUDATensor(parameters.x, rows: pixels, columns: convolution.inputLanes, box: (64, 32)),
            CUDATensor(parameters.weight, rows: 9 * convolution.inputLanes, columns: lanes, box: (32, 32)),
          ]))
    } else {
      launches.append(launch(parameters))
    }
    fresh = .init(tiles: kernel.tiles(pixels), first: first, lanes: lanes)
  }

  mutating func transition(
    _ transition: CUDANetwork.Transition, from block: CUDANetwork.Block, to next: CUDANetwork.Block
  ) {
    normalize(transition.normalization, block.moments, pixels: count * block.plan.area)
    let (lanes, pixels) = (block.lanes, count * next.plan.area)
    let kernel = device.kernel("mean_pool_\(precision.rawValue)")
    launches.append(
      CUDALaunch(
        kernel, transition.normalization.name, shapes(lanes, lanes, next.plan.height, next.plan.width),
        grid: ((pixels * lanes / 8 + kernel.threads - 1) / kernel.threads, 1, 1),
        cost: CUDALaunch.Cost(bytes: Double((count * block.plan.area + pixels) * lanes) * size),
        mean_pool_parameters(
          x: places[block.map], affine: places[transition.normalization.affine], y: places[transition.pooled],
          images_count: Int32(count), height: Int32(block.plan.height), width: Int32(block.plan.width),
          channels: Int32(lanes), x_stride: Int32(lanes), unused: 0)))
    pointwise(
      transition.convolution, from: transition.pooled, stride: lanes, affine: nil, bias: nil, to: slice(next.map),
      stride: next.lanes, (next.plan.height, next.plan.width))
  }

  private mutating func pointwise(
    _ convolution: CUDANetwork.Convolution, from input: CUDANetwork.Buffer, stride: Int,
    affine: CUDANetwork.Normalization?, bias: CUDANetwork.Buffer?, to output: DeviceAddress, stride outputStride: Int,
    _ size: (height: Int, width: Int)
  ) {
    let (pixels, lanes) = (count * size.height * size.width, convolution.outputLanes)
    let question = CUDAKernelChoice.Question(.pointwise, convolution, pixels: pixels, normalises: affine != nil)
    let kernel = network.choice.pointwise(question, precision)
    let (tiles, columns) = (kernel.tiles(pixels), (lanes + 127) / 128)
    let parameters = pointwise_parameters(
      x: places[input], affine: affine.map { places[$0.affine] } ?? 0, weight: places[convolution.packed],
      bias: bias.map { places[$0] } ?? 0, y: output, sums: sums, pixels: Int32(pixels),
      channels: Int32(convolution.inputLanes), outputs: Int32(lanes), x_stride: Int32(stride),
      y_stride: Int32(outputStride))
    func launch(_ parameters: some BitwiseCopyable, blocks: Int, _ tensors: [CUDATensor] = []) -> CUDALaunch {
      CUDALaunch(
        kernel, convolution.name,
        shapes(convolution.inputChannels, convolution.outputChannels, size.height, size.width),
        grid: (blocks, columns, 1),
        cost: CUDALaunch.Cost(
          bytes: Double(pixels * (convolution.inputLanes + lanes)) * self.size,
          multiplyAdds: Double(pixels) * convolution.multiplyAddsPerPixel), for: question, tensors: tensors, parameters)
    }
    if kernel.copiesInBulk {
      func map(_ address: DeviceAddress, _ columns: Int, stride: Int) -> CUDATensor {
        CUDATensor(address, rows: pixels, columns: columns, stride: stride, box: (kernel.tile, 64))
      }
      var bulk = pointwise_bulk_parameters()
      bulk.given = parameters
      launches.append(
        launch(
          // A block takes one tile after the other.
          bulk, blocks: min(tiles, max(1, kernel.residentBlocks * network.choice.multiprocessors / columns)),
          [
            map(parameters.x, convolution.inputLanes, stride: stride),
            CUDATensor(parameters.weight, rows: convolution.inputLanes, columns: lanes, box: (64, 64)),
            map(output, lanes, stride: outputStride),
          ]))
    } else {
      launches.append(launch(parameters, blocks: tiles))
    }
    fresh = .init(tiles: tiles, first: 0, lanes: lanes)
  }

  mutating func head() {
    guard let block = network.blocks.last else { return }
    let (head, area) = (network.head, block.plan.area)
    normalize(network.headNormalization, block.moments, pixels: count * area)
    let shape = shapes(head.input.channels, head.input.channels, head.input.height, head.input.width)
    let kept = keepsFeatures ? Double(count * head.input.count * 4) : 0
    launches.append(
      CUDALaunch(
        device.kernel("head_mean_\(precision.rawValue)"), "norm5", shape, grid: (count, block.lanes / 32, 1),
        cost: CUDALaunch.Cost(bytes: Double(count * area * block.lanes) * size + kept),
        head_mean_parameters(
          x: places[block.map], affine: places[network.headNormalization.affine], mean: places[network.mean],
          features: keepsFeatures ? places[network.features] : 0, map: network.headNormalization.map,
          area: Int32(area), channels: Int32(block.lanes), x_stride: Int32(block.lanes),
          rectified: head.hasReLU ? 1 : 0, feature_channels: Int32(head.input.channels), unused: 0)))
    func value(_ range: Range<Int>) -> DeviceAddress {
      let first = isTraining ? 0 : network.plan.layout.classifier.lowerBound
      let values = isTraining ? network.parameters : network.classifier
      return places[values] + DeviceAddress((range.lowerBound - first) * 4)
    }
    launches.append(
      CUDALaunch(
        device.kernel("head_classifier"), "classifier", "\(head.input.channels)→\(head.classCount) of \(count)",
        grid: (count, 1, 1),
        cost: CUDALaunch.Cost(bytes: Double(count * head.input.channels * 4)),
        head_classifier_parameters(
          mean: places[network.mean], weight: value(head.classifierWeight), bias: value(head.classifierBias),
          logits: places[network.logits], map: network.headNormalization.map, channels: Int32(block.lanes),
          feature_channels: Int32(head.input.channels), labels: Int32(head.classCount), unused: 0)))
  }
}
