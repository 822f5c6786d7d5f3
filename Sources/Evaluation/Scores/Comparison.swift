import ChestXray
import Platform

/// Two sets of predictions of the same images, tested finding by finding.
public struct Comparison: Sendable {
  public struct Finding: Sendable {
    public let name: String
    /// First less second; nil where the AUROC, or its variance, is undefined.
    public let test: PairedComparison?
    /// Holm's, over all tests that are told together; nil where there was none.
    public fileprivate(set) var correctedP: Double?
  }

  /// Places among the columns of a report.
  public let first: Int
  public let second: Int
  public private(set) var findings: [Finding]

  /// Each of the others against the first, on the findings that both have labels for, clustered by patient unless `byPatient` is false.
  public static func againstFirst(_ all: [Predictions], byPatient: Bool, pool: ThreadPool) -> [Comparison] {
    guard let first = all.first else { return [] }
    let patients = first.patientNumbers
    var comparisons = all.indices.dropFirst().map { second in
      let other = all[second]
      precondition(other.rows.map(\.image) == first.rows.map(\.image), "predictions of other images")
      let pairs = first.labelledFindings.compactMap { own in
        other.labelledFindings.first {
          canonicalClassName(other.findings[$0]) == canonicalClassName(first.findings[own])
        }
        .map { (own, $0) }
      }
      let findings = pool.map(pairs.count) { place in
        let sides = [(first, pairs[place].0), (other, pairs[place].1)].map { predictions, finding in
          KnownScores(predictions, finding: finding, patients: patients).placements(byPatient: byPatient)
        }
        let test = sides[0].flatMap { own in sides[1].flatMap { PairedComparison(own, $0) } }
        return Finding(name: first.findings[pairs[place].0], test: test)
      }
      return Comparison(first: 0, second: second, findings: findings)
    }
    let corrected = holmCorrected(comparisons.flatMap { $0.findings.map { $0.test?.pValue } })
    var place = 0
    for comparison in comparisons.indices {
      for finding in comparisons[comparison].findings.indices {
        comparisons[comparison].findings[finding].correctedP = corrected[place]
        place += 1
      }
    }
    return comparisons
  }
}

extension PairedComparison {
  /// Of 95 %, around the difference.
  public var interval: ConfidenceInterval {
    let margin = NormalDistribution.quantile(0.975) * standardError
    return ConfidenceInterval(low: difference - margin, high: difference + margin)
  }
}
