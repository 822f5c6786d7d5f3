import Platform
import Tensors

/// A network with random weights and a batch of random images, on which a backend is compared with the textbook in Double.
public struct ConformanceCase: Sendable, CustomStringConvertible {
  public var architecture: DenseNetArchitecture
  /// Of the images.
  public var height: Int
  public var width: Int
  public var count: Int
  public var mode: Plan.Mode
  /// How many times larger than a normalised image's the pixels are.
  public var magnitude: Float = 1
  /// Whether batch norms open or shut whole channels. Otherwise an activation within 10⁻⁶ of zero may open in one precision and not in
  /// the other, which moves a gradient by up to 10⁻² (the textbook in Float differs from itself in Double by as much).
  public var hasDecidedGates = false

  public var description: String {
    let gates = hasDecidedGates ? ", decided gates" : ""
    let scale = magnitude == 1 ? "" : ", pixels × \(magnitude)"
    return
      "\(mode) of \(architecture.name), \(count) × \(architecture.inputChannels)×\(height)×\(width)\(scale)\(gates)"
  }

  public func plan(batchSize: Int? = nil) throws(BackendError) -> Plan {
    try Plan(architecture, mode: mode, batchSize: batchSize ?? count, height: height, width: width)
  }

  /// Batch norms with γ around 1 (every seventh below 0), β near 0, running means near 0 and variances near 1, so that no layer's values
  /// run away. With decided gates γ is small and β far from 0.
  public func weights(seed: UInt64 = 3) -> Weights {
    var weights = Weights(initializing: architecture, seed: seed)
    for (index, parameter) in weights.layout.parameters.enumerated() {
      var random = CounterRandom(seed: seed, purpose: .augmentation, sample: index)
      switch parameter.role {
      case .convolutionWeight, .classifierWeight: break
      case .normalizationScale, .runningVariance:
        let range = hasDecidedGates ? (0.1, 0.25) : (0.5, 1.5)
        for (place, at) in parameter.range.enumerated() {
          let sign: Float = parameter.role == .normalizationScale && place % 7 == 3 ? -1 : 1
          weights.values[at] = sign * Float(random.uniform(range.0, range.1))
        }
      case .normalizationShift where hasDecidedGates:
        for at in parameter.range { weights.values[at] = random.uniform(-1, 2) < 0 ? -1.5 : 1.5 }
      case .normalizationShift, .runningMean, .classifierBias:
        for at in parameter.range { weights.values[at] = Float(random.uniform(-0.3, 0.3)) }
      }
    }
    return weights
  }

  /// Pixels are normal, times `magnitude`.
  public func images(seed: UInt64 = 4) throws(BackendError) -> ImageBatch {
    let shape = try plan().image
    var random = CounterRandom(seed: seed, purpose: .augmentation, sample: 999)
    return ImageBatch(
      count: count, shape: shape,
      pixels: (0..<count * shape.count).map { _ in Float(random.normal()) * magnitude })
  }

  /// Positive, negative, negative, unknown, and again.
  public var labels: LabelBatch {
    LabelBatch((0..<count * architecture.classCount).map { [.positive, .negative, .negative, .unknown][$0 % 4] })
  }
}

extension ConformanceCase {
  static func small(
    _ growth: Int, _ blocks: [Int], stem: Int, channels: Int = 3, relu: Bool = true, _ height: Int, _ width: Int,
    _ count: Int
  ) -> ConformanceCase {
    ConformanceCase(
      architecture: DenseNetArchitecture(
        growthRate: growth, blockSizes: blocks, initialFeatures: stem, inputChannels: channels, classCount: 5,
        hasFinalReLU: relu), height: height, width: width, count: count, mode: .inference)
  }

  static func published(_ architecture: DenseNetArchitecture, _ size: Int, _ count: Int) -> ConformanceCase {
    ConformanceCase(architecture: architecture, height: size, width: size, count: count, mode: .inference)
  }

  /// Growths below, at and above a slab of 32, odd and even maps, maps of one pixel, one, two and three channels.
  static let corners: [ConformanceCase] = [
    small(2, [1], stem: 4, 3, 3, 1),
    small(4, [2, 3], stem: 8, 36, 20, 3),
    small(3, [1, 2, 1], stem: 6, channels: 1, 37, 45, 2),
    small(8, [2, 2], stem: 40, channels: 2, relu: false, 33, 61, 5),
    small(32, [2, 3], stem: 64, 64, 31, 3),
    small(48, [2, 2], stem: 96, 48, 70, 2),
    small(12, [3, 2, 1, 1], stem: 24, 65, 130, 3),
    small(40, [1, 1], stem: 8, 29, 40, 2),
    small(5, [1, 1], stem: 33, 8, 600, 1),
  ]

  private static func densenet(_ growth: Int, _ blocks: [Int], stem: Int) -> DenseNetArchitecture {
    DenseNetArchitecture(growthRate: growth, blockSizes: blocks, initialFeatures: stem, classCount: 14)
  }

  static let densenet121 = densenet(32, [6, 12, 24, 16], stem: 64)
  private static let densenet161 = densenet(48, [6, 12, 36, 24], stem: 96)
  private static let densenet169 = densenet(32, [6, 12, 32, 32], stem: 64)
  private static let densenet201 = densenet(32, [6, 12, 48, 32], stem: 64)

  /// Pixels far from the usual size.
  private static func extremes(_ magnitudes: [Float]) -> [ConformanceCase] {
    magnitudes.map { magnitude in
      var extreme = small(8, [2, 1], stem: 16, 40, 39, 2)
      extreme.magnitude = magnitude
      return extreme
    }
  }

  static let inference =
    corners + extremes([1e4, 1e-4]) + [
      published(densenet121, 64, 3), published(densenet121, 224, 2), published(densenet161, 64, 2),
      published(densenet169, 64, 2), published(densenet201, 64, 2),
    ]

  /// Networks that are trained with decided gates, and those that have none to decide: small ones whose gates, with the seeds used here, all
  /// stay 10⁻⁶ from zero.
  static let training: [ConformanceCase] = {
    let small =
      corners.filter { $0.count > 1 } + [
        // The batch norms of the last block see 12 values of one image, or 16 images of one pixel.
        .small(3, [2, 1], stem: 6, 32, 48, 1), .small(4, [1, 2, 1], stem: 8, channels: 1, 16, 16, 16),
        .small(7, [2, 2], stem: 10, 40, 41, 5), .small(33, [2, 1], stem: 34, 33, 32, 16),
      ]
    let large = [
      published(densenet121, 64, 4), published(densenet161, 64, 2), published(densenet169, 64, 2),
      published(densenet201, 64, 2),
    ]
    // Below 10⁻² batch norm's epsilon leaves so little of a pixel beside β that Float keeps three digits of it.
    return (small + extremes([1e4, 1e-2]) + large).flatMap { base in
      let isOpen = base.architecture.growthRate < 12 || base.architecture.growthRate == 33
      return (isOpen && base.magnitude == 1 ? [true, false] : [true]).map { hasDecidedGates in
        var training = base
        training.mode = .training
        training.hasDecidedGates = hasDecidedGates
        return training
      }
    }
  }()
}
