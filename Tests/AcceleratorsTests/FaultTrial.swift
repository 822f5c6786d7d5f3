import Platform
import Tensors
import TestSupport

@testable import Accelerators
@testable import Engine

/// A network that takes milliseconds, and something that its results must be, in which a kernel's fault shows.
struct FaultTrial {
  /// One multiprocessor makes large tiles and few parts the choice, many make small tiles and many parts.
  struct Setting: CustomStringConvertible {
    var precision: Precision
    var multiprocessors: Int
    /// Of each question's; nil: by the rule.
    var candidate: Int?
    var description: String {
      "\(precision), \(multiprocessors) multiprocessors" + (candidate.map { ", candidate \($0)" } ?? "")
    }
  }

  let name: String
  let settings: [Setting]
  /// The largest deviation from what is expected as a share of its bound; not a number where one is found.
  let worst: (Setting, CUDADevice) throws -> Double

  private static let pool = ThreadPool(threads: 2)

  private static func settings(
    _ bf16: [Int], _ fp32: [Int] = [], candidates: [Int] = [], onOne: [Int] = []
  ) -> [Setting] {
    bf16.map { Setting(precision: .bf16, multiprocessors: $0) }
      + candidates.map { Setting(precision: .bf16, multiprocessors: 132, candidate: $0) }
      + onOne.map { Setting(precision: .bf16, multiprocessors: 1, candidate: $0) }
      + fp32.map { Setting(precision: .fp32, multiprocessors: $0) }
  }

  private static func largest(_ values: some Sequence<Double>) -> Double {
    values.reduce(0) { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
  }

  private static func images(_ network: ConformanceCase) throws -> ImageBatch {
    imagesOfEveryKind(
      try network.plan().image, count: network.count, .imageNet(channels: network.architecture.inputChannels))
  }

  /// With the convolutions' weights times `scale`. Batch norm takes it out of all but their gradients and the statistics.
  private static func weights(_ network: ConformanceCase, _ scale: Float) -> Weights {
    var weights = network.weights()
    for parameter in weights.layout.parameters where parameter.role == .convolutionWeight {
      for at in parameter.range { weights.values[at] *= scale }
    }
    return weights
  }

  /// To be trained. Decided gates: the others may open by rounding, which the bounds know nothing of.
  private static func trained(_ network: ConformanceCase) -> ConformanceCase {
    var network = network
    (network.mode, network.hasDecidedGates) = (.training, true)
    return network
  }

  // MARK: The textbook

  /// Logits, features, the loss, gradients and running statistics are the textbook's. `onOne`: candidates on one multiprocessor.
  static func textbook(
    _ network: ConformanceCase, convolutionScale: Float = 1, bf16: [Int], fp32: [Int] = [], candidates: [Int] = [],
    onOne: [Int] = []
  ) throws -> FaultTrial {
    let expected = try Conformance.Expectation(
      network, weights: weights(network, convolutionScale), images: images(network), pool: pool)
    return FaultTrial(
      name: "\(network)\(convolutionScale == 1 ? "" : ", weights × \(convolutionScale)")",
      settings: settings(bf16, fp32, candidates: candidates, onOne: onOne)
    ) { setting, device in
      let found = try Conformance.deviations(of: CUDABackend(device, "cuda", setting.precision), from: expected)
      return largest(found.map { $0.value / $0.bound })
    }
  }

  // MARK: Other tiles

  /// In bf16 the textbook's bounds are wide. Between instances of a kernel only the statistics differ, by the order of their sums. Where one of
  /// those decides to which side a value is rounded, that moves by 2⁻⁸: even if every value of a tensor did, its gradient would not move more.
  private static let betweenTiles = 1 / 256.0

  /// Gradients with few multiprocessors are those with many: only tiles and parts are others. What is less than a hundredth of the whole gradient
  /// is compared with that: of what batch norm takes out again the gradient is nothing but rounding.
  static func otherTiles(_ network: ConformanceCase) throws -> FaultTrial {
    try others(network, "tiles", settings([132])) {
      try CUDADevice(named: "cuda", library: builtCUDAEmulator, multiprocessors: 1)
    }
  }

  /// Gradients by one kernel for both of a convolution's are those by a kernel for each. Gates are the same, since the forward pass is, so that they
  /// need not be decided: where they are, a 1×1 convolution's Σd is 0, and the mean in Σd·(x − mean) does not matter.
  static func otherKernels(_ network: ConformanceCase) throws -> FaultTrial {
    try others(network, "kernels", settings([], candidates: [0, 1, 2, 3, 4])) {
      try CUDADevice(
        named: "cuda", library: builtCUDAEmulator, multiprocessors: 132,
        preference: .candidate(CUDAKernelChoice.mostKernels - 1))
    }
  }

  private static func others(
    _ network: ConformanceCase, _ what: String, _ settings: [Setting], _ other: @escaping () throws -> CUDADevice
  ) throws -> FaultTrial {
    let (plan, images, weights) = (try network.plan(), try images(network), network.weights())
    func gradients(_ device: CUDADevice) throws -> [Float] {
      let session = try CUDABackend(device, "cuda", .bf16).makeSession(plan)
      try session.load(weights)
      _ = try session.accumulateGradients(images, labels: network.labels, weights: nil, lossScale: 1)
      return try Conformance.gradients(of: session)
    }
    return FaultTrial(name: "\(what) of \(network)", settings: settings) { _, device in
      let (mine, theirs) = (try gradients(device), try gradients(other()).map { Double($0) })
      let whole = Conformance.norm(theirs[...])
      return largest(
        plan.layout.parameters.filter(\.isTrained).map { parameter in
          let own = Conformance.norm(theirs[parameter.range])
          return Conformance.distance(mine[parameter.range], theirs[parameter.range]) / (own + whole / 100)
            / betweenTiles
        })
    }
  }

  // MARK: Optimizers

  /// Adam divides a gradient by its own size, so that one that is nothing but rounding moves its weight as far as any. The classifier has none such.
  private static let steps: [OptimizerStep] = [
    OptimizerStep(optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 0.05, weightDecay: 1e-4),
    OptimizerStep(
      optimizer: .sgd(momentum: 0.9, nesterov: true), learningRate: 0.05, weightDecay: 1e-4, clipNorm: 0.5),
    OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 1e-5, scope: .classifier),
    OptimizerStep(optimizer: .adamW, learningRate: 1e-3, weightDecay: 1e-2, clipNorm: 1, scope: .classifier),
  ]

  private struct Trained {
    var losses: [Double] = []
    var norms: [Double] = []
    var weights: [Float]

    init(_ session: any Session, from start: Weights, _ images: ImageBatch, _ labels: LabelBatch) throws {
      let classes = ClassWeights(
        positive: (0..<5).map { 1 + Float($0) / 4 }, negative: (0..<5).map { 1 - Float($0) / 8 })
      try session.load(start)
      for step in steps {
        losses.append(
          try session.accumulateGradients(images, labels: labels, weights: classes, lossScale: 0.1).lossSum)
        norms.append(try session.apply(step))
      }
      weights = try session.readWeights().values
    }
  }

  /// A step of each optimizer, one behind the other, with weights of the classes: losses and weights are the textbook's within the bounds of
  /// `CUDATrainingTests`, the gradient's norm within that of the whole gradient in `Conformance`.
  static func optimizers(_ network: ConformanceCase, convolutionScale: Float) throws -> FaultTrial {
    let (plan, images, start) = (try network.plan(), try images(network), weights(network, convolutionScale))
    let expected = try Trained(ReferenceSession<Double>(plan, pool: pool), from: start, images, network.labels)
    func distance(_ a: [Float], _ b: [Float]) -> Double {
      Conformance.norm(zip(a, b).map { Double($0) - Double($1) }[...])
    }
    let way = distance(expected.weights, start.values)
    return FaultTrial(name: "optimizers of \(network)", settings: settings([], [132])) { setting, device in
      let session = try CUDABackend(device, "cuda", setting.precision).makeSession(plan)
      let found = try Trained(session, from: start, images, network.labels)
      let losses = zip(found.losses, expected.losses).map { abs($0 - $1) / $1 }
      let norms = zip(found.norms, expected.norms).map { abs($0 - $1) / $1 }
      return largest((losses + norms).map { $0 / 1e-5 } + [distance(found.weights, expected.weights) / way / 1e-4])
    }
  }

  // MARK: Ranks

  /// Sums over five processes, of which three had images, become means, and nothing else changes.
  static func meanOverRanks() -> FaultTrial {
    let (sums, divisor) = ((0..<300).map { Float($0 - 140) }, Float(3))
    return FaultTrial(name: "means over ranks", settings: settings([], [132])) { _, device in
      let stream = try CUDAStream(device)
      let values = sums + [divisor]
      guard let memory = try CUDAMemory.allocate(4 * values.count, on: device) else { return .nan }
      let staged = try PinnedMemory(4 * values.count, for: device)
      values.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: staged.pointer, count: staged.bytes).copyMemory(from: $0)
      }
      try stream.copy(staged.bytes, from: UnsafeRawPointer(staged.pointer), to: memory.address)
      try stream.launch(CUDAReduction.mean(of: sums.count, at: memory.address, device))
      try stream.copy(staged.bytes, from: memory.address, to: staged.pointer)
      try stream.wait("means over ranks")
      let found = UnsafeBufferPointer(
        start: staged.pointer.assumingMemoryBound(to: Float.self), count: values.count)
      return Array(found) == sums.map { $0 / divisor } + [divisor] ? 0 : .infinity
    }
  }

  // MARK: All of them

  /// Few pixels and narrow maps first, where most faults show: a border is much of the map, and a tile reaches far behind it. Then tails of tiles,
  /// of rows and of channels, several tiles, and every stage of a pipeline filled a second time.
  static func all() throws -> [FaultTrial] {
    let narrow: ConformanceCase = .small(4, [1, 1], stem: 8, channels: 1, 8, 9, 4)
    let tails: ConformanceCase = .small(20, [1, 1], stem: 40, channels: 2, 21, 27, 3)
    let wide: ConformanceCase = .small(4, [2], stem: 8, channels: 1, 4, 250, 4)
    let several: ConformanceCase = .small(4, [1, 1], stem: 8, channels: 1, 41, 45, 5)
    let deep: ConformanceCase = .small(20, [3, 4], stem: 40, channels: 2, 21, 26, 3)
    // Several steps of 64 channels in each of several tiles.
    let long: ConformanceCase = .small(20, [2], stem: 200, channels: 1, 41, 45, 5)
    var undecided = tails
    undecided.mode = .training
    return [
      try textbook(narrow, bf16: [132, 1], fp32: [1], candidates: [3, 4, 5]),
      try textbook(deep, bf16: [132], fp32: [1], candidates: [4, 5]),
      try textbook(long, bf16: [], onOne: [3, 4]),
      try textbook(several, bf16: [2, 3], fp32: [1], candidates: [4, 5], onOne: [3, 4]),
      try textbook(.small(4, [2], stem: 8, channels: 1, 12, 250, 2), bf16: [1]),

      try textbook(trained(narrow), bf16: [132, 1], fp32: [132], candidates: [1, 2, 3, 4, 5, 6]),
      // But for borders, what a batch norm adds to a channel the next one takes out: its gradient, Σd, is 0, and the mean in Σd·(x − mean) does not
      // matter. Weights of this size make the mean of another channel, or a variance in its place, so far off that it does.
      try textbook(
        trained(tails), convolutionScale: 0x1p20, bf16: [1, 132], fp32: [1], candidates: [1, 2, 3, 4, 5, 6]),
      // Small weights have large gradients: the convolutions' are most of the whole, which the bounds are relative to.
      try textbook(trained(tails), convolutionScale: 0x1p-4, bf16: [1], candidates: [1, 2, 4, 6]),
      // So many channels that a place of a slice of them is taken a second time.
      try textbook(trained(.small(32, [1], stem: 32, channels: 1, 13, 17, 2)), bf16: [], candidates: [5]),
      try textbook(trained(wide), bf16: [1], fp32: [1], candidates: [5, 6]),
      try textbook(trained(several), bf16: [2, 3, 132], fp32: [1], candidates: [1, 2, 5, 6], onOne: [3, 4]),
      try otherTiles(trained(wide)),
      try otherKernels(undecided),
      // So many parameters that more than half of the norm's blocks have some, and these are much of it.
      try optimizers(trained(tails), convolutionScale: 0x1p-2),
      meanOverRanks(),
    ]
  }
}
