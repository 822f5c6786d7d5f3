/// Binary cross entropy with logits, summed over known labels.
enum ReferenceLoss {
  /// The sum over known labels of −w₊·y·log σ(z) − w₋·(1 − y)·log(1 − σ(z)), and its gradient for each logit, `[N, L]`.
  ///
  /// log σ(z) = −softplus(−z) and log(1 − σ(z)) = −softplus(z), where softplus(z) = max(z, 0) + log(1 + e^−|z|) neither
  /// overflows nor loses digits.
  static func forward<Scalar: ReferenceScalar>(
    logits: [Scalar], labels: LabelBatch, weights: ClassWeights?, classCount: Int
  ) -> (sum: Double, logitGradients: [Scalar]) {
    precondition(labels.labels.count == logits.count)
    var sum = 0.0
    let gradients: [Scalar] = logits.indices.map { index in
      let logit = logits[index]
      let positive = Scalar(weights?.positive[index % classCount] ?? 1)
      let negative = Scalar(weights?.negative[index % classCount] ?? 1)
      let probability = sigmoid(logit)
      switch labels.labels[index] {
      case .positive:
        sum += Double(positive * softplus(-logit))
        return positive * (probability - 1)
      case .negative:
        sum += Double(negative * softplus(logit))
        return negative * probability
      case .unknown:
        return 0
      }
    }
    return (sum, gradients)
  }

  private static func softplus<Scalar: ReferenceScalar>(_ x: Scalar) -> Scalar {
    max(x, 0) + Scalar.logarithmOfOnePlus(Scalar.exponential(-abs(x)))
  }
}

/// 1/(1 + e^−x), without overflow.
public func sigmoid<Scalar: ReferenceScalar>(_ x: Scalar) -> Scalar {
  if x >= 0 { return 1 / (1 + Scalar.exponential(-x)) }
  let exponential = Scalar.exponential(x)
  return exponential / (1 + exponential)
}
