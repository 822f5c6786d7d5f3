/// Where each score of a finding lies among the scores of the other kind: what the AUROC, its variance and its covariances are made of.
///
/// The placement value of a positive is the share of the negatives below it, that of a negative the share of the positives above it, ties
/// counted half (DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic
/// curves", Biometrics 1988: V10 and V01). Their means are both the AUROC. Found from ranks, in n log n (Sun and Xu, "Fast implementation of
/// DeLong's algorithm", IEEE Signal Processing Letters 2014).
///
/// Images of one patient are no independent samples: variances take what a patient's images say together (Obuchowski, "Nonparametric analysis
/// of clustered ROC curve data", Biometrics 1997, section 3). Where every image has a patient of its own, they are DeLong's.
public struct PlacementValues: Sendable {
  /// The area under the ROC curve, 0 … 1.
  public let auroc: Double
  public let positives: Int
  public let negatives: Int
  /// Sums over the positives, and over the negatives, of each cluster that has some known image: what their placement values exceed the AUROC by.
  private let excess: [(positives: Double, negatives: Double)]
  /// Clusters that have an image, a positive, a negative. Numbers that no image has are none.
  private let clusters: Int
  private let positiveClusters: Int
  private let negativeClusters: Int

  /// - Parameters:
  ///   - scores: any finite numbers; only their order matters.
  ///   - isPositive: one for each score.
  ///   - clusters: the patient of each score, as a number from 0 on; nil where each score stands for itself. Of several sets of scores
  ///     that are compared, the same image has the same number.
  ///
  /// Nil where there is no positive or no negative: nothing is defined then.
  public init?(scores: [Double], isPositive: [Bool], clusters: [Int]? = nil) {
    guard let ranked = RankedScores(scores: scores, isPositive: isPositive) else { return nil }
    self.init(ranked, isPositive: isPositive, clusters: clusters)
  }

  /// `ranked`: of scores with the labels `isPositive`.
  init(_ ranked: RankedScores, isPositive: [Bool], clusters: [Int]? = nil) {
    precondition(ranked.order.count == isPositive.count && clusters.map { $0.count == isPositive.count } != false)
    (positives, negatives, auroc) = (ranked.positives, ranked.negatives, ranked.auroc)
    let clusters = clusters ?? Array(isPositive.indices)
    var placements = [Double](repeating: 0, count: isPositive.count)
    var (below, first) = ((positives: 0, negatives: 0), 0)
    for tied in ranked.levels {
      let end = first + tied.positives + tied.negatives
      let ofPositive = (Double(below.negatives) + Double(tied.negatives) / 2) / Double(negatives)
      let above = positives - below.positives - tied.positives
      let ofNegative = (Double(above) + Double(tied.positives) / 2) / Double(positives)
      for index in ranked.order[first..<end] { placements[index] = isPositive[index] ? ofPositive : ofNegative }
      below = (below.positives + tied.positives, below.negatives + tied.negatives)
      first = end
    }

    var excess = [(positives: Double, negatives: Double)](repeating: (0, 0), count: (clusters.max() ?? -1) + 1)
    var (hasPositive, hasNegative) = (
      [Bool](repeating: false, count: excess.count), [Bool](repeating: false, count: excess.count)
    )
    for (index, cluster) in clusters.enumerated() {
      if isPositive[index] {
        excess[cluster].positives += placements[index] - auroc
        hasPositive[cluster] = true
      } else {
        excess[cluster].negatives += placements[index] - auroc
        hasNegative[cluster] = true
      }
    }
    self.excess = excess
    positiveClusters = hasPositive.count { $0 }
    negativeClusters = hasNegative.count { $0 }
    self.clusters = zip(hasPositive, hasNegative).count { $0 || $1 }
  }

  /// Of the AUROC; nil where one cluster has all positives, or all negatives.
  public var variance: Double? { covariance(with: self) }

  /// Of this AUROC and of another of the same clusters: other scores of the same images, or another finding, whose positives, and images with known
  /// labels, are others. Nil where one cluster has all positives, or all negatives, of either.
  ///
  /// Obuchowski's S10/M + S01/N + (S11 + S11')/(M N), M positives and N negatives; of two findings each sum has the geometric mean of both
  /// findings' corrections for few clusters, and both findings' counts.
  public func covariance(with other: PlacementValues) -> Double? {
    guard let own = scales, let their = other.scales else { return nil }
    var (ofPositives, ofNegatives, mixed) = (0.0, 0.0, 0.0)
    // A cluster beyond the end of one of them has no known image there.
    for (own, their) in zip(excess, other.excess) {
      ofPositives += own.positives * their.positives
      ofNegatives += own.negatives * their.negatives
      mixed +=
        own.positives * their.negatives / (Double(positives) * Double(other.negatives))
        + own.negatives * their.positives / (Double(negatives) * Double(other.positives))
    }
    return ofPositives * own.positives * their.positives + ofNegatives * own.negatives * their.negatives
      + mixed * own.all * their.all
  }

  /// What sums over the positives, over the negatives, and their products are multiplied by: the root of a correction for few clusters, over
  /// the count.
  private var scales: (positives: Double, negatives: Double, all: Double)? {
    guard positiveClusters > 1, negativeClusters > 1 else { return nil }
    func root(_ clusters: Int) -> Double { (Double(clusters) / Double(clusters - 1)).squareRoot() }
    return (
      root(positiveClusters) / Double(positives), root(negativeClusters) / Double(negatives), root(clusters)
    )
  }

  /// The variance of the mean of the AUROCs of several findings, which the images of a patient move together; nil where one is undefined.
  public static func varianceOfMean(_ findings: [PlacementValues]) -> Double? {
    guard !findings.isEmpty else { return nil }
    var sum = 0.0
    for (place, first) in findings.enumerated() {
      for second in findings.indices.dropFirst(place) {
        guard let covariance = first.covariance(with: findings[second]) else { return nil }
        sum += second == place ? covariance : 2 * covariance
      }
    }
    return sum / Double(findings.count * findings.count)
  }
}
