import CKernels
import Foundation

/// The optimizer's step, in the order of PyTorch's single-tensor implementations, as `ReferenceOptimizer`.
extension CPUTraining {
  /// Updates the trained parameters in the step's scope and zeroes all gradients; returns the norm of those in the scope, or
  /// nil, with nothing changed, where it is not finite.
  func apply(_ step: OptimizerStep) -> Double? {
    let classifier = plan.layout.classifier
    let features = 0..<classifier.lowerBound
    let isWhole = step.scope == .network
    let norm = ((isWhole ? sumOfSquares(features) : 0) + sumOfSquares(classifier)).squareRoot()
    guard norm.isFinite else { return nil }
    // torch.nn.utils.clip_grad_norm_ divides by norm + 10⁻⁶.
    let scale = Float(step.clipNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1)
    if isWhole {
      steps += 1
      update(features, step, number: steps, scale)
    } else {
      gradients.update(repeating: 0, count: features.count)
    }
    classifierSteps += 1
    update(classifier, step, number: classifierSteps, scale)
    return norm
  }

  /// `number`: which step of these parameters this is, from 1.
  private func update(_ range: Range<Int>, _ step: OptimizerStep, number: Int, _ scale: Float) {
    switch step.optimizer {
    case .sgd(let momentum, let nesterov):
      let sgd = ck_sgd_step(
        gradient_scale: scale, decay: Float(step.weightDecay), rate: Float(step.learningRate),
        momentum: Float(momentum), nesterov: nesterov ? 1 : 0, first_step: number == 1 ? 1 : 0)
      forEachChunk(of: range) { _, start, count in
        var sgd = sgd
        kernels.optimizer.sgd(values + start, first + start, gradients + start, &sgd, count)
        (gradients + start).update(repeating: 0, count: count)
      }
    case .adam(let beta1, let beta2, let epsilon):
      adam(range, step, number, scale, beta1, beta2, epsilon, isDecoupled: false)
    case .adamW(let beta1, let beta2, let epsilon):
      adam(range, step, number, scale, beta1, beta2, epsilon, isDecoupled: true)
    }
  }

  private func adam(
    _ range: Range<Int>, _ step: OptimizerStep, _ number: Int, _ scale: Float, _ beta1: Double, _ beta2: Double,
    _ epsilon: Double, isDecoupled: Bool
  ) {
    let correction1 = 1 - pow(beta1, Double(number))
    let correction2 = (1 - pow(beta2, Double(number))).squareRoot()
    let adam = ck_adam_step(
      gradient_scale: scale, decay: isDecoupled ? 0 : Float(step.weightDecay),
      shrink: isDecoupled ? Float(1 - step.learningRate * step.weightDecay) : 1, beta1: Float(beta1),
      beta2: Float(beta2), rest1: Float(1 - beta1), rest2: Float(1 - beta2),
      step_size: Float(step.learningRate / correction1), root: Float(correction2), epsilon: Float(epsilon))
    forEachChunk(of: range) { _, start, count in
      var adam = adam
      kernels.optimizer.adam(values + start, first + start, second + start, gradients + start, &adam, count)
      (gradients + start).update(repeating: 0, count: count)
    }
  }

  /// Of gradients: chunks' sums in order, whoever computed them.
  private func sumOfSquares(_ range: Range<Int>) -> Double {
    var squares = [Double](repeating: 0, count: Self.chunkCount(range))
    squares.withUnsafeMutableBufferPointer { squares in
      forEachChunk(of: range) { index, start, count in
        squares[index] = kernels.optimizer.sum_of_squares(gradients + start, count)
      }
    }
    return squares.reduce(0, +)
  }

  private static let chunk = 1 << 16

  private static func chunkCount(_ range: Range<Int>) -> Int { (range.count + chunk - 1) / chunk }

  private func forEachChunk(of range: Range<Int>, _ body: (_ index: Int, _ start: Int, _ count: Int) -> Void) {
    team.forEach(Self.chunkCount(range)) { index in
      let start = range.lowerBound + index * Self.chunk
      body(index, start, min(Self.chunk, range.upperBound - start))
    }
  }
}
