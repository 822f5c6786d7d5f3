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
    precondition(scores.count == isPositive.count && clusters.map { $0.count == scores.count } != false)
    positives = isPositive.count { $0 }
    negatives = scores.count - positives
    guard positives > 0, negatives > 0 else { return nil }
    let clusters = clusters ?? Array(scores.indices)
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    var placements = [Double](repeating: 0, count: scores.count)
    var (below, first, sum) = ((positives: 0, negatives: 0), 0, 0.0)
    while first < order.count {
      // A group of ties.
      var (end, tied) = (first, (positives: 0, negatives: 0))
      while end < order.count, scores[order[end]] == scores[order[first]] {
        if isPositive[order[end]] { tied.positives += 1 } else { tied.negatives += 1 }
        end += 1
      }
      let ofPositive = (Double(below.negatives) + Double(tied.negatives) / 2) / Double(negatives)
      let above = positives - below.positives - tied.positives
      let ofNegative = (Double(above) + Double(tied.positives) / 2) / Double(positives)
      for index in order[first..<end] { placements[index] = isPositive[index] ? ofPositive : ofNegative }
      // In whole halves: exact.
      sum += Double(tied.positives) * (2 * Double(below.negatives) + Double(tied.negatives))
      below = (below.positives + tied.positives, below.negatives + tied.negatives)
      first = end
    }
    auroc = sum / (2 * Double(positives) * Double(negatives))

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

  /// Of this AUROC and of another of the same images; nil where one cluster has all positives, or all negatives.
  ///
  /// Obuchowski's S10/M + S01/N + (S11 + S11')/(M N), M positives and N negatives.
  public func covariance(with other: PlacementValues) -> Double? {
    precondition(
      positives == other.positives && negatives == other.negatives && excess.count == other.excess.count,
      "AUROCs of other images")
    guard positiveClusters > 1, negativeClusters > 1 else { return nil }
    var (ofPositives, ofNegatives, mixed) = (0.0, 0.0, 0.0)
    for (own, their) in zip(excess, other.excess) {
      ofPositives += own.positives * their.positives
      ofNegatives += own.negatives * their.negatives
      mixed += own.positives * their.negatives + own.negatives * their.positives
    }
    let (m, n) = (Double(positives), Double(negatives))
    func corrected(_ clusters: Int) -> Double { Double(clusters) / Double(clusters - 1) }
    return ofPositives * corrected(positiveClusters) / (m * m) + ofNegatives * corrected(negativeClusters) / (n * n)
      + mixed * corrected(clusters) / (m * n)
  }
}
