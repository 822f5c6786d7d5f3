import Evaluation
import Platform

extension Settings {
  /// One finding over ChestX-ray14's test list of 25,596 images, a tenth positive; probabilities of nine digits.
  func areaUnderCurve() throws -> Work {
    let count = 25_596
    var random = CounterRandom(seed: 1, purpose: .shuffle)
    let scores = (0..<count).map { _ in (random.uniform() * 1e9).rounded() / 1e9 }
    let isPositive = (0..<count).map { _ in random.uniform() < 0.1 }
    return Work(unit: .scoresPerSecond(count: count), subject: "one finding, \(count) scores") {
      _ = auroc(scores: scores, isPositive: isPositive)
    }
  }
}
