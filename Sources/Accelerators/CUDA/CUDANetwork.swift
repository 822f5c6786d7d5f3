import CCUDAKernels
import Engine

/// A network as the kernels see it: what is computed from what, and where each number lies in the one piece of memory that a session has on
/// its device.
///
/// Maps are NHWC, a block is one map, channels lie in slabs of 32 lanes (`ChannelSlabs`), of which those without a channel are zero. Inference gives
/// two maps the same place where their lives do not overlap; training keeps them all.
struct CUDANetwork {
  typealias Buffer = MemoryPlan.Buffer

  struct Normalization {
    let name: String
    let parameters: NormalizationParameters
    let map: channel_map
    let channels: Int
    let lanes: Int
    /// `[lanes]` affine_pair.
    let affine: Buffer
    /// `[lanes]` Float: the shifts alone, where the batch norm is folded into the convolution before it.
    let bias: Buffer?
  }

  struct Convolution {
    let name: String
    let weight: Range<Int>
    let inputs: channel_map
    let outputs: channel_map
    let inputChannels: Int
    let outputChannels: Int
    let inputLanes: Int
    let outputLanes: Int
    /// 1, 9, or 49 for the stem.
    let taps: Int
    /// Of A, as its kernel reads it.
    let packed: Buffer

    var multiplyAddsPerPixel: Double { Double(taps * inputChannels * outputChannels) }
  }

  struct Layer {
    let normalization1: Normalization
    let convolution1: Convolution
    let normalization2: Normalization
    let convolution2: Convolution
    /// `[N·H·W][lanes]` of A.
    let bottleneck: Buffer
    /// `[lanes]` batch_moments of the bottleneck; nil in inference.
    let moments: Buffer?
  }

  struct Transition {
    let normalization: Normalization
    let convolution: Convolution
    /// `[N·H/2·W/2][lanes]` of A: the input's mean over 2×2 pixels.
    let pooled: Buffer
  }

  struct Block {
    let plan: FusedPlan.Block
    /// `[N·H·W][lanes]` of A.
    let map: Buffer
    /// `[lanes]` batch_moments; nil in inference.
    let moments: Buffer?
    let layers: [Layer]
    let transition: Transition?

    var lanes: Int { plan.slabs.lanes }
  }

  let plan: Plan
  let precision: Precision
  let batch: Int
  let stem: Stem
  let stemNormalization: Normalization
  let stemConvolution: Convolution
  /// `[N·H·W][lanes]` of A.
  let convolved: Buffer
  let stemMoments: Buffer?
  let blocks: [Block]
  let head: Head
  let headNormalization: Normalization
  /// `[N][lanes]`, `[N][C][H][W]` and `[N][L]` of Float.
  let mean: Buffer
  let features: Buffer
  let logits: Buffer
  /// The layout's values in Float: of an inference only while its weights are folded.
  let parameters: Buffer
  /// Those of the classifier, `[L][C]` and `[L]`, which inference needs longer.
  let classifier: Buffer
  /// `[N]` image_window.
  let windows: Buffer
  /// `[channels][256]` Float.
  let table: Buffer
  /// `[tiles][lanes]` tile_sums of whatever is being computed; nil in inference.
  let sums: Buffer?
  let memory: MemoryPlan.Layout
  /// What lies in each place.
  let contents: [(name: String, buffer: Buffer)]

  var isTraining: Bool { plan.mode == .training }

  /// Pixels of the smallest tile that any kernel has.
  private static let smallestTile = 32

  /// `batch`: of the plan, or another, to ask how much memory that would take. `sharesPlaces`: whether two maps of an inference may lie in one
  /// place; otherwise whoever watches memory can tell them apart.
  init(_ plan: Plan, _ precision: Precision, batch: Int, sharesPlaces: Bool = true) {
    let fused = FusedPlan(plan)
    let isTraining = plan.mode == .training
    var places = Places(
      isTraining: isTraining, keepsAll: isTraining || !sharesPlaces, last: 2 * fused.blocks.count)
    let architecture = plan.architecture
    let size = precision.size
    (self.plan, self.precision, self.batch, stem, head) = (plan, precision, batch, fused.stem, fused.head)

    let stemSlabs = ChannelSlabs(stem.convolved.channels)
    stemNormalization = places.normalization(
      "norm0", stem.normalization, .plain(stem.convolved.channels), channels: stem.convolved.channels,
      lanes: stemSlabs.lanes, isFolded: true)
    stemConvolution = places.convolution(
      "conv0", stem.convolution, from: .plain(stem.image.channels), stem.image.channels,
      lanes: 64 * stem.image.channels,
      to: stem.convolved.channels, taps: 49, packedTaps: 1, size)
    convolved = places.map("conv0", batch * stem.convolved.area * stemSlabs.lanes * size, during: 0...1)
    stemMoments = places.moments("conv0", stemSlabs.lanes)

    var blocks: [Block] = []
    for (index, block) in fused.blocks.enumerated() {
      // Step 0 is the stem's convolution; block i is written from step 1 + 2i − 1 on, and read until what follows it, in step 2 + 2i.
      let own = 1 + 2 * index
      let input = block.layers.first?.input.channels ?? 0
      let growth = architecture.growthRate
      let name = "denseblock\(index + 1)"
      func map(_ layers: Int) -> channel_map {
        channel_map(
          first: Int32(input), first_lanes: Int32(block.inputSlabs * ChannelSlabs.lanes), growth: Int32(growth),
          growth_lanes: Int32(block.growth.lanes))
      }
      let bottleneckLanes = block.bottleneck.lanes
      func bottleneck(_ name: String) -> Buffer {
        places.map(name + " bottleneck", batch * block.area * bottleneckLanes * size, during: own...own)
      }
      let shared = isTraining ? nil : bottleneck(name)
      let layers = block.layers.enumerated().map { number, layer in
        let prefix = name + ".denselayer\(number + 1)"
        let (lanes, channels) = (block.inputSlabs(of: number) * ChannelSlabs.lanes, layer.input.channels)
        return Layer(
          normalization1: places.normalization(
            prefix + ".norm1", layer.normalization1, map(number), channels: channels, lanes: lanes),
          convolution1: places.convolution(
            prefix + ".conv1", layer.convolution1, from: map(number), channels, lanes: lanes,
            to: layer.bottleneck.channels, taps: 1, packedTaps: 1, size),
          normalization2: places.normalization(
            prefix + ".norm2", layer.normalization2, .plain(layer.bottleneck.channels),
            channels: layer.bottleneck.channels, lanes: bottleneckLanes, isFolded: true),
          convolution2: places.convolution(
            prefix + ".conv2", layer.convolution2, from: .plain(layer.bottleneck.channels), layer.bottleneck.channels,
            lanes: bottleneckLanes, to: growth, taps: 9, packedTaps: 9, size),
          bottleneck: shared ?? bottleneck(prefix),
          moments: places.moments(prefix + " bottleneck", bottleneckLanes))
      }
      let transition = block.transition.map { transition in
        Transition(
          normalization: places.normalization(
            "transition\(index + 1).norm", transition.normalization, map(block.layers.count),
            channels: transition.input.channels, lanes: block.slabs.lanes),
          convolution: places.convolution(
            "transition\(index + 1).conv", transition.convolution, from: map(block.layers.count),
            transition.input.channels, lanes: block.slabs.lanes, to: transition.output.channels, taps: 1,
            packedTaps: 1, size),
          pooled: places.map(
            "transition\(index + 1) pooled", batch * transition.output.area * block.slabs.lanes * size,
            during: own + 1...own + 1))
      }
      blocks.append(
        Block(
          plan: block,
          map: places.map(
            name, batch * block.area * block.slabs.lanes * size, during: (index == 0 ? own : own - 1)...own + 1),
          moments: places.moments(name, block.slabs.lanes), layers: layers, transition: transition))
    }
    self.blocks = blocks
    guard let last = blocks.last else { preconditionFailure("a network has a block") }
    headNormalization = places.normalization(
      "norm5", head.normalization,
      channel_map(
        first: Int32(last.plan.layers.first?.input.channels ?? 0),
        first_lanes: Int32(last.plan.inputSlabs * ChannelSlabs.lanes), growth: Int32(architecture.growthRate),
        growth_lanes: Int32(last.plan.growth.lanes)), channels: head.input.channels, lanes: last.lanes)
    let end = 2 * blocks.count
    mean = places.map("mean", batch * last.lanes * 4, during: end...end)
    features = places.map("features", batch * head.input.count * 4, during: end...end)
    logits = places.map("logits", batch * head.classCount * 4, during: end...end)
    parameters = places.map("parameters", plan.layout.count * 4, during: Places.load...Places.load)
    classifier = places.always("classifier", plan.layout.classifier.count * 4)
    windows = places.always("windows", batch * MemoryLayout<image_window>.stride)
    table = places.always("table", stem.image.channels * 256 * 4)
    let stemTiles = batch * ((stem.convolved.width + 15) / 16) * ((stem.convolved.height + 7) / 8)
    let mostSums =
      blocks.map { block in
        let tiles = (batch * block.plan.area + Self.smallestTile - 1) / Self.smallestTile
        return tiles * max(block.plan.bottleneck.lanes, block.lanes)
      }.max() ?? 0
    sums =
      isTraining
      ? places.always("sums", max(mostSums, stemTiles * stemSlabs.lanes) * MemoryLayout<tile_sums>.stride) : nil
    memory = places.plan.layout()
    contents = places.contents
  }
}

extension channel_map {
  /// Of channels that one producer makes.
  static func plain(_ channels: Int) -> channel_map {
    channel_map(
      first: Int32(channels), first_lanes: Int32(ChannelSlabs(channels).lanes), growth: 0,
      growth_lanes: Int32(ChannelSlabs.lanes))
  }
}

/// Asks for places while the network is walked.
private struct Places {
  /// Bytes: what the driver aligns memory to, and a gap between two places.
  var plan = MemoryPlan(line: 256)
  var contents: [(name: String, buffer: MemoryPlan.Buffer)] = []
  let isTraining: Bool
  let keepsAll: Bool
  let last: Int

  init(isTraining: Bool, keepsAll: Bool, last: Int) {
    (self.isTraining, self.keepsAll, self.last) = (isTraining, keepsAll, last)
  }

  /// The step in which weights are folded and packed, before any pass.
  static let load = -1

  mutating func map(_ name: String, _ bytes: Int, during life: ClosedRange<Int>) -> MemoryPlan.Buffer {
    let buffer = plan.add(bytes, during: keepsAll ? Self.load...last : life)
    contents.append((name, buffer))
    return buffer
  }

  mutating func always(_ name: String, _ bytes: Int) -> MemoryPlan.Buffer { map(name, bytes, during: Self.load...last) }

  mutating func moments(_ name: String, _ lanes: Int) -> MemoryPlan.Buffer? {
    isTraining ? always(name + " moments", lanes * MemoryLayout<batch_moments>.stride) : nil
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
