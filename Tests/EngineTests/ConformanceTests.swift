import Platform
import Testing

@testable import Engine

/// A session of the textbook that answers one thing wrongly.
private final class WrongSession: Session {
  enum Fault: CaseIterable { case logit, feature, gradient, runningVariance }

  private let session: any Session
  private let fault: Fault
  var plan: Plan { session.plan }

  init(_ session: any Session, _ fault: Fault) {
    self.session = session
    self.fault = fault
  }

  private func wrong(_ values: [Float], _ fault: Fault, at place: Int = 3) -> [Float] {
    guard fault == self.fault, place < values.count else { return values }
    var values = values
    values[place] += 0.01 * (values.map { abs($0) }.max() ?? 1)
    return values
  }

  func load(_ weights: Weights) throws(BackendError) { try session.load(weights) }
  func load(_ moments: OptimizerMoments) throws(BackendError) { try session.load(moments) }
  func apply(_ step: OptimizerStep) throws(BackendError) -> Double { try session.apply(step) }
  func synchronizeBatchNorm(over collective: any Collective) throws(BackendError) {
    try session.synchronizeBatchNorm(over: collective)
  }
  func reduce(over collective: any Collective, hasImages: Bool) throws(BackendError) {
    try session.reduce(over: collective, hasImages: hasImages)
  }

  func infer(_ images: ImageBatch, keepingFeatures: Bool) throws(BackendError) -> Inference {
    let found = try session.infer(images, keepingFeatures: keepingFeatures)
    return Inference(logits: wrong(found.logits, .logit), features: wrong(found.features, .feature))
  }

  func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome {
    let found = try session.accumulateGradients(images, labels: labels, weights: weights, lossScale: lossScale)
    return TrainingOutcome(lossSum: found.lossSum, logits: wrong(found.logits, .logit))
  }

  func readMoments() throws(BackendError) -> OptimizerMoments {
    var moments = try session.readMoments()
    moments.first = wrong(moments.first, .gradient)
    return moments
  }

  func readWeights() throws(BackendError) -> Weights {
    var weights = try session.readWeights()
    weights.values = wrong(weights.values, .runningVariance, at: weights.values.count - 1)
    return weights
  }
}

private struct WrongBackend: Backend {
  let name = "wrong"
  let fault: WrongSession.Fault
  func makeSession(_ plan: Plan) throws(BackendError) -> any Session {
    WrongSession(ReferenceSession<Float>(plan, pool: ThreadPool(threads: 2)), fault)
  }
}

@Suite struct ConformanceTests {
  /// Plain C takes seconds for each image of a published network.
  private static func isSmall(_ conformanceCase: ConformanceCase) -> Bool {
    conformanceCase.architecture.blockSizes.reduce(0, +) < 50
  }

  /// Every precision that the case is for, every level that this processor has, and the textbook in Float.
  private static func backends(_ conformanceCase: ConformanceCase) -> [(String, any Backend)] {
    var backends: [(String, any Backend)] = [("textbook", ReferenceBackend(pool: ThreadPool(threads: 2)))]
    for precision in Precision.allCases
    where Conformance.cases(precision).contains(where: { "\($0)" == "\(conformanceCase)" }) {
      for level in InstructionSet.available where level != .reference || isSmall(conformanceCase) {
        backends.append(("\(precision) on \(level)", CPUBackend(threads: 2, precision, level: level)))
      }
    }
    return backends
  }

  @Test(arguments: Conformance.cases(.fp32))
  func `every backend conforms with every instruction set, in every precision`(conformanceCase: ConformanceCase) throws
  {
    let expected = try Conformance.Expectation(conformanceCase, pool: ThreadPool(threads: 2))
    for (name, backend) in Self.backends(conformanceCase) {
      let deviations = try Conformance.deviations(of: backend, from: expected)
      #expect(deviations.count >= 2)
      for deviation in deviations { #expect(deviation.isWithinBound, "\(name), \(conformanceCase): \(deviation)") }
    }
  }

  @Test(arguments: WrongSession.Fault.allCases)
  fileprivate func `a backend that is wrong in one number does not conform`(fault: WrongSession.Fault) throws {
    let found = try Conformance.cases(.fp32).filter { $0.height == 36 }.map { conformanceCase in
      let expected = try Conformance.Expectation(conformanceCase, pool: ThreadPool(threads: 2))
      return try Conformance.deviations(of: WrongBackend(fault: fault), from: expected)
        .filter { !$0.isWithinBound }.count
    }
    #expect(found.contains { $0 > 0 }, "\(fault)")
  }

  /// What Float costs is mostly the gates that open in one precision and not in the other: their number, and so the square of the
  /// gradient's error, goes with the error of the forward pass. An engine that sums carelessly somewhere shows here first. Both errors are
  /// sums of random ones, so a factor of 1.5 between them is luck; sums over a whole map in Float made 2.2.
  @Test func `the fused engine's error is the textbook's in Float`() throws {
    let random = ConformanceCase.published(ConformanceCase.densenet121, 128, 6)
    var training = random
    training.mode = .training
    let (plan, images, labels) = (try training.plan(), try training.images(), training.labels)
    let weights = Weights(initializing: training.architecture, seed: 3)
    let exact = ReferenceSession<Double>(plan, pool: ThreadPool(threads: 2))
    exact.load(weights)
    let expected = try exact.accumulate(
      images.pixels.map { Double($0) }, count: images.count, labels: labels, weights: nil, lossScale: 0.1)
    func error(of session: any Session) throws -> Double {
      try session.load(weights)
      let outcome = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
      return zip(outcome.logits, expected.tape.logits).reduce(0) { $0 + ($1.1 - Double($1.0)) * ($1.1 - Double($1.0)) }
        .squareRoot()
    }
    let textbook = try error(of: ReferenceSession<Float>(plan, pool: ThreadPool(threads: 2)))
    let fused = try error(of: CPUBackend(threads: 2).makeSession(plan))
    #expect(fused < 1.5 * textbook, "\(fused), the textbook's \(textbook)")
  }
}
