import Platform
import TestSupport
import Testing

@testable import Engine

/// One of the two small networks of `fixtures/small-densenet`, with what PyTorch computed for it in float64.
struct SmallNetwork {
  let architecture: DenseNetArchitecture
  let recorded: RecordedTensors
  let initial: RecordedTensors
  let height: Int
  let width: Int
  let count: Int

  static func first() throws -> SmallNetwork {
    SmallNetwork(
      architecture: DenseNetArchitecture(growthRate: 4, blockSizes: [2, 3], initialFeatures: 8, classCount: 14),
      recorded: try RecordedTensors("small-densenet/reference.safetensors"),
      initial: try RecordedTensors("small-densenet/weights.safetensors"), height: 36, width: 20, count: 3)
  }

  static func second(hasFinalReLU: Bool = true) throws -> SmallNetwork {
    SmallNetwork(
      architecture: DenseNetArchitecture(
        growthRate: 3, blockSizes: [1, 2, 1], initialFeatures: 6, inputChannels: 1, classCount: 5,
        batchNormEpsilon: 1e-3,
        batchNormMomentum: 0.01, hasFinalReLU: hasFinalReLU),
      recorded: try RecordedTensors("small-densenet/reference-second.safetensors"),
      initial: try RecordedTensors("small-densenet/weights-second.safetensors"), height: 37, width: 45, count: 2)
  }

  func session<Scalar: ReferenceScalar>(_: Scalar.Type, mode: Plan.Mode) throws -> ReferenceSession<Scalar> {
    let plan = try Plan(architecture, mode: mode, batchSize: count, height: height, width: width)
    let session = ReferenceSession<Scalar>(plan, pool: ThreadPool(threads: 2))
    var values = [Scalar](repeating: .nan, count: plan.layout.count)
    for parameter in plan.layout.parameters {
      #expect(try initial.shape(parameter.name) == parameter.shape.extents)
      values.replaceSubrange(parameter.range, with: try initial.values(parameter.name).map { Scalar($0) })
    }
    session.values = values
    return session
  }

  func images<Scalar: ReferenceScalar>(_: Scalar.Type) throws -> [Scalar] {
    try recorded.values("images").map { Scalar($0) }
  }

  func labels() throws -> LabelBatch {
    LabelBatch(try recorded.values("labels").map { $0 < 0 ? .unknown : $0 > 0 ? .positive : .negative })
  }

  /// One pass in train mode, its gradients accumulated.
  func trainedOnce<Scalar: ReferenceScalar>(
    _: Scalar.Type
  ) throws -> (
    session: ReferenceSession<Scalar>, tape: ReferenceNetwork<Scalar>.Tape, loss: Double, imageGradients: [Scalar]
  ) {
    let session = try session(Scalar.self, mode: .training)
    let labels = try labels()
    let known = Double(labels.knownCount)
    let result = try session.accumulate(
      try images(Scalar.self), count: count, labels: labels, weights: nil, lossScale: 1 / known,
      wantsImageGradients: true)
    return (session, result.tape, result.lossSum / known, result.imageGradients)
  }
}

private func doubles<Scalar: ReferenceScalar>(_ values: some Sequence<Scalar>) -> [Double] { values.map { Double($0) } }

/// What each optimizer run of the fixture was made with (fixtures/README.md).
struct OptimizerRun: CustomTestStringConvertible {
  let name: String
  let step: OptimizerStep
  let steps: Int
  let keepsWeights: Bool
  var testDescription: String { name }

  static let all = [
    OptimizerRun(
      name: "sgd",
      step: OptimizerStep(optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 0.05, weightDecay: 1e-4),
      steps: 10, keepsWeights: true),
    OptimizerRun(
      name: "nesterov",
      step: OptimizerStep(optimizer: .sgd(momentum: 0.9, nesterov: true), learningRate: 0.05, weightDecay: 1e-4),
      steps: 10, keepsWeights: false),
    OptimizerRun(
      name: "adam", step: OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 1e-5), steps: 10,
      keepsWeights: true),
    OptimizerRun(
      name: "adamw", step: OptimizerStep(optimizer: .adamW, learningRate: 1e-3, weightDecay: 1e-2), steps: 10,
      keepsWeights: true),
    OptimizerRun(
      name: "adam_clipped",
      step: OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 1e-5, clipNorm: 1), steps: 3,
      keepsWeights: true),
  ]
}

/// At Double: 10⁻⁹ of each tensor's largest element. Two correct programs differ by the order of their sums, some
/// 10⁴ · 2⁻⁵³ ≈ 10⁻¹² in a pass; ten steps amplify it by less than a hundred.
private let tolerance = 1e-9

@Suite struct PyTorchReferenceTests {
  @Test func `at Double, every activation of the training pass is PyTorch's`() throws {
    let network = try SmallNetwork.first()
    let (session, tape, loss, _) = try network.trainedOnce(Double.self)

    func expect(_ found: [Double], _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
      let difference = relativeDifference(found, try network.recorded.values(name))
      #expect(difference < tolerance, "\(name) differs by \(difference)", sourceLocation: sourceLocation)
    }

    for (operation, record) in zip(session.plan.operations, tape.records) {
      switch (operation, record) {
      case (.stem, .stem(_, let normalized, let pooled, _)):
        try expect(normalized.input.values, "train.stem.conv0")
        let rectified = try network.recorded.values("train.stem.norm0").map { max($0, 0) }
        #expect(relativeDifference(normalized.output.values, rectified) < tolerance)
        try expect(pooled.values, "train.stem.pool")
      case (.denseLayer(let layer), .denseLayer(_, let second, let output)):
        let block = "train.denseblock\(layer.block + 1)"
        try expect(second.input.values, "\(block).denselayer\(layer.layer + 1).bottleneck")
        try expect(output.split(at: layer.input.channels).1.values, "\(block).denselayer\(layer.layer + 1)")
        if layer.layer == network.architecture.blockSizes[layer.block] - 1 { try expect(output.values, block) }
      case (.transition(let transition), .transition(_, _, let output)):
        try expect(output.values, "train.transition\(transition.block + 1)")
      case (.head, .head(let normalized)):
        try expect(normalized.output.values, "train.features")
      default:
        Issue.record("operation and record do not belong together")
      }
    }
    try expect(tape.logits, "train.logits")
    try expect([loss], "train.loss")
  }

  @Test(arguments: [1, 2]) func `at Double, every gradient and running statistic is PyTorch's`(which: Int) throws {
    let network = which == 1 ? try SmallNetwork.first() : try SmallNetwork.second()
    let (session, tape, loss, imageGradients) = try network.trainedOnce(Double.self)
    for parameter in session.plan.layout.parameters {
      let name = (parameter.isTrained ? "gradient." : "running.") + parameter.name
      let found = parameter.isTrained ? session.accumulatedGradients[parameter.range] : session.values[parameter.range]
      let difference = relativeDifference(Array(found), try network.recorded.values(name))
      #expect(difference < tolerance, "\(name) differs by \(difference)")
    }
    #expect(relativeDifference(imageGradients, try network.recorded.values("gradient.images")) < tolerance)
    #expect(relativeDifference(tape.logits, try network.recorded.values("train.logits")) < tolerance)
    #expect(relativeDifference([loss], try network.recorded.values("train.loss")) < tolerance)
  }

  @Test func `at Double, the weighted loss and its gradient are PyTorch's`() throws {
    let network = try SmallNetwork.first()
    let labels = try network.labels()
    let weights = ClassWeights(
      positive: try network.recorded.values("positive_weights").map { Float($0) },
      negative: try network.recorded.values("negative_weights").map { Float($0) })
    let (sum, gradients) = ReferenceLoss.forward(
      logits: try network.recorded.values("train.logits"), labels: labels, weights: weights, classCount: 14)
    let known = Double(labels.knownCount)
    #expect(relativeDifference([sum / known], try network.recorded.values("train.weighted_loss")) < tolerance)
    #expect(
      relativeDifference(gradients.map { $0 / known }, try network.recorded.values("weighted_gradient.logits"))
        < tolerance)
  }

  @Test(arguments: ["eval", "second eval", "second eval.no_final_relu"])
  func `at Double, inference is PyTorch's`(which: String) throws {
    let network =
      which == "eval" ? try SmallNetwork.first() : try SmallNetwork.second(hasFinalReLU: which == "second eval")
    let prefix = which.replacing("second ", with: "")
    let session = try network.session(Double.self, mode: .inference)
    let tape = try session.forward(try network.images(Double.self), count: network.count)
    #expect(relativeDifference(tape.logits, try network.recorded.values(prefix + ".logits")) < tolerance)
    #expect(
      relativeDifference(tape.logits.map { sigmoid($0) }, try network.recorded.values(prefix + ".probabilities"))
        < tolerance)
    #expect(relativeDifference(tape.features.values, try network.recorded.values(prefix + ".features")) < tolerance)
  }

  @Test(arguments: OptimizerRun.all)
  func `at Double, ten steps give PyTorch's losses and weights`(run: OptimizerRun) throws {
    let network = try SmallNetwork.first()
    let (losses, norms, session) = try train(network, run, Double.self)
    #expect(relativeDifference(losses, try network.recorded.values(run.name + ".losses")) < tolerance)
    if run.step.clipNorm != nil {
      #expect(relativeDifference(norms, try network.recorded.values(run.name + ".norms")) < tolerance)
    } else {
      #expect(relativeDifference([norms[0]], try network.recorded.values("gradient_norm")) < tolerance)
    }
    guard run.keepsWeights else { return }
    for parameter in session.plan.layout.parameters {
      let name = "\(run.name).final.\(parameter.name)"
      let difference = relativeDifference(Array(session.values[parameter.range]), try network.recorded.values(name))
      #expect(difference < tolerance, "\(name) differs by \(difference)")
    }
  }

  /// Float: 10⁻⁴. A loss near 1 carries some 10⁻⁶ of rounding; Adam's first steps divide a gradient by its own size, so a
  /// weight whose gradient is all rounding moves by ± the learning rate of 10⁻³ whatever its sign, and the loss follows at
  /// second order.
  @Test(arguments: OptimizerRun.all)
  func `at Float, the ten losses are PyTorch's to 10⁻⁴`(run: OptimizerRun) throws {
    let network = try SmallNetwork.first()
    let losses = try train(network, run, Float.self).losses
    #expect(relativeDifference(losses, try network.recorded.values(run.name + ".losses")) < 1e-4)
  }

  /// Float: a gradient passes through at most 6 convolutions and 12 batch norms on its way, each a sum of at most
  /// 540 terms kept with 2⁻²⁴ of its largest, and m/σ amplifies it by at most 4 a norm at these variances:
  /// √540 · 2⁻²⁴ · 18 ≈ 2.5·10⁻⁵ as random errors add; 2·10⁻⁴ leaves a factor of 8 for unlucky ones. The ReLUs' inputs are over
  /// 10⁻⁴ away from 0 in this fixture, so both precisions open the same gates.
  @Test func `at Float, the first gradients are PyTorch's`() throws {
    let network = try SmallNetwork.first()
    let (session, _, _, _) = try network.trainedOnce(Float.self)
    for parameter in session.plan.layout.parameters where parameter.isTrained {
      let difference = relativeDifference(
        doubles(session.accumulatedGradients[parameter.range]),
        try network.recorded.values("gradient." + parameter.name))
      #expect(difference < 2e-4, "\(parameter.name) differs by \(difference)")
    }
  }

  private func train<Scalar: ReferenceScalar>(
    _ network: SmallNetwork, _ run: OptimizerRun, _: Scalar.Type
  ) throws -> (losses: [Double], norms: [Double], session: ReferenceSession<Scalar>) {
    let session = try network.session(Scalar.self, mode: .training)
    let (labels, images) = (try network.labels(), try network.images(Scalar.self))
    let known = Double(labels.knownCount)
    var (losses, norms): ([Double], [Double]) = ([], [])
    for _ in 0..<run.steps {
      let result = try session.accumulate(
        images, count: network.count, labels: labels, weights: nil, lossScale: 1 / known)
      losses.append(result.lossSum / known)
      norms.append(try session.apply(run.step))
    }
    return (losses, norms, session)
  }
}

@Suite struct ReferenceSessionTests {
  @Test func `an image's logits do not depend on its batch, its place or the threads`() throws {
    let network = try SmallNetwork.first()
    let images = try network.images(Float.self)
    let size = images.count / network.count
    func logits(_ order: [Int], threads: Int) throws -> [Float] {
      let plan = try Plan(
        network.architecture, mode: .inference, batchSize: 8, height: network.height, width: network.width)
      let session = ReferenceSession<Float>(plan, pool: ThreadPool(threads: threads))
      session.values = try network.session(Float.self, mode: .inference).values
      return try session.forward(order.flatMap { images[$0 * size..<($0 + 1) * size] }, count: order.count).logits
    }
    let alone = try (0..<3).map { try logits([$0], threads: 1) }
    #expect(try logits([2, 0, 1, 1, 0], threads: 2) == alone[2] + alone[0] + alone[1] + alone[1] + alone[0])
  }

  @Test func `training gives the same bits on one thread and on three`() throws {
    let network = try SmallNetwork.first()
    let labels = try network.labels()
    let gradients = try [1, 3].map { threads in
      let plan = try Plan(
        network.architecture, mode: .training, batchSize: 3, height: network.height, width: network.width)
      let session = ReferenceSession<Float>(plan, pool: ThreadPool(threads: threads))
      session.values = try network.session(Float.self, mode: .training).values
      _ = try session.accumulate(try network.images(Float.self), count: 3, labels: labels, weights: nil, lossScale: 0.1)
      return session.accumulatedGradients
    }
    #expect(gradients[0] == gradients[1])
  }

  @Test func `two micro-batches add up as their losses do`() throws {
    let network = try SmallNetwork.first()
    let session = try network.session(Double.self, mode: .training)
    let (images, labels) = (try network.images(Double.self), try network.labels())
    let start = session.values
    _ = try session.accumulate(images, count: 3, labels: labels, weights: nil, lossScale: 0.5)
    let once = session.accumulatedGradients
    session.values = start
    _ = try session.accumulate(images, count: 3, labels: labels, weights: nil, lossScale: 0.5)
    #expect(relativeDifference(session.accumulatedGradients, once.map { 2 * $0 }) < 1e-14)
  }

  @Test func `a gradient that is not finite changes nothing and is exit 10`() throws {
    let network = try SmallNetwork.first()
    let session = try network.session(Float.self, mode: .training)
    var images = try network.images(Float.self)
    images[5] = .nan
    _ = try session.accumulate(images, count: 3, labels: try network.labels(), weights: nil, lossScale: 1)
    let before = Array(session.values[..<session.plan.layout.trainedCount])
    #expect(throws: BackendError.notFinite(what: "a gradient")) {
      try session.apply(OptimizerStep(optimizer: .adam, learningRate: 1, weightDecay: 0))
    }
    #expect(Array(session.values[..<session.plan.layout.trainedCount]) == before)
    #expect(BackendError.notFinite(what: "").diagnosis.exit == .diverged)
  }
}
