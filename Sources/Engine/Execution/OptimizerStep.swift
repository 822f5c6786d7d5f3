import Foundation

/// How gradients become an update, as PyTorch's optimizers define it (`torch.optim.SGD`, `Adam`, `AdamW`).
public enum Optimizer: Equatable, Sendable {
  /// v ← momentum · v + g (v = g on the first step); w ← w − lr · v, or lr · (g + momentum · v) with Nesterov's look-ahead.
  case sgd(momentum: Double, nesterov: Bool)
  /// Kingma and Ba, ICLR 2015; weight decay is added to the gradient.
  case adam(beta1: Double, beta2: Double, epsilon: Double)
  /// Loshchilov and Hutter, ICLR 2019; weight decay is decoupled from the gradient.
  case adamW(beta1: Double, beta2: Double, epsilon: Double)

  public static let adam = Optimizer.adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
  public static let adamW = Optimizer.adamW(beta1: 0.9, beta2: 0.999, epsilon: 1e-8)
}

/// Which parameters a step updates.
public enum OptimizerScope: Equatable, Sendable {
  case network
  /// The classifier's weights and biases. The features keep their weights, their moments and their count of steps, as those of
  /// PyTorch that do not require gradients; their batch norms still normalise by the batch and update their running statistics.
  case classifier
}

/// One update of the trained parameters.
public struct OptimizerStep: Equatable, Sendable {
  public var optimizer: Optimizer
  public var learningRate: Double
  /// λ: of every trained parameter, as in PyTorch's default parameter group.
  public var weightDecay: Double
  /// The gradients in the scope are scaled down to this global norm where theirs is larger; nil: never.
  public var clipNorm: Double?
  public var scope: OptimizerScope

  public init(
    optimizer: Optimizer, learningRate: Double, weightDecay: Double, clipNorm: Double? = nil,
    scope: OptimizerScope = .network
  ) {
    self.optimizer = optimizer
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.clipNorm = clipNorm
    self.scope = scope
  }
}

/// What an optimizer remembers between steps: one value a trained parameter in each.
public struct OptimizerMoments: Equatable, Sendable {
  /// Steps that the features have taken.
  public var steps: Int
  /// Steps that the classifier has taken: those of either scope.
  public var classifierSteps: Int
  /// SGD's velocity, or Adam's mean of gradients.
  public var first: [Float]
  /// Adam's mean of squared gradients; unused by SGD.
  public var second: [Float]

  /// `classifierSteps`: nil for as many as `steps`.
  public init(steps: Int, classifierSteps: Int? = nil, first: [Float], second: [Float]) {
    self.steps = steps
    self.classifierSteps = classifierSteps ?? steps
    self.first = first
    self.second = second
  }
}
