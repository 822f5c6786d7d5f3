/// Whether probabilities are what they say.
public struct Calibration: Equatable, Sendable {
  /// Probabilities between two bounds.
  public struct Bin: Equatable, Sendable {
    public let count: Int
    /// The mean of the probabilities, 0 … 1.
    public let probability: Double
    /// The share of positives, 0 … 1.
    public let share: Double
  }

  /// The mean of (p − y)² (Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 1950; for two classes
  /// the half of his, as scikit-learn's `brier_score_loss`).
  public let brier: Double
  /// The expected calibration error: Σ |share − probability| over the bins, weighed by their counts (Guo et al., "On calibration of modern
  /// neural networks", ICML 2017, equation 5: 15 bins of equal width, closed above).
  public let expectedError: Double
  /// Those that are not empty, from the lowest probability up.
  public let bins: [Bin]

  static let binCount = 15

  /// Nil where there are no probabilities, or one is none: outside of 0 … 1.
  public init?(probabilities: [Double], isPositive: [Bool]) {
    precondition(probabilities.count == isPositive.count)
    guard !probabilities.isEmpty, probabilities.allSatisfy({ (0...1).contains($0) }) else { return nil }
    var sums = [(count: Int, probability: Double, positives: Int)](repeating: (0, 0, 0), count: Self.binCount)
    var squares = 0.0
    for (probability, isPositive) in zip(probabilities, isPositive) {
      let error = probability - (isPositive ? 1 : 0)
      squares += error * error
      let bin = max(Int((probability * Double(Self.binCount)).rounded(.up)) - 1, 0)
      sums[bin].count += 1
      sums[bin].probability += probability
      sums[bin].positives += isPositive ? 1 : 0
    }
    let count = Double(probabilities.count)
    brier = squares / count
    expectedError = sums.reduce(0) { $0 + abs(Double($1.positives) - $1.probability) } / count
    bins = sums.filter { $0.count > 0 }.map {
      Bin(
        count: $0.count, probability: $0.probability / Double($0.count), share: Double($0.positives) / Double($0.count))
    }
  }
}
