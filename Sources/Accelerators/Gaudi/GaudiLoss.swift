import Engine
import Foundation

/// Binary cross entropy over known labels, as the host takes part in it: the factors that a pass multiplies, and the sum of the loss.
struct GaudiLoss {
  /// w₊·y and w₋·(1 − y) of each label; both 0 where it is unknown.
  private let positive: [Double]
  private let negative: [Double]

  init(_ labels: LabelBatch, _ weights: ClassWeights?, classCount: Int) {
    positive = labels.labels.enumerated().map { index, label in
      label == .positive ? Double(weights?.positive[index % classCount] ?? 1) : 0
    }
    negative = labels.labels.enumerated().map { index, label in
      label == .negative ? Double(weights?.negative[index % classCount] ?? 1) : 0
    }
  }

  /// Writes what `GaudiLowering.backward` reads: the factors of all labels, then, at `start`, those of positive ones.
  func write(_ lossScale: Double, to floats: UnsafeMutableBufferPointer<Float>, positiveAt start: Int) {
    floats[..<(2 * start)].update(repeating: 0)
    for index in positive.indices {
      floats[index] = Float((positive[index] + negative[index]) * lossScale)
      floats[start + index] = Float(positive[index] * lossScale)
    }
  }

  /// Σ −w₊·y·log p − w₋·(1 − y)·log(1 − p), where −log p = log(1 + e^−z) and −log(1 − p) = log(1 + e^z), neither of which may overflow.
  func sum(_ logits: [Float]) -> Double {
    func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
    var sum = 0.0
    for (index, logit) in logits.enumerated() {
      let z = Double(logit)
      if positive[index] != 0 { sum += positive[index] * softplus(-z) }
      if negative[index] != 0 { sum += negative[index] * softplus(z) }
    }
    return sum
  }
}

extension Plan {
  /// Each batch norm, and the pixels of its maps.
  var normalizations: [(parameters: NormalizationParameters, area: Int)] {
    operations.flatMap { operation -> [(parameters: NormalizationParameters, area: Int)] in
      switch operation {
      case .stem(let stem): [(stem.normalization, stem.convolved.area)]
      case .denseLayer(let layer):
        [(layer.normalization1, layer.input.area), (layer.normalization2, layer.bottleneck.area)]
      case .transition(let transition): [(transition.normalization, transition.input.area)]
      case .head(let head): [(head.normalization, head.input.area)]
      case .loss: []
      }
    }
  }
}
