/// The plan as the fused engine walks it: blocks of slabs with a stem in front, transitions between and a head behind.
struct CPUPlan {
  struct Block {
    let height: Int
    let width: Int
    /// All channels at the end of the block.
    let slabs: ChannelSlabs
    /// Slabs that enter it.
    let inputSlabs: Int
    /// What each layer adds.
    let growth: ChannelSlabs
    let bottleneck: ChannelSlabs
    let layers: [DenseLayer]
    /// What follows it, but for the last.
    let transition: Transition?

    var area: Int { height * width }
    /// Slabs that enter `layer`.
    func inputSlabs(of layer: Int) -> Int { inputSlabs + layer * growth.count }
  }

  let precision: Precision
  let stem: Stem
  let blocks: [Block]
  let head: Head

  init(_ plan: Plan, _ precision: Precision) {
    self.precision = precision
    var stems: [Stem] = []
    var heads: [Head] = []
    var transitions: [Transition] = []
    var layers = [[DenseLayer]](repeating: [], count: plan.architecture.blockSizes.count)
    for operation in plan.operations {
      switch operation {
      case .stem(let stem): stems.append(stem)
      case .denseLayer(let layer): layers[layer.block].append(layer)
      case .transition(let transition): transitions.append(transition)
      case .head(let head): heads.append(head)
      case .loss: break
      }
    }
    guard let stem = stems.first, let head = heads.first else { preconditionFailure("a plan has a stem and a head") }
    self.stem = stem
    self.head = head
    let growth = ChannelSlabs(plan.architecture.growthRate)
    let bottleneck = ChannelSlabs(plan.architecture.bottleneckFeatures)
    blocks = layers.indices.map { block in
      let input = block == 0 ? stem.output : transitions[block - 1].output
      var slabs = ChannelSlabs(input.channels)
      let inputSlabs = slabs.count
      for _ in layers[block] { slabs.append(plan.architecture.growthRate) }
      return Block(
        height: input.height, width: input.width, slabs: slabs, inputSlabs: inputSlabs, growth: growth,
        bottleneck: bottleneck, layers: layers[block],
        transition: block < transitions.count ? transitions[block] : nil)
    }
  }

  /// Values of an image with its border of 3, interleaved; some more, because the weight gradient reads depths in eights
  /// and pairs of pixels.
  var paddedImageSize: Int { (stem.image.height + 6) * paddedImagePitch + 8 + 2 * stem.image.channels }
  /// Values of a row of it.
  var paddedImagePitch: Int { (stem.image.width + 6) * stem.image.channels }
  /// Inputs that one row of the stem's kernel sees, in whole words.
  var stemDepth: Int {
    (7 * stem.image.channels + precision.valuesOfWord - 1) / precision.valuesOfWord * precision.valuesOfWord
  }
  /// The same in whole eights, as the weight gradient takes them.
  var weightGradientDepth: Int { (7 * stem.image.channels + 7) / 8 * 8 }

  /// Pixels of a tile where `slabs` slabs of it lie in the cache at once: 224, fewer where floats would not fit into some 400 KB.
  static func tilePixels(slabs: Int) -> Int {
    max(1, min(224, 400_000 / (slabs * ChannelSlabs.lanes * MemoryLayout<Float>.stride)))
  }

  /// The same in whole rows of a map of `width`, at least one.
  static func bandRows(width: Int, slabs: Int) -> Int { max(1, tilePixels(slabs: slabs) / width) }
}

/// A thread's part of something that `parts` threads share.
struct Share {
  let part: Int
  let parts: Int

  static let whole = Share(part: 0, parts: 1)

  func range(_ count: Int) -> Range<Int> { (count * part / parts)..<(count * (part + 1) / parts) }
}

extension Range<Int> {
  /// Its parts of at most `size`, in order and nearly equal.
  @inline(__always)
  func forEachBand(of size: Int, _ body: (Range<Int>) -> Void) {
    let bands = (count + size - 1) / size
    for band in 0..<bands {
      body((lowerBound + count * band / bands)..<(lowerBound + count * (band + 1) / bands))
    }
  }
}
