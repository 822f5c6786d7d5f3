import Foundation

/// One optimizer step over a flat range, element by element, as PyTorch's single-tensor implementations order it
/// (`torch/optim/sgd.py`, `adam.py`, `adamw.py`).
struct ReferenceOptimizer<Scalar: ReferenceScalar> {
  /// Of the features, and of the classifier.
  var steps = 0
  var classifierSteps = 0
  var first: [Scalar]
  var second: [Scalar]

  init(count: Int) {
    first = [Scalar](repeating: 0, count: count)
    second = first
  }

  /// Updates those of the first `gradients.count` of `values` that are in the step's scope. `classifier`: the last of them.
  mutating func apply(
    _ step: OptimizerStep, gradients: [Scalar], gradientScale: Scalar, classifier: Range<Int>, to values: inout [Scalar]
  ) {
    if step.scope == .network {
      steps += 1
      update(0..<classifier.lowerBound, step, number: steps, gradients, gradientScale, &values)
    }
    classifierSteps += 1
    update(classifier, step, number: classifierSteps, gradients, gradientScale, &values)
  }

  /// `number`: which step of these parameters this is, from 1.
  private mutating func update(
    _ range: Range<Int>, _ step: OptimizerStep, number: Int, _ gradients: [Scalar], _ gradientScale: Scalar,
    _ values: inout [Scalar]
  ) {
    let rate = Scalar(step.learningRate)
    let decay = Scalar(step.weightDecay)
    switch step.optimizer {
    case .sgd(let momentum, let nesterov):
      let momentum = Scalar(momentum)
      for index in range {
        let gradient = gradients[index] * gradientScale + decay * values[index]
        first[index] = number == 1 ? gradient : momentum * first[index] + gradient
        values[index] -= rate * (nesterov ? gradient + momentum * first[index] : first[index])
      }
    case .adam(let beta1, let beta2, let epsilon):
      adam(range, step, number, gradients, gradientScale, beta1, beta2, epsilon, isDecoupled: false, &values)
    case .adamW(let beta1, let beta2, let epsilon):
      adam(range, step, number, gradients, gradientScale, beta1, beta2, epsilon, isDecoupled: true, &values)
    }
  }

  private mutating func adam(
    _ range: Range<Int>, _ step: OptimizerStep, _ number: Int, _ gradients: [Scalar], _ gradientScale: Scalar,
    _ beta1: Double, _ beta2: Double, _ epsilon: Double, isDecoupled: Bool, _ values: inout [Scalar]
  ) {
    // The corrections for the zero start, in Double: 1 − βᵗ loses digits in Float.
    let correction1 = 1 - pow(beta1, Double(number))
    let correction2 = (1 - pow(beta2, Double(number))).squareRoot()
    let stepSize = Scalar(step.learningRate / correction1)
    let (root, epsilon) = (Scalar(correction2), Scalar(epsilon))
    let (b1, b2, decay) = (Scalar(beta1), Scalar(beta2), Scalar(step.weightDecay))
    let (c1, c2) = (Scalar(1 - beta1), Scalar(1 - beta2))
    let shrink = Scalar(1 - step.learningRate * step.weightDecay)
    for index in range {
      var gradient = gradients[index] * gradientScale
      if isDecoupled { values[index] *= shrink } else { gradient += decay * values[index] }
      first[index] = b1 * first[index] + c1 * gradient
      second[index] = b2 * second[index] + c2 * gradient * gradient
      values[index] -= stepSize * first[index] / (second[index].squareRoot() / root + epsilon)
    }
  }
}
