import Platform

/// Whether a backend computes what the textbook does, on one list of cases that all backends share.
public enum Conformance {
  /// Small corners first; the last are the published networks. In bf16 a gate within 10⁻² of zero opens or not by chance, which moves a small
  /// network's gradient by all of itself: only networks whose gates are decided are trained.
  public static func cases(_ precision: Precision) -> [ConformanceCase] {
    ConformanceCase.inference + ConformanceCase.training.filter { precision == .fp32 || $0.hasDecidedGates }
  }

  /// How far a quantity is from the textbook's in Double.
  public struct Deviation: Sendable, CustomStringConvertible {
    /// `logits`, or a parameter's name.
    public let quantity: String
    public let value: Double
    /// What the precision's rounding can explain.
    public let bound: Double

    /// A deviation that is not a number is not within bounds.
    public var isWithinBound: Bool { value <= bound }
    public var description: String { "\(quantity) differs by \(value), at most \(bound) is expected" }
  }

  /// What the textbook computes of a case in Double.
  public struct Expectation: Sendable {
    public let conformanceCase: ConformanceCase
    public let plan: Plan
    let weights: Weights
    let images: ImageBatch
    /// `[N, L]`, in the case's mode.
    let logits: [Double]
    /// `[N, C, H, W]`, in the case's mode.
    let features: [Double]
    /// Training's: the loss, the trained parameters' gradients, and all values behind the step's forward pass.
    var lossSum = 0.0
    var gradients: [Double] = []
    var values: [Double] = []

    static let lossScale = 0.1

    /// Runs the textbook on `pool`'s threads, with the case's weights and images or others.
    public init(
      _ conformanceCase: ConformanceCase, weights: Weights? = nil, images: ImageBatch? = nil, pool: ThreadPool
    ) throws(BackendError) {
      self.conformanceCase = conformanceCase
      plan = try conformanceCase.plan()
      self.weights = weights ?? conformanceCase.weights()
      if let images { self.images = images } else { self.images = try conformanceCase.images() }
      let reference = ReferenceSession<Double>(plan, pool: pool)
      reference.load(self.weights)
      let pixels = self.images.pixels.map { Double($0) }
      switch plan.mode {
      case .inference:
        let found = try reference.forward(pixels, count: self.images.count)
        logits = found.logits
        features = found.features.values
      case .training:
        let found = try reference.accumulate(
          pixels, count: self.images.count, labels: conformanceCase.labels, weights: nil, lossScale: Self.lossScale)
        logits = found.tape.logits
        features = found.tape.features.values
        lossSum = found.lossSum
        gradients = reference.accumulatedGradients
        values = reference.values
      }
    }
  }

  /// Runs the case on `backend` and says how far it is from what is expected.
  public static func deviations(
    of backend: some Backend, from expected: Expectation
  ) throws(BackendError) -> [Deviation] {
    let session = try backend.makeSession(expected.plan)
    try session.load(expected.weights)
    let bounds = Bounds(backend.precision)
    switch expected.plan.mode {
    case .inference: return try inference(session, expected, bounds)
    case .training: return try training(session, expected, bounds)
    }
  }

  /// What rounding explains.
  private struct Bounds {
    /// Of logits, feature maps, the loss and running statistics, relative to the largest.
    let outputs: Double
    /// Of the whole gradient, in the 2-norm, relative to it.
    let wholeGradient: Double
    /// Of a tensor's own gradient, relative to it or, where that is more, to `share` of the whole gradient.
    let gradient: Double
    let share: Double

    init(_ precision: Precision) {
      switch precision {
      case .fp32:
        // L layers of sums of n ≤ 2000 products. One sum errs by √n · 2⁻²⁴ of its size as random errors add; the layers' errors add as
        // squares through batch norms that keep variances near 1, so √(121 · 2000) · 2⁻²⁴ ≈ 3·10⁻⁵ for DenseNet-121, and less for
        // smaller networks; 10⁻⁴ of the largest value leaves a factor of three. A wrong tap, channel or border is off by 10⁻² or more.
        outputs = 1e-4
        // Some √(layers) roundings of 2⁻²⁴ and sums of random errors make 10⁻⁶ of the whole gradient, which is what the textbook in Float
        // has too; 10⁻⁵ leaves a factor of ten. A tensor's own gradient may be a difference of large terms, so it is allowed 10⁻³ of
        // itself, and where it is small, 3·10⁻⁶ of the whole. A wrong term is off by 10⁻² or more.
        wholeGradient = 1e-5
        gradient = 1e-3
        share = 3e-3
      case .bf16:
        // A value is rounded by 2⁻⁹ at the most, by 2⁻⁹/√3 = 1.1·10⁻³ as random errors go. A layer rounds what it reads, its weights,
        // Winograd's tiles and what it stores: √4 · 1.1·10⁻³ of its spread, and half a dozen layers in a row, four deviations out,
        // are 2·10⁻². Batch norms over 16 values add as much once more. A wrong tap, channel or border is off by 10⁻¹ or more: of what is
        // less than that only `CKernelsTests` know, where each kernel is compared with plain C to the last bit but one.
        outputs = 0.04
        // Twice as many layers, of which the later ones see the earlier ones' errors.
        wholeGradient = 0.05
        gradient = 0.4
        share = 0.1
      }
    }
  }

  private static func inference(
    _ session: any Session, _ expected: Expectation, _ bounds: Bounds
  ) throws(BackendError) -> [Deviation] {
    let found = try session.infer(expected.images, keepingFeatures: true)
    return [
      Deviation(quantity: "logits", value: largest(found.logits, expected.logits), bound: bounds.outputs),
      Deviation(
        quantity: "features", value: largest(found.features, expected.features), bound: bounds.outputs),
    ]
  }

  private static func training(
    _ session: any Session, _ expected: Expectation, _ bounds: Bounds
  ) throws(BackendError) -> [Deviation] {
    let outcome = try session.accumulateGradients(
      expected.images, labels: expected.conformanceCase.labels, weights: nil, lossScale: Expectation.lossScale)
    var deviations = [
      Deviation(
        quantity: "training logits", value: largest(outcome.logits, expected.logits), bound: bounds.outputs),
      Deviation(
        quantity: "loss", value: abs(outcome.lossSum - expected.lossSum) / expected.lossSum, bound: bounds.outputs),
    ]
    let (gradients, values) = (try gradients(of: session), try session.readWeights().values)
    let wholeSize = norm(expected.gradients[...])
    var wholeError = 0.0
    for parameter in session.plan.layout.parameters {
      let range = parameter.range
      guard parameter.isTrained else {
        let value = largest(values[range], expected.values[range])
        deviations.append(Deviation(quantity: parameter.name, value: value, bound: bounds.outputs))
        continue
      }
      let (theirs, error) = (expected.gradients[range], distance(gradients[range], expected.gradients[range]))
      wholeError += error * error
      let size = (norm(theirs) * norm(theirs) + bounds.share * bounds.share * wholeSize * wholeSize).squareRoot()
      deviations.append(
        Deviation(quantity: "gradient of \(parameter.name)", value: error / size, bound: bounds.gradient))
    }
    deviations.append(
      Deviation(quantity: "whole gradient", value: wholeError.squareRoot() / wholeSize, bound: bounds.wholeGradient))
    return deviations
  }

  /// The accumulated gradients, through what every session has: the velocity of a first step of SGD, whose rate moves nothing.
  static func gradients(of session: any Session) throws(BackendError) -> [Float] {
    let step = OptimizerStep(
      optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 0, weightDecay: 0)
    _ = try session.apply(step)
    return try session.readMoments().first
  }

  static func distance(_ found: ArraySlice<Float>, _ expected: ArraySlice<Double>) -> Double {
    norm(zip(found, expected).map { Double($0) - $1 }[...])
  }

  static func norm(_ values: ArraySlice<Double>) -> Double {
    values.reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  /// The largest difference, relative to the largest magnitude expected (to 1 where that is 0); not a number where one is found.
  private static func largest(
    _ found: some Collection<Float>, _ expected: some Collection<Double>
  ) -> Double {
    guard found.count == expected.count else { return .infinity }
    let scale = expected.reduce(0) { max($0, abs($1)) }
    var difference = 0.0
    for (mine, theirs) in zip(found, expected) {
      let distance = abs(Double(mine) - theirs)
      if !(distance <= difference) { difference = distance }
      if distance.isNaN { return .nan }
    }
    return difference / (scale == 0 ? 1 : scale)
  }
}
