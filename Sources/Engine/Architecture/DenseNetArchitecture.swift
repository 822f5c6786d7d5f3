/// A network of the DenseNet family (Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks",
/// CVPR 2017), as torchvision builds it: DenseNet-BC with bottlenecks of 4 · growth and transitions that halve.
///
/// It travels with the weights: every field is read from the checkpoint, none is a default of the program.
public struct DenseNetArchitecture: Equatable, Sendable {
  /// Channels that each dense layer adds.
  public var growthRate: Int
  /// Dense layers in each block.
  public var blockSizes: [Int]
  /// Channels that the stem puts out.
  public var initialFeatures: Int
  /// Channels of an image: 3, or 1.
  public var inputChannels: Int
  /// Outputs of the classifier, one logit each.
  public var classCount: Int
  /// ε of every batch norm: 10⁻⁵ for torchvision, 1.001·10⁻⁵ for Keras.
  public var batchNormEpsilon: Double
  /// The share of a new batch in the running statistics, as PyTorch counts it (0.1; Keras' 0.99 is 0.01 here).
  public var batchNormMomentum: Double
  /// Whether a ReLU follows `norm5`. Keras before keras-applications 1.0.6 has none.
  public var hasFinalReLU: Bool

  /// Channels of a bottleneck, in multiples of the growth rate (the paper, section 3).
  public static let bottleneckFactor = 4

  public init(
    growthRate: Int, blockSizes: [Int], initialFeatures: Int, inputChannels: Int = 3, classCount: Int,
    batchNormEpsilon: Double = 1e-5, batchNormMomentum: Double = 0.1, hasFinalReLU: Bool = true
  ) {
    self.growthRate = growthRate
    self.blockSizes = blockSizes
    self.initialFeatures = initialFeatures
    self.inputChannels = inputChannels
    self.classCount = classCount
    self.batchNormEpsilon = batchNormEpsilon
    self.batchNormMomentum = batchNormMomentum
    self.hasFinalReLU = hasFinalReLU
  }

  /// The networks of the paper that torchvision has, by name.
  public static let named: [(name: String, growthRate: Int, blockSizes: [Int], initialFeatures: Int)] = [
    ("densenet121", 32, [6, 12, 24, 16], 64),
    ("densenet161", 48, [6, 12, 36, 24], 96),
    ("densenet169", 32, [6, 12, 32, 32], 64),
    ("densenet201", 32, [6, 12, 48, 32], 64),
  ]

  /// The architecture that `text` says: a name (`densenet121`), or `GROWTH:B1,B2,…` with a stem of twice the growth rate.
  /// Nil where it says none, or one with a number outside 1 … 512, or more than 8 blocks.
  public init?(parsing text: String, classCount: Int, inputChannels: Int = 3) {
    if let match = Self.named.first(where: { $0.name == text }) {
      self.init(
        growthRate: match.growthRate, blockSizes: match.blockSizes, initialFeatures: match.initialFeatures,
        inputChannels: inputChannels, classCount: classCount)
      return
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let growth = Int(parts[0]), (1...512).contains(growth) else { return nil }
    let blocks = parts[1].split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard (1...8).contains(blocks.count), blocks.allSatisfy((1...512).contains) else { return nil }
    self.init(
      growthRate: growth, blockSizes: blocks, initialFeatures: 2 * growth, inputChannels: inputChannels,
      classCount: classCount)
  }

  /// `densenet121`, or `8:2,2,2` for a network that has no name (with `:stem` behind it where the stem is not twice the
  /// growth rate).
  public var name: String {
    if let match = Self.named.first(where: {
      $0.growthRate == growthRate && $0.blockSizes == blockSizes && $0.initialFeatures == initialFeatures
    }) {
      return match.name
    }
    let blocks = blockSizes.map(String.init).joined(separator: ",")
    return "\(growthRate):\(blocks)" + (initialFeatures == 2 * growthRate ? "" : ":\(initialFeatures)")
  }

  /// Channels of a bottleneck.
  public var bottleneckFeatures: Int { Self.bottleneckFactor * growthRate }

  /// Channels that enter `block` (from 0).
  public func inputFeatures(ofBlock block: Int) -> Int {
    (0..<block).reduce(initialFeatures) { features, earlier in (features + blockSizes[earlier] * growthRate) / 2 }
  }

  /// Channels that enter `layer` of `block` (both from 0).
  public func inputFeatures(ofLayer layer: Int, inBlock block: Int) -> Int {
    inputFeatures(ofBlock: block) + layer * growthRate
  }

  /// Channels that leave `block` (from 0), before its transition.
  public func outputFeatures(ofBlock block: Int) -> Int {
    inputFeatures(ofLayer: blockSizes[block], inBlock: block)
  }

  /// Channels of the feature map that the classifier sees: 1024 for DenseNet-121.
  public var featureCount: Int { outputFeatures(ofBlock: blockSizes.count - 1) }
}
