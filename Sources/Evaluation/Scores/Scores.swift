import ChestXray
import Platform
import Tensors

/// How well one set of predictions ranks each finding, and how true its probabilities are.
public struct Scores: Equatable, Sendable {
  public struct FindingScore: Equatable, Sendable {
    public let name: String
    public let positives: Int
    public let negatives: Int
    /// 0 … 1; nil where it is undefined: no positive or no negative.
    public let auroc: Double?
    /// Of 95 %; nil where it is undefined, or nobody asked.
    public let interval: ConfidenceInterval?
    /// 0 … 1; nil where there is no positive or no negative.
    public let averagePrecision: Double?
    /// Nil where no label is known, or the scores are no probabilities.
    public let calibration: Calibration?

    /// Whether there are too few positives for any interval to be trusted.
    public var hasFewPositives: Bool { positives < 50 }
  }

  /// One for each finding that has labels, in the checkpoint's order.
  public let findings: [FindingScore]
  /// The checkpoint's classes that the table has no labels for.
  public let unlabelled: [String]
  public let images: Int
  /// Images whose patient is not known are each a patient of their own.
  public let patients: Int
  public let confidence: ConfidenceMethod
  /// Around the mean, of 95 %; nil where one of the findings has none.
  public let meanInterval: ConfidenceInterval?

  /// The mean over the findings whose AUROC is defined; nil where none is.
  public var mean: Double? { mean(of: \.auroc) }

  /// The mean of what is defined of a finding; nil where it is of none.
  func mean(of value: (FindingScore) -> Double?) -> Double? {
    let defined = findings.compactMap(value)
    return defined.isEmpty ? nil : defined.reduce(0, +) / Double(defined.count)
  }

  subscript(name: String) -> FindingScore? { findings.first { $0.name == name } }

  /// Ranks each finding over the images whose label is known, findings and replicates on the threads of `pool`.
  public init(_ predictions: Predictions, confidence: ConfidenceMethod = .delong, pool: ThreadPool = ThreadPool()) {
    let patients = predictions.patientNumbers
    let labelled = predictions.labelledFindings
    let known = pool.map(labelled.count) { KnownScores(predictions, finding: labelled[$0], patients: patients) }
    let intervals = Intervals(confidence, known, predictions, labelled, patients: patients, pool)
    findings = pool.map(labelled.count) { place in
      let one = known[place]
      return FindingScore(
        name: predictions.findings[labelled[place]], positives: one.positives, negatives: one.negatives,
        auroc: one.ranked?.auroc, interval: intervals.ofFindings[place],
        averagePrecision: one.ranked?.averagePrecision,
        calibration: Calibration(probabilities: one.scores, isPositive: one.isPositive))
    }
    meanInterval = intervals.ofMean
    unlabelled = predictions.findings.indices.filter { !predictions.isLabelled[$0] }.map { predictions.findings[$0] }
    images = predictions.rows.count
    self.patients = Set(patients).count
    self.confidence = confidence
  }
}

/// The intervals of one set of predictions.
private struct Intervals {
  private(set) var ofFindings: [ConfidenceInterval?]
  private(set) var ofMean: ConfidenceInterval?

  /// `known`: of each of the findings `labelled`.
  init(
    _ method: ConfidenceMethod, _ known: [KnownScores], _ predictions: Predictions, _ labelled: [Int],
    patients: [Int], _ pool: ThreadPool
  ) {
    let defined = known.indices.filter { known[$0].ranked != nil }
    ofFindings = known.map { _ in nil }
    switch method {
    case .none: break
    case .delong, .delongImages:
      let placements = pool.map(defined.count) { known[defined[$0]].placements(byPatient: method == .delong) }
        .compactMap(\.self)
      for (place, one) in zip(defined, placements) {
        ofFindings[place] = ConfidenceInterval(auroc: one.auroc, variance: one.variance)
      }
      guard !placements.isEmpty else { break }
      let mean = placements.reduce(0) { $0 + $1.auroc } / Double(placements.count)
      ofMean = ConfidenceInterval(auroc: mean, variance: PlacementValues.varianceOfMean(placements))
    case .bootstrap:
      let findings: [ClusterBootstrap.Finding] = defined.map { place in
        let finding = labelled[place]
        return (
          predictions.rows.map { $0.probabilities[finding] },
          predictions.rows.map { $0.labels[finding] == .unknown ? nil : $0.labels[finding] == .positive }
        )
      }
      let replicates = ClusterBootstrap(clusters: patients, pool: pool).aurocs(findings)
      for (place, values) in zip(defined, replicates) { ofFindings[place] = ClusterBootstrap.interval(values) }
      guard let first = replicates.first else { break }
      ofMean = ClusterBootstrap.interval(
        first.indices.map { replicate in
          let values = replicates.compactMap { $0[replicate] }
          return values.count == defined.count ? values.reduce(0, +) / Double(values.count) : nil
        })
    }
  }
}
