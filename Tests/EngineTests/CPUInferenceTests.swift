import CKernels
import Platform
import TestSupport
import Testing

@testable import Engine

/// A network with random weights and the statistics of a trained one, and images for it.
struct RandomNetwork: CustomTestStringConvertible, Sendable {
  var architecture: DenseNetArchitecture
  var height: Int
  var width: Int
  var count: Int

  var testDescription: String {
    "\(architecture.name), \(architecture.inputChannels) channels, \(count) × \(height)×\(width)"
  }

  /// Batch norms with γ near 1, β near 0, running means near 0 and variances near 1, so that no layer's values run away.
  /// With decided gates γ is small and β far from 0, so that a batch norm by the batch's statistics opens or shuts whole channels.
  func weights(seed: UInt64, hasDecidedGates: Bool = false) -> Weights {
    var weights = Weights(initializing: architecture, seed: seed)
    for (index, parameter) in weights.layout.parameters.enumerated() {
      var random = CounterRandom(seed: seed, purpose: .augmentation, sample: index)
      switch parameter.role {
      case .convolutionWeight, .classifierWeight: break
      case .normalizationScale, .runningVariance:
        let range = hasDecidedGates ? (0.1, 0.25) : (0.5, 1.5)
        for place in parameter.range { weights.values[place] = Float(random.uniform(range.0, range.1)) }
      case .normalizationShift where hasDecidedGates:
        for place in parameter.range { weights.values[place] = random.uniform(-1, 2) < 0 ? -1.5 : 1.5 }
      case .normalizationShift, .runningMean, .classifierBias:
        for place in parameter.range { weights.values[place] = Float(random.uniform(-0.3, 0.3)) }
      }
    }
    return weights
  }

  func plan(_ mode: Plan.Mode, batchSize: Int? = nil) throws -> Plan {
    try Plan(architecture, mode: mode, batchSize: batchSize ?? count, height: height, width: width)
  }

  func images(seed: UInt64) throws -> ImageBatch {
    let shape = try plan(.inference).image
    var random = CounterRandom(seed: seed, purpose: .augmentation, sample: 999)
    return ImageBatch(
      count: count, shape: shape, pixels: (0..<count * shape.count).map { _ in Float(random.normal()) })
  }

  static func small(
    _ growth: Int, _ blocks: [Int], stem: Int, channels: Int = 3, relu: Bool = true, _ height: Int, _ width: Int,
    _ count: Int
  ) -> RandomNetwork {
    RandomNetwork(
      architecture: DenseNetArchitecture(
        growthRate: growth, blockSizes: blocks, initialFeatures: stem, inputChannels: channels, classCount: 5,
        hasFinalReLU: relu), height: height, width: width, count: count)
  }

  static func densenet121(_ size: Int, _ count: Int) -> RandomNetwork {
    RandomNetwork(
      architecture: DenseNetArchitecture(
        growthRate: 32, blockSizes: [6, 12, 24, 16], initialFeatures: 64, classCount: 14), height: size, width: size,
      count: count)
  }

  /// Growths below, at and above a slab, odd and even maps, maps of one pixel, one, two and three channels.
  static let corners: [RandomNetwork] = [
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
}

/// Float against Double over the whole network: L layers of sums of n ≤ 2000 products. One sum errs by √n · 2⁻²⁴ of its size as random
/// errors add; the layers' errors add as squares through batch norms that keep variances near 1, so √(121 · 2000) · 2⁻²⁴
/// ≈ 3·10⁻⁵ for DenseNet-121, and less for smaller networks; 10⁻⁴ of the largest value leaves a factor of three. A wrong tap,
/// channel or border is off by 10⁻² or more.
private let tolerance = 1e-4

@Suite struct CPUInferenceTests {
  @Test(arguments: RandomNetwork.corners + [RandomNetwork.densenet121(64, 3), RandomNetwork.densenet121(224, 2)])
  func `logits and features are the reference's at Double`(network: RandomNetwork) throws {
    let plan = try network.plan(.inference)
    let (weights, images) = (network.weights(seed: 7), try network.images(seed: 8))
    let reference = ReferenceSession<Double>(plan, pool: ThreadPool(threads: 2))
    reference.load(weights)
    let expected = reference.forward(images.pixels.map { Double($0) }, count: images.count)
    let isLarge = network.height == 224
    for level in isLarge ? [ck_best_level()] : [CK_REFERENCE, CK_AVX512] {
      let session = CPUBackend(threads: 2, level: level).makeSession(plan)
      session.load(weights)
      let found = try session.infer(images, keepingFeatures: true)
      let logits = relativeDifference(found.logits.map { Double($0) }, expected.logits)
      let features = relativeDifference(found.features.map { Double($0) }, expected.features.values)
      #expect(logits < tolerance, "logits of \(network.testDescription) at level \(level.rawValue) differ by \(logits)")
      #expect(features < tolerance, "features of \(network.testDescription) differ by \(features)")
    }
  }

  @Test(arguments: RandomNetwork.corners + [RandomNetwork.densenet121(96, 5)])
  func `an image's logits have the same bits in any batch, place and number of threads`(network: RandomNetwork) throws {
    let plan = try network.plan(.inference, batchSize: 7)
    let (weights, images) = (network.weights(seed: 7), try network.images(seed: 8))
    func infer(_ order: [Int], threads: Int) throws -> [Float] {
      let session = CPUBackend(threads: threads).makeSession(plan)
      session.load(weights)
      let size = images.shape.count
      let pixels = order.flatMap { images.pixels[$0 * size..<($0 + 1) * size] }
      return try session.infer(
        ImageBatch(count: order.count, shape: images.shape, pixels: pixels), keepingFeatures: false
      ).logits
    }
    let alone = try (0..<images.count).map { try infer([$0], threads: 1) }
    for threads in [1, 2, 3, 4] {
      for order in [[0], Array(0..<images.count), Array((0..<images.count).reversed()) + [0, 0]] {
        #expect(
          try infer(order, threads: threads) == order.flatMap { alone[$0] }, "\(threads) threads, images \(order)")
      }
    }
  }
}
