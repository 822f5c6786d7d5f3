/// Whether two sets of scores of the same images rank them differently well.
public struct PairedComparison: Equatable, Sendable {
  /// AUROC of the first less that of the second.
  public let difference: Double
  public let standardError: Double
  /// Their quotient; nil where both rank every patient alike, and nothing varies.
  public let z: Double?
  /// Two-sided; nil as `z`.
  public let pValue: Double?

  /// Nil where the variance is undefined.
  public init?(_ first: PlacementValues, _ second: PlacementValues) {
    precondition(
      first.positives == second.positives && first.negatives == second.negatives, "AUROCs of other images")
    guard let ofFirst = first.variance, let ofSecond = second.variance, let both = first.covariance(with: second) else {
      return nil
    }
    difference = first.auroc - second.auroc
    standardError = max(ofFirst + ofSecond - 2 * both, 0).squareRoot()
    z = standardError > 0 ? difference / standardError : nil
    pValue = z.map(NormalDistribution.twoSided)
  }
}

/// `pValues` as they count where as many are looked at: each at most 1, and none lower than a smaller one's (Holm, "A simple sequentially
/// rejective multiple test procedure", Scandinavian Journal of Statistics 1979). What is nil is no test, and stays nil.
public func holmCorrected(_ pValues: [Double?]) -> [Double?] {
  let order = pValues.indices.filter { pValues[$0] != nil }.sorted { (pValues[$0] ?? 0) < (pValues[$1] ?? 0) }
  var corrected = pValues
  var largest = 0.0
  for (place, index) in order.enumerated() {
    largest = max(largest, min(Double(order.count - place) * (pValues[index] ?? 0), 1))
    corrected[index] = largest
  }
  return corrected
}
