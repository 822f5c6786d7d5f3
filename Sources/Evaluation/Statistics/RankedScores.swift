/// The scores of a finding in order: what areas, curves and operating points are made of.
public struct RankedScores: Sendable {
  /// Scores that are equal.
  public struct Level: Equatable, Sendable {
    public let score: Double
    public let positives: Int
    public let negatives: Int
  }

  /// From the lowest score up.
  public let levels: [Level]
  public let positives: Int
  public let negatives: Int
  /// The scores' indices, from the lowest up.
  let order: [Int]

  /// - Parameters:
  ///   - scores: any finite numbers.
  ///   - isPositive: one for each score.
  ///
  /// Nil where there is no positive or no negative: nothing is ranked then.
  public init?(scores: [Double], isPositive: [Bool]) {
    precondition(scores.count == isPositive.count)
    positives = isPositive.count { $0 }
    negatives = scores.count - positives
    guard positives > 0, negatives > 0 else { return nil }
    // Sorted with their scores beside them: a comparison looks nowhere else.
    let ordered = zip(scores, scores.indices).map { (score: $0, index: $1) }.sorted { $0.score < $1.score }
    var levels: [Level] = []
    var first = 0
    while first < ordered.count {
      var (end, positives) = (first, 0)
      while end < ordered.count, ordered[end].score == ordered[first].score {
        if isPositive[ordered[end].index] { positives += 1 }
        end += 1
      }
      levels.append(Level(score: ordered[first].score, positives: positives, negatives: end - first - positives))
      first = end
    }
    self.levels = levels
    order = ordered.map(\.index)
  }

  /// The area under the ROC curve: the probability that a positive scores above a negative, ties counted half (Hanley and McNeil, "The meaning
  /// and use of the area under a receiver operating characteristic (ROC) curve", Radiology 1982).
  ///
  /// Counted in whole halves of pairs: exact in Double up to 10⁸ scores, then one division.
  public var auroc: Double {
    var (pairs, below) = (0.0, 0)
    for level in levels {
      pairs += Double(level.positives) * Double(2 * below + level.negatives)
      below += level.negatives
    }
    return pairs / (2 * Double(positives) * Double(negatives))
  }

  /// Σ (Rₙ − Rₙ₋₁) Pₙ over the levels from the highest down, R the recall and P the precision of what is at or above a level: the average
  /// precision of scikit-learn's `average_precision_score`, which interpolates nothing.
  public var averagePrecision: Double {
    var (sum, hits, taken) = (0.0, 0, 0)
    for level in levels.reversed() {
      hits += level.positives
      taken += level.positives + level.negatives
      sum += Double(level.positives) * Double(hits) / Double(taken)
    }
    return sum / Double(positives)
  }

  /// For each level as a threshold, the highest first: how many positives and negatives are at or above it.
  public var cumulative: [(score: Double, truePositives: Int, falsePositives: Int)] {
    var (hits, alarms) = (0, 0)
    return levels.reversed().map { level in
      hits += level.positives
      alarms += level.negatives
      return (level.score, hits, alarms)
    }
  }
}
