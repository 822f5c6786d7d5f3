import CKernels
import Platform

/// Training in the fused engine: the network and its memory. `CPUTraining+Forward` and `CPUTraining+Backward` have the two ways,
/// `CPUTraining+Step` the optimizer.
///
/// What a forward pass keeps are the raw outputs of the convolutions: the normalised and rectified ones are made again, tile by tile, when
/// the way back needs them. Images are shared out between the threads; sums over images follow an order that the batch alone
/// decides (`ImageSums`, and weight gradients over min(N, 4) groups of images), so the bits do not depend on the threads.
final class CPUTraining {
  struct Convolution<Packing: ConvolutionPacking> {
    let packing: Packing
    /// Of the flat buffer.
    let weight: Range<Int>
  }

  struct Layer {
    let normalization1: TrainingNormalization
    let convolution1: Convolution<WeightPacking>
    let normalization2: TrainingNormalization
    let convolution2: Convolution<WinogradPacking>
    let maps: TrainingMemory.Layer
    /// Of the bottleneck.
    let statistics: BatchStatistics
  }

  struct Block {
    let plan: CPUPlan.Block
    let layers: [Layer]
    let maps: TrainingMemory.Block
    let statistics: BatchStatistics
    /// The batch norm of the transition behind the block, or of the head.
    let normalization: TrainingNormalization
    /// Of the transition.
    let convolution: Convolution<WeightPacking>?
    /// Slabs of a pointwise tile, `tilePixels` apart.
    let tileSegments: UnsafePointer<Int>
    let tilePixels: Int

    var slabs: SlabMap { maps.slabs }
    var gradient: GradientMap { maps.gradient }
  }

  /// What one thread works in.
  struct Scratch {
    /// Activations of a tile.
    let tile: Activations
    /// Gradients of a tile.
    let gradient: Activations
    /// The same in the order that the weight gradient takes; for floats, the same place.
    let paired: Activations
    /// Numbers of a slab of a tile, or of a pixel of all slabs.
    let floats: UnsafeMutablePointer<Float>
    /// A chunk of a bottleneck, transformed, with room for what its gradient is made of in float.
    let bottleneck: Activations
    /// A chunk of the gradients of a layer's new slabs, transformed, with room for what the slabs are made of in float.
    let growth: Activations
    let sums: ImageSums.Tile

    var bottleneckProducts: UnsafeMutablePointer<Float> { bottleneck.base.assumingMemoryBound(to: Float.self) }
    var growthProducts: UnsafeMutablePointer<Float> { growth.base.assumingMemoryBound(to: Float.self) }
  }

  let plan: Plan
  let fused: CPUPlan
  let kernels: ck_kernels
  let team: WorkerTeam
  let winograd: Winograd
  let arena = Arena()
  let memory: TrainingMemory

  /// The flat buffer, and of its trained part the gradients and the optimizer's moments.
  let values: UnsafeMutablePointer<Float>
  let gradients: UnsafeMutablePointer<Float>
  let first: UnsafeMutablePointer<Float>
  let second: UnsafeMutablePointer<Float>
  /// Whose images together are a batch to batch norm.
  var collective: any Collective = SoleRank()
  /// How many those are, of the batch that was run forward last.
  var batchCount = 0
  /// Steps taken: the features', and the classifier's.
  var steps = 0
  var classifierSteps = 0

  let stemSlabs: ChannelSlabs
  let stemPacking: StemPacking
  let stemRows: UnsafePointer<Int>
  let stemNormalization: TrainingNormalization
  let stemStatistics: BatchStatistics
  let blocks: [Block]
  let sums: ImageSums
  /// The weights of the convolution at hand.
  let packed: Activations
  /// Blocks of weight gradients of up to four groups.
  let weightGradients: UnsafeMutablePointer<Float>
  let scratch: [Scratch]
  /// `[N, C]`.
  var pooled: [Float] = []

  static let mostGroups = 4

  /// `isMemoryEfficient`: bottlenecks are made again on the way back wherever that makes the whole smaller (as torchvision's
  /// `memory_efficient`; the bits are the same).
  init(_ plan: Plan, kernels: ck_kernels, _ precision: Precision, team: WorkerTeam, isMemoryEfficient: Bool) {
    let fused = CPUPlan(plan, precision)
    let (arena, stem, n) = (arena, fused.stem, plan.batchSize)
    let memory = TrainingMemory(fused, images: n, precision, isEfficient: isMemoryEfficient)
    self.plan = plan
    self.fused = fused
    self.kernels = kernels
    self.team = team
    self.memory = memory
    winograd = Winograd(kernels: kernels)
    values = arena.floats(plan.layout.count)
    gradients = arena.floats(plan.layout.trainedCount)
    first = arena.floats(plan.layout.trainedCount)
    second = arena.floats(plan.layout.trainedCount)
    stemSlabs = ChannelSlabs(stem.convolved.channels)
    stemPacking = StemPacking(
      packing: kernels.packing, channels: stem.image.channels, outputs: stemSlabs, depth: fused.stemDepth)
    stemRows = arena.offsets((0..<7).map { $0 * fused.paddedImagePitch })
    stemNormalization = TrainingNormalization(stem.normalization, stemSlabs, arena)
    stemStatistics = BatchStatistics(lanes: stemSlabs.lanes, arena)
    let blocks = zip(fused.blocks, memory.blocks).map { block, maps in
      Self.block(block, maps, head: fused.head, kernels, arena)
    }
    self.blocks = blocks

    let bottleneck = fused.blocks[0].bottleneck
    let lanes = fused.blocks.map { $0.slabs.lanes }.reduce(max(stemSlabs.lanes, bottleneck.lanes), max)
    sums = ImageSums(lanes: lanes, images: n, arena)
    // The stem's weight gradient takes its depth in whole eights.
    let stemSize = stemSlabs.count * 7 * fused.weightGradientDepth * ChannelSlabs.lanes
    let largest = blocks.reduce(stemSize) { size, block in
      block.layers.reduce(max(size, block.convolution?.packing.size ?? 0)) {
        max($0, $1.convolution1.packing.size, $1.convolution2.packing.size)
      }
    }
    packed = arena.activations(largest, precision)
    weightGradients = arena.floats(largest * min(n, Self.mostGroups))
    let tile = Self.tileSize(fused)
    // A gradient's tile holds a map of pooled pixels, a stem's rows, a transition's output or a bottleneck's.
    let gradient = max(tile, max(stem.output.area, stemSlabs.count * Self.stemTile(fused)) * ChannelSlabs.lanes)
    let slab = max(lanes, fused.blocks.map { Self.tilePixels($0) * ChannelSlabs.lanes }.reduce(0, max))
    func chunk(_ slabs: Int) -> Activations {
      Activations(base: UnsafeMutableRawPointer(arena.floats(Winograd.chunkSize(slabs: slabs))), precision: precision)
    }
    scratch = (0..<team.threads).map { _ in
      let gradient = arena.activations(gradient, precision)
      return Scratch(
        tile: arena.activations(tile, precision), gradient: gradient,
        paired: precision == .fp32 ? gradient : arena.activations(tile, precision), floats: arena.floats(slab),
        bottleneck: chunk(bottleneck.count), growth: chunk(fused.blocks[0].growth.count),
        sums: ImageSums.Tile(lanes: lanes, arena))
    }
  }

  private static func block(
    _ block: CPUPlan.Block, _ maps: TrainingMemory.Block, head: Head, _ kernels: ck_kernels, _ arena: Arena
  ) -> Block {
    func convolution(
      _ inputSlabs: Int, _ outputs: ChannelSlabs, _ parameters: ConvolutionParameters
    ) -> Convolution<WeightPacking> {
      Convolution(
        packing: WeightPacking(
          packing: kernels.packing, inputs: block.slabs, inputSlabs: inputSlabs, outputs: outputs),
        weight: parameters.weight)
    }
    let layers = block.layers.enumerated().map { index, parameters in
      let inputs = block.inputSlabs(of: index)
      return Layer(
        normalization1: TrainingNormalization(parameters.normalization1, block.slabs, prefix: inputs, arena),
        convolution1: convolution(inputs, block.bottleneck, parameters.convolution1),
        normalization2: TrainingNormalization(parameters.normalization2, block.bottleneck, arena),
        convolution2: Convolution(
          packing: WinogradPacking(kernels: kernels, inputs: block.bottleneck, outputs: block.growth),
          weight: parameters.convolution2.weight),
        maps: maps.layers[index], statistics: BatchStatistics(lanes: block.bottleneck.lanes, arena))
    }
    let tilePixels = tilePixels(block)
    let slabs = max(block.slabs.count, block.bottleneck.count)
    return Block(
      plan: block, layers: layers, maps: maps, statistics: BatchStatistics(lanes: block.slabs.lanes, arena),
      normalization: TrainingNormalization(
        block.transition?.normalization ?? head.normalization, block.slabs, arena),
      convolution: block.transition.map {
        convolution(block.slabs.count, ChannelSlabs($0.output.channels), $0.convolution)
      },
      tileSegments: arena.offsets((0..<slabs).map { $0 * tilePixels * ChannelSlabs.lanes }), tilePixels: tilePixels)
  }

  /// Pixels from slab to slab of a tile: what a tile of one slab takes, and a whole row, which a transition wants; for pairs, even.
  private static func tilePixels(_ block: CPUPlan.Block) -> Int {
    (max(CPUPlan.tilePixels(slabs: 1), block.width) + 1) / 2 * 2
  }

  /// Values of a tile of all slabs, of the stem's rows, or of the rows of an image that they see, in pairs.
  private static func tileSize(_ fused: CPUPlan) -> Int {
    let blocks = fused.blocks.map { max($0.slabs.count, $0.bottleneck.count) * tilePixels($0) }
    let stem = stemBand(fused) * (fused.stem.convolved.width + 1)
    return max(
      blocks.reduce(stem, max) * ChannelSlabs.lanes, (2 * stemBand(fused) + 5) * 2 * stemRowPitch(fused))
  }

  /// Words from row to row of an image for the stem's weight gradient: some more than a row has, where it reads in pairs.
  private static func stemRowPitch(_ fused: CPUPlan) -> Int {
    fused.paddedImagePitch + (fused.precision == .fp32 ? 0 : 8)
  }

  /// Pixels of the stem's convolution in a tile.
  private static func stemTile(_ fused: CPUPlan) -> Int { stemBand(fused) * fused.stem.convolved.width }

  /// Rows of them.
  private static func stemBand(_ fused: CPUPlan) -> Int {
    CPUPlan.bandRows(width: fused.stem.convolved.width, slabs: 1)
  }

  var stemBand: Int { Self.stemBand(fused) }
  var stemRowPitch: Int { Self.stemRowPitch(fused) }
  var images: Activations { memory.images }
  var precision: Precision { fused.precision }
  var convolved: SlabMap { memory.convolved }
  var convolvedGradient: SlabMap { memory.convolvedGradient }

  // MARK: What both ways do

  /// Takes the statistics of `lanes` lanes from `first` on of the sums over `count` images of `area` pixels.
  func take(
    _ statistics: BatchStatistics, from first: Int = 0, lanes: Int, images count: Int, area: Int
  ) throws(BackendError) {
    let totals = sums.total(lanes: lanes, images: count)
    if collective.size == 1 { return statistics.take(totals, from: first, pixels: count * area) }
    try statistics.take(totals, from: first, pixels: batchCount * area, own: count * area, over: collective)
  }

  /// Takes the sums over `count` images of `area` pixels of what has come back to a batch norm.
  func takeGradients(
    _ normalization: TrainingNormalization, _ statistics: BatchStatistics, images count: Int, area: Int
  ) throws(BackendError) {
    let lanes = normalization.prefix * ChannelSlabs.lanes
    let totals = sums.total(lanes: lanes, images: count)
    var whole: (first: [Double], second: [Double])?
    if collective.size > 1 {
      let own = [totals.first, totals.second].map { UnsafeMutableBufferPointer(start: $0, count: lanes) }
      let sums = try collective.sum(own.flatMap(\.self))
      whole = (Array(sums[..<lanes]), Array(sums[lanes...]))
    }
    normalization.takeGradients(
      totals, whole: whole, statistics, pixels: batchCount * area, epsilon: plan.architecture.batchNormEpsilon,
      values: values, gradients: gradients)
  }

  /// Calls `body` for each image, from all threads, with the thread's scratch.
  func forEachImage(_ count: Int, _ body: (Int, Scratch) -> Void) {
    team.run { part in
      for image in Share(part: part, parts: team.threads).range(count) { body(image, scratch[part]) }
    }
  }

  /// Packs a convolution's weights for the way forward, all threads together, and returns them.
  func pack(_ convolution: Convolution<some ConvolutionPacking>) -> Activations {
    let weights = values + convolution.weight.lowerBound
    team.run { convolution.packing.pack(weights, into: packed, Share(part: $0, parts: team.threads)) }
    return packed
  }

  /// Packs a convolution's weights for the data gradient.
  func packTransposed(_ convolution: Convolution<some ConvolutionPacking>) -> Activations {
    let weights = values + convolution.weight.lowerBound
    team.run { convolution.packing.packTransposed(weights, into: packed, Share(part: $0, parts: team.threads)) }
    return packed
  }

  /// Calls `body` for each chunk of a map's Winograd tiles.
  func forEachChunk(_ block: Block, _ body: (inout ck_tiles) -> Void) {
    let (height, width) = (block.plan.height, block.plan.width)
    (0..<Winograd.tiles(height: height, width: width)).forEachBand(of: Winograd.chunk) { chunk in
      var tiles = ck_tiles(height: height, width: width, first: chunk.lowerBound, count: chunk.count)
      body(&tiles)
    }
  }

  /// Makes `scratch.bottleneck` of the activations that a 3×3 convolution sees: relu(norm2) of some slabs of a bottleneck.
  func transformBottleneck(
    _ block: Block, _ layer: Layer, _ map: SlabMap, image: Int, slabs: Range<Int>, _ tiles: inout ck_tiles,
    _ scratch: Scratch
  ) {
    for slab in slabs {
      let lane = slab * ChannelSlabs.lanes
      kernels.winograd.transform_normalized(
        scratch.bottleneck.at(slab * Winograd.slabPitch), Winograd.pitch(slabs: block.plan.bottleneck.count),
        map.at(slab, pixel: image * block.plan.area), layer.normalization2.scale + lane,
        layer.normalization2.shift + lane, &tiles)
    }
  }

  /// The mean of 2 × 2 rectified pixels of one slab, `rows` rows of them.
  func packPooled(
    _ block: Block, slab: Int, image: Int, rows: Range<Int>, width: Int, into tile: UnsafeMutableRawPointer
  ) {
    let lane = slab * ChannelSlabs.lanes
    kernels.packing.normalize_pooled(
      tile, block.slabs.at(slab, pixel: image * block.plan.area + 2 * rows.lowerBound * block.plan.width),
      block.normalization.scale + lane, block.normalization.shift + lane, rows.count, width, block.plan.width)
  }

  /// Rows of a transition's output in a tile that holds `slabs` slabs.
  func pooledRows(_ block: Block, width: Int, slabs: Int) -> Int {
    min(CPUPlan.bandRows(width: width, slabs: slabs), max(1, block.tilePixels / width))
  }

  /// What the head's features are at least: 0 behind a final ReLU.
  var floor: Float { fused.head.hasReLU ? 0 : -.infinity }
}
