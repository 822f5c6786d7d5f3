import CKernels
import Platform

/// One network in the fused engine.
final class CPUSession: Session {
  let plan: Plan
  private let inference: CPUInference
  private var weights: Weights

  init(_ plan: Plan, kernels: ck_kernels, team: WorkerTeam) {
    self.plan = plan
    weights = Weights(layout: plan.layout, values: [Float](repeating: 0, count: plan.layout.count))
    inference = CPUInference(plan, kernels: kernels, team: team)
  }

  func load(_ weights: Weights) {
    precondition(weights.layout == plan.layout, "weights of another network")
    self.weights = weights
    inference.load(weights.values)
  }

  func readWeights() -> Weights { weights }

  func infer(_ images: ImageBatch, keepingFeatures: Bool) -> Inference {
    precondition(plan.mode == .inference, "inference needs an inference plan")
    precondition(images.count <= plan.batchSize, "\(images.count) images in a plan of \(plan.batchSize)")
    precondition(images.shape == plan.image, "images of \(images.shape) in a plan of \(plan.image)")
    return inference.run(images.pixels, count: images.count, keepingFeatures: keepingFeatures)
  }

  func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome {
    preconditionFailure("this plan does not train")
  }

  func apply(_ step: OptimizerStep) throws(BackendError) -> Double { preconditionFailure("this plan does not train") }

  func readMoments() -> OptimizerMoments { OptimizerMoments(steps: 0, first: [], second: []) }

  func load(_ moments: OptimizerMoments) { preconditionFailure("this plan does not train") }
}
