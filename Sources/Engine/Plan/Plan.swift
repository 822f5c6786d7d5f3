/// Everything that one network does to a batch of at most N images of H × W pixels, in order.
public struct Plan: Equatable, Sendable {
  public enum Mode: Equatable, Sendable {
    /// Batch norms use their running statistics; no gradients.
    case inference
    /// Batch norms use the batch's statistics and update the running ones; ends in a loss.
    case training
  }

  public let layout: ParameterLayout
  public let mode: Mode
  /// N: the largest batch that a session of this plan takes.
  public let batchSize: Int
  /// One image.
  public let image: FeatureShape
  public let operations: [Operation]

  /// The feature map that the classifier sees, and that a class activation map is drawn from.
  public let features: FeatureShape

  public var architecture: DenseNetArchitecture { layout.architecture }
}
