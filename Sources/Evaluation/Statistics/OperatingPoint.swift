/// How a threshold is chosen, on images that are not those it is judged on.
public enum ThresholdRule: String, CaseIterable, Sendable {
  /// The largest sensitivity + specificity − 1 (Youden, "Index for rating diagnostic tests", Cancer 1950).
  case youden
  /// The largest harmonic mean of precision and recall.
  case f1
  /// The highest threshold whose sensitivity is at least 0.95.
  case sensitivity95 = "sensitivity-0.95"
  /// The lowest threshold whose specificity is at least 0.95.
  case specificity95 = "specificity-0.95"
}

extension RankedScores {
  /// The score from which on an image counts as positive; the highest, where several are as good.
  ///
  /// Nil where none gives what the rule wants: over a twentieth of the negatives share the highest score.
  public func threshold(_ rule: ThresholdRule) -> Double? {
    let points = cumulative
    func best(_ merit: (Int, Int) -> Double) -> Double? {
      var best: (score: Double, merit: Double)?
      for point in points {
        let merit = merit(point.truePositives, point.falsePositives)
        if merit > best?.merit ?? -.infinity { best = (point.score, merit) }
      }
      return best?.score
    }
    switch rule {
    // Multiplied by both counts: whole numbers, so that what is as good is equal.
    case .youden: return best { Double($0 * negatives - $1 * positives) }
    case .f1: return best { 2 * Double($0) / Double($0 + $1 + positives) }
    case .sensitivity95: return points.first { 20 * $0.truePositives >= 19 * positives }?.score
    case .specificity95: return points.last { 20 * (negatives - $0.falsePositives) >= 19 * negatives }?.score
    }
  }
}

/// What a threshold makes of images.
public struct OperatingPoint: Equatable, Sendable {
  /// `hits` of `count`.
  public struct Proportion: Equatable, Sendable {
    public let hits: Int
    public let count: Int

    /// 0 … 1; nil of nothing.
    public var value: Double? { count > 0 ? Double(hits) / Double(count) : nil }
    /// Wilson's, of 95 %: as if every image were of another patient.
    public var interval: ConfidenceInterval? { ConfidenceInterval(hits: hits, of: count) }
  }

  public let threshold: Double
  public let truePositives: Int
  public let falsePositives: Int
  public let trueNegatives: Int
  public let falseNegatives: Int

  /// An image is positive where its score is at least `threshold`.
  public init(threshold: Double, scores: [Double], isPositive: [Bool]) {
    precondition(scores.count == isPositive.count)
    self.threshold = threshold
    let above = zip(scores, isPositive).filter { $0.0 >= threshold }
    truePositives = above.count { $0.1 }
    falsePositives = above.count - truePositives
    let positives = isPositive.count { $0 }
    falseNegatives = positives - truePositives
    trueNegatives = scores.count - positives - falsePositives
  }

  public var sensitivity: Proportion { Proportion(hits: truePositives, count: truePositives + falseNegatives) }
  public var specificity: Proportion { Proportion(hits: trueNegatives, count: trueNegatives + falsePositives) }
  /// PPV.
  public var positivePredictiveValue: Proportion {
    Proportion(hits: truePositives, count: truePositives + falsePositives)
  }
  /// NPV.
  public var negativePredictiveValue: Proportion {
    Proportion(hits: trueNegatives, count: trueNegatives + falseNegatives)
  }
}
