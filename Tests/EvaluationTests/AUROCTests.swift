import Evaluation
import Platform
import Testing

/// The definition itself: over all pairs of a positive and a negative, the share in which the positive is higher, ties half.
private func byPairs(_ scores: [Double], _ isPositive: [Bool]) -> Double? {
  let positives = zip(scores, isPositive).filter(\.1).map(\.0)
  let negatives = zip(scores, isPositive).filter { !$0.1 }.map(\.0)
  guard !positives.isEmpty, !negatives.isEmpty else { return nil }
  var wins = 0.0
  for p in positives {
    for n in negatives { wins += p > n ? 1 : p == n ? 0.5 : 0 }
  }
  return wins / Double(positives.count * negatives.count)
}

@Suite struct AUROCTests {
  /// Values of scikit-learn's documentation and ones that can be counted by hand.
  @Test(
    arguments: [
      ([0.1, 0.4, 0.35, 0.8], [false, false, true, true], 0.75),
      ([1, 1, 1, 1], [false, true, false, true], 0.5),
      ([0, 1, 2], [false, false, true], 1),
      ([2, 1, 0], [false, false, true], 0),
      ([0.5, 0.5, 0.2, 0.9], [true, false, false, true], 0.875),
    ] as [([Double], [Bool], Double)])
  func `counts pairs, ties half`(scores: [Double], isPositive: [Bool], expected: Double) {
    #expect(auroc(scores: scores, isPositive: isPositive) == expected)
  }

  @Test(arguments: [[true, true], [false, false], []])
  func `is undefined without a positive or without a negative`(isPositive: [Bool]) {
    #expect(auroc(scores: isPositive.map { _ in 0.5 }, isPositive: isPositive) == nil)
  }

  /// 10⁻¹²: both are quotients of exact integers, rounded once or twice.
  @Test func `equals the count of pairs on 10,000 random sets of scores with many ties`() {
    for seed in 0..<10_000 {
      var random = CounterRandom(seed: UInt64(seed), purpose: .augmentation)
      let count = 2 + random.below(200)
      let levels = 1 + random.below(50)
      let scores = (0..<count).map { _ in Double(random.below(levels)) / 7 - 1 }
      let isPositive = (0..<count).map { _ in random.uniform() < 0.3 }
      switch (auroc(scores: scores, isPositive: isPositive), byPairs(scores, isPositive)) {
      case (let found?, let expected?): #expect(abs(found - expected) < 1e-12, "seed \(seed)")
      case (let found, let expected): #expect(found == expected, "seed \(seed)")
      }
    }
  }
}
