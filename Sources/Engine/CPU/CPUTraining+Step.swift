import CKernels
import Foundation

/// The optimizer's step, in the order of PyTorch's single-tensor implementations, as `ReferenceOptimizer`.
extension CPUTraining {
  /// Updates the trained parameters and zeroes the gradients; returns the gradients' norm, or nil, with nothing changed, where it
  /// is not finite.
  func apply(_ step: OptimizerStep) -> Double? {
    let norm = gradientNorm()
    guard norm.isFinite else { return nil }
    // torch.nn.utils.clip_grad_norm_ divides by norm + 10⁻⁶.
    let scale = Float(step.clipNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1)
    steps += 1
    switch step.optimizer {
    case .sgd(let momentum, let nesterov):
      let sgd = ck_sgd_step(
        gradient_scale: scale, decay: Float(step.weightDecay), rate: Float(step.learningRate),
        momentum: Float(momentum), nesterov: nesterov ? 1 : 0, first_step: steps == 1 ? 1 : 0)
      forEachChunk { start, count in
        var sgd = sgd
        kernels.optimizer.sgd(values + start, first + start, gradients + start, &sgd, count)
        (gradients + start).update(repeating: 0, count: count)
      }
    case .adam(let beta1, let beta2, let epsilon):
      adam(step, scale, beta1, beta2, epsilon, isDecoupled: false)
    case .adamW(let beta1, let beta2, let epsilon):
      adam(step, scale, beta1, beta2, epsilon, isDecoupled: true)
    }
    return norm
  }

  private func adam(
    _ step: OptimizerStep, _ scale: Float, _ beta1: Double, _ beta2: Double, _ epsilon: Double, isDecoupled: Bool
  ) {
    let correction1 = 1 - pow(beta1, Double(steps))
    let correction2 = (1 - pow(beta2, Double(steps))).squareRoot()
    let adam = ck_adam_step(
      gradient_scale: scale, decay: isDecoupled ? 0 : Float(step.weightDecay),
      shrink: isDecoupled ? Float(1 - step.learningRate * step.weightDecay) : 1, beta1: Float(beta1),
      beta2: Float(beta2), rest1: Float(1 - beta1), rest2: Float(1 - beta2),
      step_size: Float(step.learningRate / correction1), root: Float(correction2), epsilon: Float(epsilon))
    forEachChunk { start, count in
      var adam = adam
      kernels.optimizer.adam(values + start, first + start, second + start, gradients + start, &adam, count)
      (gradients + start).update(repeating: 0, count: count)
    }
  }

  /// The global norm: chunks' sums in order, whoever computed them.
  private func gradientNorm() -> Double {
    var squares = [Double](repeating: 0, count: chunkCount)
    squares.withUnsafeMutableBufferPointer { squares in
      forEachChunk { start, count in
        squares[start / Self.chunk] = kernels.optimizer.sum_of_squares(gradients + start, count)
      }
    }
    return squares.reduce(0, +).squareRoot()
  }

  private static let chunk = 1 << 16
  private var chunkCount: Int { (plan.layout.trainedCount + Self.chunk - 1) / Self.chunk }

  private func forEachChunk(_ body: (_ start: Int, _ count: Int) -> Void) {
    team.forEach(chunkCount) { index in
      let start = index * Self.chunk
      body(start, min(Self.chunk, plan.layout.trainedCount - start))
    }
  }
}
