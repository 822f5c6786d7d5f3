/// The plan as a fused engine walks it: blocks with a stem in front, transitions between and a head behind, whose channels lie in slabs.
public struct FusedPlan: Sendable {
  public struct Block: Sendable {
    public let height: Int
    public let width: Int
    /// All channels at the end of the block.
    public let slabs: ChannelSlabs
    /// Slabs that enter it.
    public let inputSlabs: Int
    /// What each layer adds.
    public let growth: ChannelSlabs
    public let bottleneck: ChannelSlabs
    public let layers: [DenseLayer]
    /// What follows it, but for the last.
    public let transition: Transition?

    public var area: Int { height * width }
    /// Slabs that enter `layer`.
    public func inputSlabs(of layer: Int) -> Int { inputSlabs + layer * growth.count }
  }

  public let stem: Stem
  public let blocks: [Block]
  public let head: Head

  public init(_ plan: Plan) {
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
}
