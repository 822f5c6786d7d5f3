/// The area under the ROC curve: the probability that a positive scores above a negative, ties counted half.
///
/// Computed from the rank sum of the positives with tied ranks averaged (Hanley and McNeil, "The meaning and use of the area
/// under a receiver operating characteristic (ROC) curve", Radiology 1982). All sums are exact in Double up to 10⁸ scores.
///
/// - Parameters:
///   - scores: any finite numbers; only their order matters.
///   - isPositive: one for each score.
/// - Returns: 0 … 1, or nil where there is no positive or no negative: it is undefined then, not ½.
public func auroc(scores: [Double], isPositive: [Bool]) -> Double? {
  precondition(scores.count == isPositive.count)
  let positives = isPositive.count { $0 }
  let negatives = scores.count - positives
  guard positives > 0, negatives > 0 else { return nil }
  let order = scores.indices.sorted { scores[$0] < scores[$1] }
  // Twice the rank sum of the positives: a group of ties from rank a to rank b (from 1) has the average rank (a + b)/2.
  var doubledRankSum = 0.0
  var first = 0
  while first < order.count {
    var end = first
    var positivesInGroup = 0
    while end < order.count, scores[order[end]] == scores[order[first]] {
      if isPositive[order[end]] { positivesInGroup += 1 }
      end += 1
    }
    doubledRankSum += Double(positivesInGroup) * Double(first + 1 + end)
    first = end
  }
  let smallest = Double(positives) * Double(positives + 1)
  return (doubledRankSum - smallest) / (2 * Double(positives) * Double(negatives))
}
