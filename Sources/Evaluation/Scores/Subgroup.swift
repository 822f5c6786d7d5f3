import ChestXray
import Platform

/// The scores over the images of some patients.
public struct Subgroup: Equatable, Sendable {
  /// `sex`, `age` or `view`.
  public let attribute: String
  /// `F`, `40–59`, `PA`.
  public let value: String
  public let scores: Scores

  /// `sex F`
  public var name: String { "\(attribute) \(value)" }

  /// By sex, age band and view, as far as `table`, whose images were predicted, tells them apart: an attribute that has one value only, or
  /// none, makes no groups. Images of which it is not told are in no group of it.
  public static func all(
    _ predictions: Predictions, table: LabelTable, confidence: ConfidenceMethod, pool: ThreadPool
  ) -> [Subgroup] {
    precondition(predictions.rows.count == table.samples.count)
    let attributes: [(String, (Sample.Attributes) -> String?)] = [
      ("sex", \.sex), ("age", { $0.age.map(ageBand) }), ("view", \.view),
    ]
    return attributes.flatMap { attribute, value -> [Subgroup] in
      let values = table.samples.map { value($0.attributes) }
      let groups = Dictionary(grouping: values.indices.filter { values[$0] != nil }) { values[$0] ?? "" }
      guard groups.count > 1 else { return [] }
      return groups.keys.sorted { $0.count == $1.count ? $0 < $1 : $0.count < $1.count }.map { name in
        let part = predictions.rows(at: groups[name] ?? [])
        return Subgroup(attribute: attribute, value: name, scores: Scores(part, confidence: confidence, pool: pool))
      }
    }
  }

  /// Twenty years each, as most reports on fairness in chest X-rays have them (Seyyed-Kalantari et al., Nature Medicine 2021).
  private static func ageBand(_ years: Int) -> String {
    years >= 80 ? "80 and over" : years < 20 ? "0–19" : "\(years / 20 * 20)–\(years / 20 * 20 + 19)"
  }
}
