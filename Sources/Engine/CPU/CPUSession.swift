import CKernels
import Platform

/// One network in the fused engine.
final class CPUSession: Session {
  /// What a plan's mode needs.
  private enum Network {
    case inference(CPUInference, Weights)
    case training(CPUTraining)
  }

  let plan: Plan
  private var network: Network

  init(_ plan: Plan, kernels: ck_kernels, _ precision: Precision, team: WorkerTeam, isMemoryEfficient: Bool) {
    self.plan = plan
    switch plan.mode {
    case .inference:
      network = .inference(
        CPUInference(plan, kernels: kernels, precision, team: team),
        Weights(layout: plan.layout, values: [Float](repeating: 0, count: plan.layout.count)))
    case .training:
      network = .training(
        CPUTraining(plan, kernels: kernels, precision, team: team, isMemoryEfficient: isMemoryEfficient))
    }
  }

  var memoryBytes: Int? {
    switch network {
    case .inference: nil
    case .training(let training): training.arena.bytes + training.memory.bytes
    }
  }

  private var training: CPUTraining {
    guard case .training(let training) = network else { preconditionFailure("training needs a training plan") }
    return training
  }

  private func check(_ images: ImageBatch) {
    precondition(images.count <= plan.batchSize, "\(images.count) images in a plan of \(plan.batchSize)")
    precondition(images.shape == plan.image, "images of \(images.shape) in a plan of \(plan.image)")
  }

  func load(_ weights: Weights) {
    precondition(weights.layout == plan.layout, "weights of another network")
    switch network {
    case .inference(let inference, _):
      inference.load(weights.values)
      network = .inference(inference, weights)
    case .training(let training):
      training.values.update(from: weights.values, count: weights.values.count)
    }
  }

  func readWeights() -> Weights {
    switch network {
    case .inference(_, let weights): weights
    case .training(let training): Weights(layout: plan.layout, values: copy(training.values, plan.layout.count))
    }
  }

  func infer(_ images: ImageBatch, keepingFeatures: Bool) -> Inference {
    guard case .inference(let inference, _) = network else { preconditionFailure("inference needs an inference plan") }
    check(images)
    return inference.run(images.pixels, count: images.count, keepingFeatures: keepingFeatures)
  }

  func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome {
    check(images)
    let logits = try training.forward(images.pixels, count: images.count)
    let (sum, logitGradients) = ReferenceLoss.forward(
      logits: logits, labels: labels, weights: weights, classCount: plan.architecture.classCount)
    let scale = Float(lossScale)
    try training.backward(logitGradients.map { $0 * scale }, count: images.count)
    guard sum.isFinite else { throw .notFinite(what: "the loss (\(sum))") }
    return TrainingOutcome(lossSum: sum, logits: logits)
  }

  func synchronizeBatchNorm(over collective: any Collective) { training.collective = collective }

  func reduce(over collective: any Collective, hasImages: Bool) throws(BackendError) {
    if collective.size == 1 { return }
    let (trained, count) = (plan.layout.trainedCount, plan.layout.count)
    try collective.sum(UnsafeMutableBufferPointer(start: training.gradients, count: trained))
    try collective.average(
      UnsafeMutableBufferPointer(start: training.values + trained, count: count - trained), takesPart: hasImages)
  }

  /// Accumulated since the last step, in the order of the trained parameters.
  var accumulatedGradients: [Float] { copy(training.gradients, plan.layout.trainedCount) }

  func apply(_ step: OptimizerStep) throws(BackendError) -> Double {
    guard let norm = training.apply(step) else { throw .notFinite(what: "a gradient") }
    return norm
  }

  func readMoments() -> OptimizerMoments {
    let count = plan.layout.trainedCount
    return OptimizerMoments(
      steps: training.steps, classifierSteps: training.classifierSteps, first: copy(training.first, count),
      second: copy(training.second, count))
  }

  func load(_ moments: OptimizerMoments) {
    let count = plan.layout.trainedCount
    precondition(moments.first.count == count && moments.second.count == count)
    training.steps = moments.steps
    training.classifierSteps = moments.classifierSteps
    training.first.update(from: moments.first, count: count)
    training.second.update(from: moments.second, count: count)
  }

  private func copy(_ values: UnsafeMutablePointer<Float>, _ count: Int) -> [Float] {
    Array(UnsafeBufferPointer(start: values, count: count))
  }
}
