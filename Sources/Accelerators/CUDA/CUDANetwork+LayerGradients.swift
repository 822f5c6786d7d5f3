import CCUDAKernels
import Engine

/// The way back through a dense layer: of each convolution one kernel for both of its gradients where the device has one for its sizes, otherwise one
/// that resolves what comes back and one for each gradient.
extension BackwardPass {
  mutating func denseLayer(_ number: Int, of index: Int) {
    let (block, own) = (network.blocks[index], gradients.blocks[index])
    let (layer, pixels) = (block.layers[number], count * block.plan.area)
    let weights2 = device.growthWeightGradient(
      layer.convolution2, pixels: pixels, width: block.plan.width, precision)
    let parts2 =
      weights2.isFused ? growthGradients(number, of: index, weights2) : growthApart(number, of: index, weights2)
    addUp(
      layer.normalization2, layer.moments, gradients.debts, parts: parts2, pixels: pixels, accumulates: false,
      weights: (layer.convolution2, weights2.parts))
    let weights1 = device.pointwiseWeightGradient(layer.convolution1, pixels: pixels, isGated: true, precision)
    let parts1 =
      weights1.isFused ? pointwiseGradients(number, of: index, weights1) : pointwiseApart(number, of: index, weights1)
    addUp(
      layer.normalization1, block.moments, own.debts, parts: parts1, pixels: pixels, accumulates: true,
      weights: (layer.convolution1, weights1.parts))
  }

  // MARK: The 3×3 convolution. Each says into how many parts it has cut its gate's sums.

  /// Where a layer's new channels are: in G, in the block's map, and what they owe.
  private func grown(
    _ number: Int, of index: Int
  ) -> (gradient: DeviceAddress, map: DeviceAddress, debts: DeviceAddress) {
    let (block, own) = (network.blocks[index], gradients.blocks[index])
    let first = block.plan.inputSlabs(of: number) * ChannelSlabs.lanes
    return (
      slice(own.gradient, from: first, size: precision.size), slice(block.map, from: first, size: precision.size),
      slice(own.debts.debts, from: first, size: MemoryLayout<debt_pair>.stride)
    )
  }

  private func shapes(_ convolution: CUDANetwork.Convolution, _ block: CUDANetwork.Block) -> String {
    "\(convolution.inputChannels)→\(convolution.outputChannels) at \(count)×\(block.plan.height)×\(block.plan.width)"
  }

  private mutating func growthGradients(_ number: Int, of index: Int, _ weights: CUDADevice.WeightGradient) -> Int {
    let (block, new) = (network.blocks[index], grown(number, of: index))
    let (layer, pixels) = (block.layers[number], count * block.plan.area)
    let (convolution, lanes) = (layer.convolution2, layer.convolution2.inputLanes)
    launches.append(
      CUDALaunch(
        weights.kernel, "gradients of \(convolution.name)",
        shapes(convolution, block) + " in \(weights.parts) parts", grid: weights.grid,
        // G and the map of the new channels, the bottleneck; the gradient behind its gate.
        cost: cost(
          convolution, pixels: pixels, values: pixels * (2 * convolution.outputLanes + 2 * lanes), gradients: 2),
        growth_gradients_parameters(
          g: new.gradient, x: new.map, debts: new.debts, weight: places[convolution.packed],
          y: places[layer.bottleneck], affine: places[layer.normalization2.affine], moments: moments(layer.moments),
          d: places[gradients.gated], partial: places[gradients.partial], sums: sums, pixels: Int32(pixels),
          height: Int32(block.plan.height), width: Int32(block.plan.width), channels: Int32(lanes),
          outputs: Int32(convolution.outputLanes), g_stride: Int32(block.lanes), x_stride: Int32(block.lanes), unused: 0
        )
      ))
    return weights.parts
  }

  private mutating func growthApart(_ number: Int, of index: Int, _ weights: CUDADevice.WeightGradient) -> Int {
    let (block, new) = (network.blocks[index], grown(number, of: index))
    let (layer, pixels) = (block.layers[number], count * block.plan.area)
    let (convolution, growth) = (layer.convolution2, layer.convolution2.outputLanes)
    let lanes = convolution.inputLanes
    resolve(
      convolution.name, new.gradient, stride: block.lanes, debts: new.debts, x: new.map, xStride: block.lanes,
      into: gradients.grown, pixels: pixels, lanes: growth)
    launches.append(
      CUDALaunch(
        weights.kernel, "weight gradient of \(convolution.name)",
        shapes(convolution, block) + " in \(weights.parts) parts", grid: weights.grid,
        cost: cost(convolution, pixels: pixels, values: pixels * (lanes + growth)),
        growth_weight_gradient_parameters(
          dy: places[gradients.grown], y: places[layer.bottleneck], affine: places[layer.normalization2.affine],
          partial: places[gradients.partial], pixels: Int32(pixels), height: Int32(block.plan.height),
          width: Int32(block.plan.width), channels: Int32(lanes), outputs: Int32(growth), unused: 0)))
    let kernel = device.growthDataGradient(pixels: pixels, width: block.plan.width, channels: lanes, precision)
    let tiles = (pixels + kernel.tile - 1) / kernel.tile
    launches.append(
      CUDALaunch(
        kernel, "data gradient of \(convolution.name)", shapes(convolution, block),
        grid: (tiles, (lanes + 127) / 128, 1),
        cost: cost(convolution, pixels: pixels, values: pixels * (2 * lanes + growth)),
        growth_data_gradient_parameters(
          dy: places[gradients.grown], weight: places[convolution.packed], y: places[layer.bottleneck],
          affine: places[layer.normalization2.affine], moments: moments(layer.moments), d: places[gradients.gated],
          sums: sums, pixels: Int32(pixels), height: Int32(block.plan.height), width: Int32(block.plan.width),
          channels: Int32(lanes), outputs: Int32(growth), unused: 0)))
    return tiles
  }

  // MARK: The 1×1 convolution

  private mutating func pointwiseGradients(
    _ number: Int, of index: Int, _ weights: CUDADevice.WeightGradient
  ) -> Int {
    let (block, own) = (network.blocks[index], gradients.blocks[index])
    let (layer, pixels) = (block.layers[number], count * block.plan.area)
    let convolution = layer.convolution1
    launches.append(
      CUDALaunch(
        weights.kernel, "gradients of \(convolution.name)",
        "\(convolution.inputChannels)→\(convolution.outputChannels), \(pixels) pixels in \(weights.parts) parts",
        grid: weights.grid,
        // The gradient behind the gate and the bottleneck; what was concatenated, and G twice.
        cost: cost(
          convolution, pixels: pixels, values: pixels * (2 * convolution.outputLanes + 3 * convolution.inputLanes),
          gradients: 2),
        pointwise_gradients_parameters(
          d: places[gradients.gated], y: places[layer.bottleneck], y_affine: places[layer.normalization2.affine],
          debts: places[gradients.debts.debts], weight: places[convolution.packed], x: places[block.map],
          affine: places[layer.normalization1.affine], moments: moments(block.moments),
          gradient: places[own.gradient], partial: places[gradients.partial], sums: sums, pixels: Int32(pixels),
          channels: Int32(convolution.inputLanes), outputs: Int32(convolution.outputLanes),
          x_stride: Int32(block.lanes), g_stride: Int32(block.lanes), unused: 0)))
    return weights.parts
  }

  private mutating func pointwiseApart(_ number: Int, of index: Int, _ weights: CUDADevice.WeightGradient) -> Int {
    let (block, own) = (network.blocks[index], gradients.blocks[index])
    let (layer, pixels) = (block.layers[number], count * block.plan.area)
    let lanes = layer.convolution2.inputLanes
    resolve(
      layer.convolution1.name, places[gradients.gated], stride: lanes, affine: layer.normalization2.affine,
      debts: places[gradients.debts.debts], x: places[layer.bottleneck], xStride: lanes, into: gradients.gated,
      pixels: pixels, lanes: lanes)
    pointwiseWeights(
      layer.convolution1, weights, dy: gradients.gated, x: block.map, stride: block.lanes,
      affine: layer.normalization1.affine, pixels: pixels)
    return pointwiseData(
      layer.convolution1, dy: gradients.gated, x: block.map, stride: block.lanes,
      affine: layer.normalization1.affine, moments: block.moments, gradient: own.gradient, y: nil, pixels: pixels)
  }

  mutating func pointwiseWeights(
    _ convolution: CUDANetwork.Convolution, _ weights: CUDADevice.WeightGradient, dy: CUDANetwork.Buffer,
    x: CUDANetwork.Buffer, stride: Int,
    affine: CUDANetwork.Buffer?, pixels: Int
  ) {
    launches.append(
      CUDALaunch(
        weights.kernel, "weight gradient of \(convolution.name)",
        "\(convolution.inputChannels)→\(convolution.outputChannels), \(pixels) pixels in \(weights.parts) parts",
        grid: weights.grid,
        cost: cost(
          convolution, pixels: pixels, values: pixels * (convolution.inputLanes + convolution.outputLanes)),
        pointwise_weight_gradient_parameters(
          dy: places[dy], x: places[x], affine: affine.map { places[$0] } ?? 0, partial: places[gradients.partial],
          pixels: Int32(pixels), channels: Int32(convolution.inputLanes), outputs: Int32(convolution.outputLanes),
          x_stride: Int32(stride))))
  }

  /// The parts of its sums; 0 where there is no gate and `y` is what is wanted.
  @discardableResult
  mutating func pointwiseData(
    _ convolution: CUDANetwork.Convolution, dy: CUDANetwork.Buffer, x: CUDANetwork.Buffer, stride: Int,
    affine: CUDANetwork.Buffer?, moments: CUDANetwork.Buffer?, gradient: CUDANetwork.Buffer?,
    y: CUDANetwork.Buffer?, pixels: Int
  ) -> Int {
    let kernel = device.pointwiseDataGradient(pixels: pixels, channels: convolution.inputLanes, precision)
    let tiles = (pixels + kernel.tile - 1) / kernel.tile
    launches.append(
      CUDALaunch(
        kernel, "data gradient of \(convolution.name)",
        "\(convolution.outputChannels)→\(convolution.inputChannels), \(pixels) pixels",
        grid: (tiles, (convolution.inputLanes + 127) / 128, 1),
        // Behind a gate: x, and G twice.
        cost: cost(
          convolution, pixels: pixels,
          values: pixels * (convolution.outputLanes + (affine == nil ? 1 : 3) * convolution.inputLanes)),
        pointwise_data_gradient_parameters(
          dy: places[dy], weight: places[convolution.packed], x: places[x], affine: affine.map { places[$0] } ?? 0,
          moments: self.moments(moments), gradient: gradient.map { places[$0] } ?? 0, y: y.map { places[$0] } ?? 0,
          sums: sums, pixels: Int32(pixels), channels: Int32(convolution.inputLanes),
          outputs: Int32(convolution.outputLanes), x_stride: Int32(stride), g_stride: Int32(stride),
          accumulates: 1)))
    return tiles
  }
}
