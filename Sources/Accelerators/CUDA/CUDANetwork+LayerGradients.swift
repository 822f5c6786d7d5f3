import CCUDAKernels
import Engine

/// The way back through convolutions: one kernel for both gradients where that was chosen, otherwise one that resolves what comes back and one for each.
extension BackwardPass {
  typealias Question = CUDAKernelChoice.Question
  typealias Gradients = CUDAKernelChoice.Gradients

  mutating func denseLayer(_ number: Int, of index: Int) {
    let (block, own) = (network.blocks[index], gradients.blocks[index])
    let (layer, pixels) = (block.layers[number], count * block.plan.area)

    let growth = block.growthQuestion(layer, pixels)
    let chosen2 = network.choice.growthGradients(growth, precision)
    let parts2 =
      if let data = chosen2.data { growthApart(number, of: index, chosen2, data, for: growth) } else {
        growthGradients(number, of: index, chosen2, for: growth)
      }
    addUp(
      layer.normalization2, layer.moments, gradients.debts, parts: parts2, pixels: pixels, accumulates: false,
      weights: (layer.convolution2, chosen2.parts), for: growth)

    let pointwise = block.pointwiseQuestion(layer, pixels)
    let chosen1 = network.choice.pointwiseGradients(pointwise, precision)
    let parts1: Int
    if chosen1.data == nil {
      parts1 = pointwiseGradients(layer, of: index, chosen1, for: pointwise)
    } else {
      let lanes = layer.convolution2.inputLanes
      resolve(
        layer.convolution1.name, places[gradients.gated], stride: lanes, affine: layer.normalization2.affine,
        debts: places[gradients.debts.debts], x: places[layer.bottleneck], xStride: lanes, into: gradients.gated,
        pixels: pixels, lanes: lanes, for: pointwise)
      parts1 = pointwiseApart(
        layer.convolution1, chosen1, dy: gradients.gated, x: block.map, stride: block.lanes,
        affine: layer.normalization1.affine, moments: block.moments, gradient: own.gradient, y: nil, pixels: pixels,
        for: pointwise)
    }
    addUp(
      layer.normalization1, block.moments, own.debts, parts: parts1, pixels: pixels, accumulates: true,
      weights: (layer.convolution1, chosen1.parts), for: pointwise)
  }

  // MARK: The 3×3 convolution. Both say into how many parts the gate's sums are cut.

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

  private mutating func growthGradients(
    _ number: Int, of index: Int, _ chosen: Gradients, for question: Question
  ) -> Int {
    let (block, new) = (network.blocks[index], grown(number, of: index))
    let (layer, pixels) = (block.layers[number], count * block.plan.area)
    let (convolution, lanes) = (layer.convolution2, layer.convolution2.inputLanes)
    launches.append(
      CUDALaunch(
        chosen.weights, "gradients of \(convolution.name)",
        shapes(convolution, block) + " in \(chosen.parts) parts", grid: chosen.grid,
        // G and the map of the new channels, the bottleneck; the gradient behind its gate.
        cost: cost(
          convolution, pixels: pixels, values: pixels * (2 * convolution.outputLanes + 2 * lanes), gradients: 2),
        for: question,
        growth_gradients_parameters(
          g: new.gradient, x: new.map, debts: new.debts, weight: places[convolution.packed],
          y: places[layer.bottleneck], affine: places[layer.normalization2.affine], moments: moments(layer.moments),
          d: places[gradients.gated], partial: places[gradients.partial], sums: sums, pixels: Int32(pixels),
          height: Int32(block.plan.height), width: Int32(block.plan.width), channels: Int32(lanes),
          outputs: Int32(convolution.outputLanes), g_stride: Int32(block.lanes), x_stride: Int32(block.lanes), unused: 0
        )
      ))
    return chosen.parts
  }

  private mutating func growthApart(
    _ number: Int, of index: Int, _ chosen: Gradients, _ data: CUDAKernel, for question: Question
  ) -> Int {
    let (block, new) = (network.blocks[index], grown(number, of: index))
    let (layer, pixels) = (block.layers[number], count * block.plan.area)
    let (convolution, growth) = (layer.convolution2, layer.convolution2.outputLanes)
    let lanes = convolution.inputLanes
    resolve(
      convolution.name, new.gradient, stride: block.lanes, debts: new.debts, x: new.map, xStride: block.lanes,
      into: gradients.grown, pixels: pixels, lanes: growth, for: question)
    launches.append(
      CUDALaunch(
        chosen.weights, "weight gradient of \(convolution.name)",
        shapes(convolution, block) + " in \(chosen.parts) parts", grid: chosen.grid,
        cost: cost(convolution, pixels: pixels, values: pixels * (lanes + growth)), for: question,
        growth_weight_gradient_parameters(
          dy: places[gradients.grown], y: places[layer.bottleneck], affine: places[layer.normalization2.affine],
          partial: places[gradients.partial], pixels: Int32(pixels), height: Int32(block.plan.height),
          width: Int32(block.plan.width), channels: Int32(lanes), outputs: Int32(growth), unused: 0)))
    launches.append(
      CUDALaunch(
        data, "data gradient of \(convolution.name)", shapes(convolution, block),
        grid: (data.tiles(pixels), (lanes + 127) / 128, 1),
        cost: cost(convolution, pixels: pixels, values: pixels * (2 * lanes + growth)), for: question,
        growth_data_gradient_parameters(
          dy: places[gradients.grown], weight: places[convolution.packed], y: places[layer.bottleneck],
          affine: places[layer.normalization2.affine], moments: moments(layer.moments), d: places[gradients.gated],
          sums: sums, pixels: Int32(pixels), height: Int32(block.plan.height), width: Int32(block.plan.width),
          channels: Int32(lanes), outputs: Int32(growth), unused: 0)))
    return data.tiles(pixels)
  }

  // MARK: The 1×1 convolution. The same.

  private mutating func pointwiseGradients(
    _ layer: CUDANetwork.Layer, of index: Int, _ chosen: Gradients, for question: Question
  ) -> Int {
    let (block, own) = (network.blocks[index], gradients.blocks[index])
    let (convolution, pixels) = (layer.convolution1, count * block.plan.area)
    let (inputs, outputs) = (convolution.inputLanes, convolution.outputLanes)
    let parameters = pointwise_gradients_parameters(
      d: places[gradients.gated], y: places[layer.bottleneck], y_affine: places[layer.normalization2.affine],
      debts: places[gradients.debts.debts], weight: places[convolution.packed], x: places[block.map],
      affine: places[layer.normalization1.affine], moments: moments(block.moments),
      gradient: places[own.gradient], partial: places[gradients.partial], sums: sums, pixels: Int32(pixels),
      channels: Int32(inputs), outputs: Int32(outputs), x_stride: Int32(block.lanes), g_stride: Int32(block.lanes),
      unused: 0)
    func launch(_ parameters: some BitwiseCopyable, _ tensors: [CUDATensor] = []) -> CUDALaunch {
      CUDALaunch(
        chosen.weights, "gradients of \(convolution.name)",
        "\(convolution.inputChannels)→\(convolution.outputChannels), \(pixels) pixels in \(chosen.parts) parts",
        grid: chosen.grid,
        // The gradient behind the gate and the bottleneck; what was concatenated, and G twice.
        cost: cost(convolution, pixels: pixels, values: pixels * (2 * outputs + 3 * inputs), gradients: 2),
        for: question, tensors: tensors, parameters)
    }
    guard chosen.weights.copiesInBulk else {
      launches.append(launch(parameters))
      return chosen.parts
    }
    func map(_ address: UInt64, _ columns: Int, stride: Int) -> CUDATensor {
      CUDATensor(address, rows: pixels, columns: columns, stride: stride, box: (chosen.weights.tile, 64))
    }
    var bulk = pointwise_gradients_bulk_parameters()
    bulk.given = parameters
    launches.append(
      launch(
        bulk,
        [
          map(parameters.d, outputs, stride: outputs), map(parameters.y, outputs, stride: outputs),
          map(parameters.x, inputs, stride: block.lanes), map(parameters.gradient, inputs, stride: block.lanes),
          CUDATensor(parameters.weight, rows: inputs, columns: outputs, box: (128, 64)),
        ]))
    return chosen.parts
  }

  /// From `dy`, which is resolved: into G behind a gate, or where there is no gate as it is into `y`.
  @discardableResult
  mutating func pointwiseApart(
    _ convolution: CUDANetwork.Convolution, _ chosen: Gradients, dy: CUDANetwork.Buffer, x: CUDANetwork.Buffer,
    stride: Int, affine: CUDANetwork.Buffer?, moments: CUDANetwork.Buffer?, gradient: CUDANetwork.Buffer?,
    y: CUDANetwork.Buffer?, pixels: Int, for question: Question
  ) -> Int {
    guard let data = chosen.data else { preconditionFailure("one kernel for both takes what is not resolved") }
    let affine = affine.map { places[$0] } ?? 0
    launches.append(
      CUDALaunch(
        chosen.weights, "weight gradient of \(convolution.name)",
        "\(convolution.inputChannels)→\(convolution.outputChannels), \(pixels) pixels in \(chosen.parts) parts",
        grid: chosen.grid,
        cost: cost(
          convolution, pixels: pixels, values: pixels * (convolution.inputLanes + convolution.outputLanes)),
        for: question,
        pointwise_weight_gradient_parameters(
          dy: places[dy], x: places[x], affine: affine, partial: places[gradients.partial], pixels: Int32(pixels),
          channels: Int32(convolution.inputLanes), outputs: Int32(convolution.outputLanes), x_stride: Int32(stride))))
    launches.append(
      CUDALaunch(
        data, "data gradient of \(convolution.name)",
        "\(convolution.outputChannels)→\(convolution.inputChannels), \(pixels) pixels",
        grid: (data.tiles(pixels), (convolution.inputLanes + 127) / 128, 1),
        // Behind a gate: x, and G twice.
        cost: cost(
          convolution, pixels: pixels,
          values: pixels * (convolution.outputLanes + (affine == 0 ? 1 : 3) * convolution.inputLanes)), for: question,
        pointwise_data_gradient_parameters(
          dy: places[dy], weight: places[convolution.packed], x: places[x], affine: affine,
          moments: self.moments(moments), gradient: gradient.map { places[$0] } ?? 0, y: y.map { places[$0] } ?? 0,
          sums: sums, pixels: Int32(pixels), channels: Int32(convolution.inputLanes),
          outputs: Int32(convolution.outputLanes), x_stride: Int32(stride), g_stride: Int32(stride), accumulates: 1)))
    return data.tiles(pixels)
  }
}
