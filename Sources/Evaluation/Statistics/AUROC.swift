/// The area under the ROC curve: `RankedScores.auroc`.
///
/// - Parameters:
///   - scores: any finite numbers; only their order matters.
///   - isPositive: one for each score.
/// - Returns: 0 … 1, or nil where there is no positive or no negative: it is undefined then, not ½.
public func auroc(scores: [Double], isPositive: [Bool]) -> Double? {
  RankedScores(scores: scores, isPositive: isPositive)?.auroc
}
