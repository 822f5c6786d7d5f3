import Platform

/// Where the maps of a training step lie: one piece of memory, in which maps that are never needed at once share their places.
///
/// Steps count operations: the stem is 0, then come each block's layers and what follows the block (its transition, or the head). The
/// way back runs through them in reverse: operation k is step 2 · operations − 1 − k there.
struct TrainingMemory {
  struct Layer {
    /// The raw output of the first convolution, and on the way back: the same, or the place where it is made again.
    let bottleneck: SlabMap
    let bottleneckAgain: SlabMap
    let bottleneckGradient: SlabMap
  }

  struct Block {
    let layers: [Layer]
    let slabs: SlabMap
    /// What is known of the slabs' gradients but for the debts.
    let gradient: GradientMap
    /// Whether bottlenecks are forgotten on the way forward and made again on the way back.
    let isRecomputed: Bool
  }

  /// With their borders, interleaved.
  let images: Activations
  /// Behind the stem's convolution.
  let convolved: SlabMap
  let convolvedGradient: SlabMap
  let blocks: [Block]
  private let memory: HugeMemory

  /// Of all maps.
  var bytes: Int { memory.bytes }

  /// For batches of `count` images. `isEfficient`: as little memory as making bottlenecks again can save.
  init(_ plan: CPUPlan, images count: Int, _ precision: Precision, isEfficient: Bool) {
    let requests =
      isEfficient
      ? Self.smallest((0...plan.blocks.count).map { Requests(plan, images: count, precision, recomputedBlocks: $0) })
      : Requests(plan, images: count, precision, recomputedBlocks: 0)
    let layout = requests.plan.layout()
    let memory = HugeMemory(bytes: layout.size)
    self.memory = memory
    func map(_ buffer: MemoryPlan.Buffer, _ area: Int) -> SlabMap {
      SlabMap(base: memory.base + layout[buffer], pixels: count * area, precision: precision)
    }
    images = Activations(base: memory.base + layout[requests.images], precision: precision)
    convolved = map(requests.convolved, plan.stem.convolved.area)
    convolvedGradient = map(requests.convolvedGradient, plan.stem.convolved.area)
    blocks = zip(plan.blocks, requests.blocks).map { block, requests in
      Block(
        layers: requests.layers.map {
          Layer(
            bottleneck: map($0.bottleneck, block.area), bottleneckAgain: map($0.bottleneckAgain, block.area),
            bottleneckGradient: map($0.bottleneckGradient, block.area))
        }, slabs: map(requests.slabs, block.area),
        gradient: GradientMap(
          base: (memory.base + layout[requests.gradient]).assumingMemoryBound(to: Float.self),
          pixels: count * block.area),
        isRecomputed: requests.isRecomputed)
    }
  }

  /// Bytes of all maps, for batches of `count` images.
  static func size(_ plan: CPUPlan, images count: Int, _ precision: Precision, recomputedBlocks: Int) -> Int {
    Requests(plan, images: count, precision, recomputedBlocks: recomputedBlocks).plan.layout().size
  }

  /// The first that is no more than 2 % larger than the smallest: making more bottlenecks again costs time and saves nothing.
  private static func smallest(_ candidates: [Requests]) -> Requests {
    let sizes = candidates.map { $0.plan.layout().size }
    let least = sizes.min() ?? 0
    let index = sizes.firstIndex { $0 * 50 <= least * 51 } ?? 0
    return candidates[index]
  }

  /// The buffers and their lives, with the bottlenecks of the first `recomputedBlocks` blocks made again.
  private struct Requests {
    struct Layer {
      let bottleneck: MemoryPlan.Buffer
      let bottleneckAgain: MemoryPlan.Buffer
      let bottleneckGradient: MemoryPlan.Buffer
    }

    struct Block {
      let layers: [Layer]
      let slabs: MemoryPlan.Buffer
      let gradient: MemoryPlan.Buffer
      let isRecomputed: Bool
    }

    let plan: MemoryPlan
    let images: MemoryPlan.Buffer
    let convolved: MemoryPlan.Buffer
    let convolvedGradient: MemoryPlan.Buffer
    let blocks: [Block]

    init(_ network: CPUPlan, images count: Int, _ precision: Precision, recomputedBlocks: Int) {
      let size = precision.size
      let operations = 1 + network.blocks.reduce(0) { $0 + $1.layers.count + 1 }
      let last = 2 * operations - 1
      func back(_ operation: Int) -> Int { last - operation }
      var plan = MemoryPlan()
      let stem = network.stem.convolved.area * ChannelSlabs(network.stem.convolved.channels).lanes
      images = plan.add(count * network.paddedImageSize * size, during: 0...last)
      convolved = plan.add(count * stem * size, during: 0...last)
      convolvedGradient = plan.add(count * stem * size, during: last...last)
      // The operation that makes a block's first slabs.
      var producer = 0
      var blocks: [Block] = []
      for (index, block) in network.blocks.enumerated() {
        let isRecomputed = index < recomputedBlocks
        let reader = producer + block.layers.count + 1
        let bottleneck = count * block.area * block.bottleneck.lanes * size
        let layers = block.layers.indices.map { layer in
          let operation = producer + 1 + layer
          let way = back(operation)
          let forward = plan.add(bottleneck, during: operation...(isRecomputed ? operation : way))
          return Layer(
            bottleneck: forward, bottleneckAgain: isRecomputed ? plan.add(bottleneck, during: way...way) : forward,
            bottleneckGradient: plan.add(bottleneck, during: way...way))
        }
        let slabs = count * block.area * block.slabs.lanes
        blocks.append(
          Block(
            layers: layers, slabs: plan.add(slabs * size, during: producer...back(producer)),
            gradient: plan.add(slabs * MemoryLayout<Float>.size, during: back(reader)...back(producer)),
            isRecomputed: isRecomputed))
        producer = reader
      }
      self.blocks = blocks
      self.plan = plan
    }
  }
}
