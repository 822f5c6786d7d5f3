import Platform

/// The textbook backend: the oracle of every other one. Runs on any processor.
public struct ReferenceBackend: Backend {
  public let name = "reference"
  let pool: ThreadPool

  public init(pool: ThreadPool) { self.pool = pool }

  public func makeSession(_ plan: Plan) -> any Session { ReferenceSession<Float>(plan, pool: pool) }
}

/// One network in the reference backend, in Float or Double.
public final class ReferenceSession<Scalar: ReferenceScalar>: Session {
  public let plan: Plan
  private var network: ReferenceNetwork<Scalar>
  private var gradients: [Scalar]
  private var optimizer: ReferenceOptimizer<Scalar>

  public init(_ plan: Plan, pool: ThreadPool) {
    // Opened before there are threads: it sets a variable of the environment.
    _ = OpenBLAS.loaded
    self.plan = plan
    network = ReferenceNetwork(plan: plan, pool: pool, values: [Scalar](repeating: 0, count: plan.layout.count))
    gradients = [Scalar](repeating: 0, count: plan.layout.trainedCount)
    optimizer = ReferenceOptimizer(count: plan.layout.trainedCount)
  }

  // MARK: In the session's own precision

  /// The flat buffer: trained parameters, then running statistics.
  public var values: [Scalar] {
    get { network.values }
    set {
      precondition(newValue.count == plan.layout.count)
      network.values = newValue
    }
  }

  /// Accumulated since the last step, in the order of the trained parameters.
  public var accumulatedGradients: [Scalar] { gradients }

  /// A forward pass over images `[N, C, H, W]`. In training mode it updates the running statistics.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func forward(_ images: [Scalar], count: Int) throws(BackendError) -> ReferenceNetwork<Scalar>.Tape {
    precondition(count <= plan.batchSize, "\(count) images in a plan of \(plan.batchSize)")
    return try network.forward(FeatureMaps(count: count, shape: plan.image, values: images))
  }

  /// A forward and a backward pass; returns the tape, the sum of the loss and, where wanted, the images' gradients.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  func accumulate(
    _ images: [Scalar], count: Int, labels: LabelBatch, weights: ClassWeights?, lossScale: Double,
    wantsImageGradients: Bool = false
  ) throws(BackendError) -> (tape: ReferenceNetwork<Scalar>.Tape, lossSum: Double, imageGradients: [Scalar]) {
    precondition(plan.mode == .training, "gradients need a training plan")
    let tape = try forward(images, count: count)
    let (sum, logitGradients) = ReferenceLoss.forward(
      logits: tape.logits, labels: labels, weights: weights, classCount: plan.architecture.classCount)
    let scale = Scalar(lossScale)
    let imageGradients = try network.backward(
      tape, logitGradients: logitGradients.map { $0 * scale }, into: &gradients,
      wantsImageGradients: wantsImageGradients)
    return (tape, sum, imageGradients?.values ?? [])
  }

  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  private func update(_ step: OptimizerStep) -> Double? {
    let classifier = plan.layout.classifier
    var squares = 0.0
    for gradient in gradients[(step.scope == .network ? 0 : classifier.lowerBound)...] {
      squares += Double(gradient) * Double(gradient)
    }
    let norm = squares.squareRoot()
    guard norm.isFinite else { return nil }
    // torch.nn.utils.clip_grad_norm_ divides by norm + 10⁻⁶.
    let scale = step.clipNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1
    optimizer.apply(
      step, gradients: gradients, gradientScale: Scalar(scale), classifier: classifier, to: &network.values)
    for index in gradients.indices { gradients[index] = 0 }
    return norm
  }

  // MARK: As every session

  public func load(_ weights: Weights) {
    precondition(weights.layout == plan.layout, "weights of another network")
    network.values = weights.values.map { Scalar($0) }
  }

  public func readWeights() -> Weights { Weights(layout: plan.layout, values: network.values.map { Float($0) }) }

  public func infer(_ images: ImageBatch, keepingFeatures: Bool) throws(BackendError) -> Inference {
    precondition(plan.mode == .inference, "inference needs an inference plan")
    let tape = try forward(images.pixels.map { Scalar($0) }, count: images.count)
    return Inference(
      logits: tape.logits.map { Float($0) }, features: keepingFeatures ? tape.features.values.map { Float($0) } : [])
  }

  public func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome {
    let (tape, sum, _) = try accumulate(
      images.pixels.map { Scalar($0) }, count: images.count, labels: labels, weights: weights, lossScale: lossScale)
    guard sum.isFinite else { throw .notFinite(what: "the loss (\(sum))") }
    return TrainingOutcome(lossSum: sum, logits: tape.logits.map { Float($0) })
  }

  public func synchronizeBatchNorm(over collective: any Collective) { network.collective = collective }

  public func reduce(over collective: any Collective, hasImages: Bool) throws(BackendError) {
    if collective.size == 1 { return }
    // In Double: of two Floats the sum is rounded once, as Float's own.
    gradients = try collective.sum(gradients.map { Double($0) }).map { Scalar($0) }
    let trained = plan.layout.trainedCount
    let statistics = network.values[trained...].map { hasImages ? Double($0) : 0 }
    let sums = try collective.sum(statistics + [hasImages ? 1 : 0])
    for (index, sum) in zip(trained..., sums.dropLast()) {
      network.values[index] = Scalar(sum) / Scalar(max(sums[sums.count - 1], 1))
    }
  }

  public func apply(_ step: OptimizerStep) throws(BackendError) -> Double {
    guard let norm = update(step) else { throw .notFinite(what: "a gradient") }
    return norm
  }

  public func readMoments() -> OptimizerMoments {
    OptimizerMoments(
      steps: optimizer.steps, classifierSteps: optimizer.classifierSteps, first: optimizer.first.map { Float($0) },
      second: optimizer.second.map { Float($0) })
  }

  public func load(_ moments: OptimizerMoments) {
    precondition(moments.first.count == plan.layout.trainedCount && moments.second.count == plan.layout.trainedCount)
    optimizer.steps = moments.steps
    optimizer.classifierSteps = moments.classifierSteps
    optimizer.first = moments.first.map { Scalar($0) }
    optimizer.second = moments.second.map { Scalar($0) }
  }
}
