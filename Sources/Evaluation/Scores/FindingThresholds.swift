import ChestXray

/// Thresholds of a finding that were chosen on one list, and what they make of another.
public struct FindingThresholds: Sendable {
  public let name: String
  /// One for each rule that has a threshold, in the order of the rules.
  public let points: [(rule: ThresholdRule, point: OperatingPoint)]

  /// For each finding of `predictions` that has labels in both. `validation`: predictions by the same checkpoint.
  public static func all(of predictions: Predictions, chosenOn validation: Predictions) -> [FindingThresholds] {
    let (patients, others) = (predictions.patientNumbers, validation.patientNumbers)
    return predictions.labelledFindings.map { finding in
      let name = predictions.findings[finding]
      let tested = KnownScores(predictions, finding: finding, patients: patients)
      guard let place = validation.findings.firstIndex(of: name), validation.isLabelled[place],
        let ranked = KnownScores(validation, finding: place, patients: others).ranked
      else { return FindingThresholds(name: name, points: []) }
      return FindingThresholds(
        name: name,
        points: ThresholdRule.allCases.compactMap { rule in
          ranked.threshold(rule).map { threshold in
            (rule, OperatingPoint(threshold: threshold, scores: tested.scores, isPositive: tested.isPositive))
          }
        })
    }
  }
}
