import CCUDAKernels
import Engine

/// Asks for places while the network is walked.
struct Places {
  /// Bytes: what the driver aligns memory to, and a gap between two places.
  var plan = MemoryPlan(line: 256)
  var contents: [(name: String, buffer: MemoryPlan.Buffer)] = []
  let isTraining: Bool
  let keepsAll: Bool
  let blockCount: Int

  init(isTraining: Bool, keepsAll: Bool, blockCount: Int) {
    (self.isTraining, self.keepsAll, self.blockCount) = (isTraining, keepsAll, blockCount)
  }

  // MARK: Steps

  /// In which weights are folded and packed, before any pass.
  static let load = -1
  /// Of the head. Step 0 is the stem's convolution, 1 its pool and the first block, 2 a transition, and so on.
  var head: Int { 2 * blockCount }
  /// On the way back: of the head.
  var headBack: Int { head + 1 }
  /// Of a block and of what follows it. Block −1 is the stem.
  func back(_ block: Int) -> Int { headBack + blockCount - block }
  var last: Int { isTraining ? back(-1) : head }

  // MARK: Places

  /// `back`: the last step on the way back that reads it.
  mutating func map(
    _ name: String, _ bytes: Int, during life: ClosedRange<Int>, back: Int? = nil
  ) -> MemoryPlan.Buffer {
    let end = isTraining ? back ?? life.upperBound : life.upperBound
    let buffer = plan.add(bytes, during: keepsAll ? Self.load...last : life.lowerBound...end)
    contents.append((name, buffer))
    return buffer
  }

  mutating func always(_ name: String, _ bytes: Int) -> MemoryPlan.Buffer { map(name, bytes, during: Self.load...last) }

  mutating func moments(_ name: String, _ lanes: Int) -> MemoryPlan.Buffer? {
    isTraining ? always(name + " moments", lanes * MemoryLayout<batch_moments>.stride) : nil
  }

  // MARK: Parts of a network

  /// Block `index`: written from step 2·index (the transition before it, or the first pool in its own step 1) on, and read until what follows it, in
  /// step 2·index + 2, and on the way back until what comes before it.
  mutating func block(_ index: Int, of fused: FusedPlan, batch: Int, _ size: Int) -> CUDANetwork.Block {
    let (block, own, name) = (fused.blocks[index], 1 + 2 * index, "denseblock\(index + 1)")
    let map = channel_map.of(block)
    let bottleneckBytes = batch * block.area * block.bottleneck.lanes * size
    // Inference needs one at a time; training each again.
    let shared = isTraining ? nil : self.map(name + " bottleneck", bottleneckBytes, during: own...own)
    var layers: [CUDANetwork.Layer] = []
    for (number, layer) in block.layers.enumerated() {
      let prefix = name + ".denselayer\(number + 1)"
      let lanes = block.inputSlabs(of: number) * ChannelSlabs.lanes
      let (channels, bottleneck) = (layer.input.channels, layer.bottleneck.channels)
      layers.append(
        CUDANetwork.Layer(
          normalization1: normalization(
            prefix + ".norm1", layer.normalization1, map, channels: channels, lanes: lanes),
          convolution1: convolution(
            prefix + ".conv1", layer.convolution1, from: map, channels, lanes: lanes, to: bottleneck, taps: 1,
            packedTaps: 1, size),
          normalization2: normalization(
            prefix + ".norm2", layer.normalization2, .plain(bottleneck), channels: bottleneck,
            lanes: block.bottleneck.lanes, isFolded: true),
          convolution2: convolution(
            prefix + ".conv2", layer.convolution2, from: .plain(bottleneck), bottleneck,
            lanes: block.bottleneck.lanes, to: layer.output.channels - channels, taps: 9, packedTaps: 9, size),
          bottleneck: shared
            ?? self.map(prefix + " bottleneck", bottleneckBytes, during: own...own, back: back(index)),
          moments: moments(prefix + " bottleneck", block.bottleneck.lanes)))
    }
    let transition = block.transition.map { transition in
      let prefix = "transition\(index + 1)"
      return CUDANetwork.Transition(
        normalization: normalization(
          prefix + ".norm", transition.normalization, map, channels: transition.input.channels,
          lanes: block.slabs.lanes),
        convolution: convolution(
          prefix + ".conv", transition.convolution, from: map, transition.input.channels, lanes: block.slabs.lanes,
          to: transition.output.channels, taps: 1, packedTaps: 1, size),
        pooled: self.map(
          prefix + " pooled", batch * transition.output.area * block.slabs.lanes * size, during: own + 1...own + 1,
          back: back(index)))
    }
    return CUDANetwork.Block(
      plan: block,
      map: self.map(
        name, batch * block.area * block.slabs.lanes * size, during: (index == 0 ? own : own - 1)...own + 1,
        back: back(index - 1)),
      moments: moments(name, block.slabs.lanes), layers: layers, transition: transition)
  }

  mutating func normalization(
    _ name: String, _ parameters: NormalizationParameters, _ map: channel_map, channels: Int, lanes: Int,
    isFolded: Bool = false
  ) -> CUDANetwork.Normalization {
    CUDANetwork.Normalization(
      name: name, parameters: parameters, map: map, channels: channels, lanes: lanes,
      affine: always(name, lanes * MemoryLayout<affine_pair>.stride),
      bias: isFolded && !isTraining ? always(name + " bias", lanes * MemoryLayout<Float>.stride) : nil)
  }

  mutating func convolution(
    _ name: String, _ parameters: ConvolutionParameters, from inputs: channel_map, _ inputChannels: Int, lanes: Int,
    to outputChannels: Int, taps: Int, packedTaps: Int, _ size: Int
  ) -> CUDANetwork.Convolution {
    let outputLanes = ChannelSlabs(outputChannels).lanes
    return CUDANetwork.Convolution(
      name: name, weight: parameters.weight, inputs: inputs, outputs: .plain(outputChannels),
      inputChannels: inputChannels, outputChannels: outputChannels, inputLanes: lanes, outputLanes: outputLanes,
      taps: taps, packed: always(name + " weights", packedTaps * lanes * outputLanes * size))
  }
}

extension channel_map {
  /// Of channels that one producer makes.
  static func plain(_ channels: Int) -> channel_map {
    channel_map(
      first: Int32(channels), first_lanes: Int32(ChannelSlabs(channels).lanes), growth: 0,
      growth_lanes: Int32(ChannelSlabs.lanes))
  }

  /// Of all channels of a block: those that enter it, then each layer's.
  static func of(_ block: FusedPlan.Block) -> channel_map {
    let growth = block.layers.first.map { $0.output.channels - $0.input.channels } ?? 0
    return channel_map(
      first: Int32(block.layers.first?.input.channels ?? 0),
      first_lanes: Int32(block.inputSlabs * ChannelSlabs.lanes), growth: Int32(growth),
      growth_lanes: Int32(block.growth.lanes))
  }
}
