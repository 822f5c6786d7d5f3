import ChestXray
import Tensors

/// What was predicted of a finding in the images whose label is known.
struct KnownScores: Sendable {
  /// The images' indices among the predictions.
  let rows: [Int]
  let scores: [Double]
  let isPositive: [Bool]
  /// The patient of each, as a number from 0 on.
  let patients: [Int]
  /// Nil where there is no positive or no negative.
  let ranked: RankedScores?

  /// - Parameters:
  ///   - finding: an index of the predictions' findings.
  ///   - patients: `predictions.patientNumbers`, made once for all findings.
  init(_ predictions: Predictions, finding: Int, patients: [Int]) {
    rows = predictions.rows.indices.filter { predictions.rows[$0].labels[finding] != .unknown }
    scores = rows.map { predictions.rows[$0].probabilities[finding] }
    isPositive = rows.map { predictions.rows[$0].labels[finding] == .positive }
    self.patients = rows.map { patients[$0] }
    ranked = RankedScores(scores: scores, isPositive: isPositive)
  }

  var positives: Int { isPositive.count { $0 } }
  var negatives: Int { isPositive.count - positives }

  /// Nil where there is no positive or no negative. `byPatient`: whether the images of a patient vary together.
  func placements(byPatient: Bool) -> PlacementValues? {
    ranked.map { PlacementValues($0, isPositive: isPositive, clusters: byPatient ? patients : rows) }
  }
}

extension Predictions {
  /// Indices of the findings that have labels.
  var labelledFindings: [Int] { findings.indices.filter { isLabelled[$0] } }
}
