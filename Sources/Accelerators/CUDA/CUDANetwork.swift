import CCUDAKernels
import Engine

/// A network as the kernels see it: what is computed from what, and where each number lies in the one piece of memory that a session has on
/// its device.
///
/// Maps are NHWC, a block is one map, channels lie in slabs of 32 lanes (`ChannelSlabs`), of which those without a channel are zero. Two maps have the
/// same place where their lives do not overlap; training needs most of them until its way back.
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

    /// Of its packed weights, and of a part of their gradient. The stem's taps are counted with its input lanes.
    var elements: Int { (taps == 49 ? 1 : taps) * inputLanes * outputLanes }
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
  let choice: CUDAKernelChoice
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
  /// pack_convolution_parameters, one of each of `convolutions`.
  let packing: Buffer
  /// `[N]` image_window.
  let windows: Buffer
  /// `[channels][256]` Float.
  let table: Buffer
  /// `[tiles][lanes]` tile_sums of whatever is being computed; nil in inference.
  let sums: Buffer?
  /// What the way back needs; nil in inference.
  let gradients: CUDAGradients?
  let memory: MemoryPlan.Layout
  /// What lies in each place.
  let contents: [(name: String, buffer: Buffer)]

  var isTraining: Bool { plan.mode == .training }

  /// All but the stem's, and the batch norms behind them that they can take in, where there are.
  var convolutions: [(Convolution, foldedInto: Normalization?)] { Self.convolutions(of: blocks) }

  private static func convolutions(of blocks: [Block]) -> [(Convolution, foldedInto: Normalization?)] {
    blocks.flatMap { block in
      block.layers.flatMap { [($0.convolution1, $0.normalization2), ($0.convolution2, nil)] }
        + (block.transition.map { [($0.convolution, nil)] } ?? [])
    }
  }

  /// Pixels of the smallest tile that any kernel has.
  private static let smallestTile = 32

  /// `batch`: of the plan, or another, to ask how much memory that would take. `sharesPlaces`: whether two maps may lie in one
  /// place; otherwise whoever watches memory can tell them apart.
  ///
  init(_ plan: Plan, _ precision: Precision, batch: Int, sharesPlaces: Bool = true, by choice: CUDAKernelChoice) {
    let fused = FusedPlan(plan)
    let isTraining = plan.mode == .training
    var places = Places(isTraining: isTraining, keepsAll: !sharesPlaces, blockCount: fused.blocks.count)
    let size = precision.size
    (self.plan, self.precision, self.choice, self.batch) = (plan, precision, choice, batch)
    (stem, head) = (fused.stem, fused.head)

    let stemSlabs = ChannelSlabs(stem.convolved.channels)
    stemNormalization = places.normalization(
      "norm0", stem.normalization, .plain(stem.convolved.channels), channels: stem.convolved.channels,
      lanes: stemSlabs.lanes, isFolded: true)
    stemConvolution = places.convolution(
      "conv0", stem.convolution, from: .plain(stem.image.channels), stem.image.channels,
      lanes: 64 * stem.image.channels,
      to: stem.convolved.channels, taps: 49, packedTaps: 1, size)
    convolved = places.map(
      "conv0", batch * stem.convolved.area * stemSlabs.lanes * size, during: 0...1, back: places.back(-1))
    stemMoments = places.moments("conv0", stemSlabs.lanes)

    blocks = fused.blocks.indices.map { places.block($0, of: fused, batch: batch, size) }
    guard let last = blocks.last else { preconditionFailure("a network has a block") }
    headNormalization = places.normalization(
      "norm5", head.normalization, .of(last.plan), channels: head.input.channels, lanes: last.lanes)
    let end = places.head
    mean = places.map("mean", batch * last.lanes * 4, during: end...end, back: places.headBack)
    features = places.map("features", batch * head.input.count * 4, during: end...end)
    logits = places.map("logits", batch * head.classCount * 4, during: end...end, back: places.last)
    // Behind the statistics there is place for how many processes they are of.
    parameters = places.map(
      "parameters", plan.layout.count * 4 + (isTraining ? 4 : 0), during: Places.load...Places.load, back: places.last)
    classifier = places.always("classifier", plan.layout.classifier.count * 4)
    packing = places.always(
      "packing", Self.convolutions(of: blocks).count * MemoryLayout<pack_convolution_parameters>.stride)
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
      ? places.map(
        "sums", max(mostSums, stemTiles * stemSlabs.lanes) * MemoryLayout<tile_sums>.stride, during: 0...end) : nil
    gradients =
      isTraining
      ? CUDAGradients(
        CUDAGradients.Forward(
          plan: plan, precision: precision, batch: batch, stem: stem, stemConvolution: stemConvolution,
          blocks: blocks), &places, choice) : nil
    memory = places.plan.layout()
    contents = places.contents
  }
}

extension CUDANetwork {
  /// The memory for all of it. Throws `outOfMemory` with the largest batch that there would be memory for.
  func allocate(on device: CUDADevice) throws(BackendError) -> CUDAMemory {
    if let memory = try CUDAMemory.allocate(memory.size, on: device) { return memory }
    let (free, total) = try device.memory()
    var (fitting, tooLarge) = (0, batch)
    while tooLarge - fitting > 1 {
      let middle = (fitting + tooLarge) / 2
      let other = CUDANetwork(plan, precision, batch: middle, by: choice)
      if other.memory.size <= free { fitting = middle } else { tooLarge = middle }
    }
    throw .device(
      .outOfMemory(
        device: device.title, wanted: memory.size, free: free, total: total, batch: batch, fitting: fitting))
  }
}
