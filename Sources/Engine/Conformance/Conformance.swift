import Platform

/// Whether a backend computes what the textbook does, on one list of cases that all backends share.
public enum Conformance {
  /// Small corners first; the last are the published networks.
  public static let cases = ConformanceCase.inference + ConformanceCase.training

  /// How far a quantity is from the textbook's in Double.
  public struct Deviation: Sendable, CustomStringConvertible {
    /// `logits`, or a parameter's name.
    public let quantity: String
    public let value: Double
    /// What Float's rounding can explain.
    public let bound: Double

    /// A deviation that is not a number is not within bounds.
    public var isWithinBound: Bool { value <= bound }
    public var description: String { "\(quantity) differs by \(value), at most \(bound) is expected" }
  }

  /// Runs a case on `backend` and on the textbook in Double (`pool`'s threads).
  public static func deviations(
    of backend: some Backend, in conformanceCase: ConformanceCase, pool: ThreadPool
  ) throws(BackendError) -> [Deviation] {
    let plan = try conformanceCase.plan()
    let (weights, images) = (conformanceCase.weights(), try conformanceCase.images())
    let session = try backend.makeSession(plan)
    session.load(weights)
    let reference = ReferenceSession<Double>(plan, pool: pool)
    reference.load(weights)
    switch plan.mode {
    case .inference: return try inference(session, reference, images)
    case .training: return try training(session, reference, images, conformanceCase.labels)
    }
  }

  /// L layers of sums of n ≤ 2000 products. One sum errs by √n · 2⁻²⁴ of its size as random errors add; the layers' errors add as squares
  /// through batch norms that keep variances near 1, so √(121 · 2000) · 2⁻²⁴ ≈ 3·10⁻⁵ for DenseNet-121, and less for smaller
  /// networks; 10⁻⁴ of the largest value leaves a factor of three. A wrong tap, channel or border is off by 10⁻² or more.
  private static let outputBound = 1e-4

  private static func inference(
    _ session: some Session, _ reference: ReferenceSession<Double>, _ images: ImageBatch
  ) throws(BackendError) -> [Deviation] {
    let found = try session.infer(images, keepingFeatures: true)
    let expected = reference.forward(images.pixels.map { Double($0) }, count: images.count)
    return [
      Deviation(quantity: "logits", value: largest(found.logits, expected.logits), bound: outputBound),
      Deviation(quantity: "features", value: largest(found.features, expected.features.values), bound: outputBound),
    ]
  }

  /// Gradients are compared in the 2-norm. Some √(layers) roundings of 2⁻²⁴ and sums of random errors make 10⁻⁶ of the whole gradient, which
  /// is what the textbook in Float has too; 10⁻⁵ leaves a factor of ten. A tensor's own gradient may be a difference of large terms,
  /// so it is allowed 10⁻³ of itself, and where it is small, 3·10⁻⁶ of the whole. A wrong term is off by 10⁻² or more.
  private static func training(
    _ session: some Session, _ reference: ReferenceSession<Double>, _ images: ImageBatch, _ labels: LabelBatch
  ) throws(BackendError) -> [Deviation] {
    let lossScale = 0.1
    let outcome = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: lossScale)
    let expected = reference.accumulate(
      images.pixels.map { Double($0) }, count: images.count, labels: labels, weights: nil, lossScale: lossScale)
    var deviations = [
      Deviation(
        quantity: "training logits", value: largest(outcome.logits, expected.tape.logits), bound: outputBound),
      Deviation(
        quantity: "loss", value: abs(outcome.lossSum - expected.lossSum) / expected.lossSum, bound: outputBound),
    ]
    let (gradients, values) = (try gradients(of: session), session.readWeights().values)
    let wholeSize = norm(reference.accumulatedGradients[...])
    var wholeError = 0.0
    for parameter in session.plan.layout.parameters {
      let range = parameter.range
      guard parameter.isTrained else {
        let value = largest(values[range], reference.values[range])
        deviations.append(Deviation(quantity: parameter.name, value: value, bound: outputBound))
        continue
      }
      let theirs = reference.accumulatedGradients[range]
      let error = norm(zip(gradients[range], theirs).map { Double($0) - $1 }[...])
      wholeError += error * error
      // Of itself, or where that is more, of 3·10⁻³ of the whole.
      let size = (norm(theirs) * norm(theirs) + 1e-5 * wholeSize * wholeSize).squareRoot()
      deviations.append(Deviation(quantity: "gradient of \(parameter.name)", value: error / size, bound: 1e-3))
    }
    deviations.append(
      Deviation(quantity: "whole gradient", value: wholeError.squareRoot() / wholeSize, bound: 1e-5))
    return deviations
  }

  /// The accumulated gradients, through what every session has: the velocity of a first step of SGD, whose rate moves nothing.
  private static func gradients(of session: some Session) throws(BackendError) -> [Float] {
    let step = OptimizerStep(
      optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 0, weightDecay: 0)
    _ = try session.apply(step)
    return session.readMoments().first
  }

  private static func norm(_ values: ArraySlice<Double>) -> Double {
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
