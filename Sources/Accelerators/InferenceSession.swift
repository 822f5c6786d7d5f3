import Engine

/// A session that only infers: its backend makes another for training, and what only training asks for is asked of that.
protocol InferenceSession: Session {}

extension InferenceSession {
  private var untrained: Never { preconditionFailure("training needs a training plan") }

  func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome { untrained }

  func synchronizeBatchNorm(over collective: any Collective) { untrained }
  func reduce(over collective: any Collective, hasImages: Bool) throws(BackendError) { untrained }
  func apply(_ step: OptimizerStep) throws(BackendError) -> Double { untrained }
  func readMoments() -> OptimizerMoments { untrained }
  func load(_ moments: OptimizerMoments) { untrained }
}
