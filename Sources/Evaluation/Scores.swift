import ChestXray
import Platform
import Tensors

/// How well one set of predictions ranks each finding.
public struct Scores: Equatable, Sendable {
  public struct FindingScore: Equatable, Sendable {
    public let name: String
    public let positives: Int
    public let negatives: Int
    /// 0 … 1; nil where it is undefined: no positive or no negative.
    public let auroc: Double?
  }

  /// One for each finding that has labels, in the checkpoint's order.
  public let findings: [FindingScore]
  /// The checkpoint's classes that the table has no labels for.
  public let unlabelled: [String]
  public let images: Int

  /// The mean over the findings whose AUROC is defined; nil where none is.
  public var mean: Double? {
    let defined = findings.compactMap(\.auroc)
    return defined.isEmpty ? nil : defined.reduce(0, +) / Double(defined.count)
  }

  /// Ranks each finding over the images whose label is known.
  public init(_ predictions: Predictions) {
    findings = predictions.findings.indices.filter { predictions.isLabelled[$0] }.map { index in
      let known = predictions.rows.filter { $0.labels[index] != .unknown }
      let isPositive = known.map { $0.labels[index] == .positive }
      let positives = isPositive.count { $0 }
      return FindingScore(
        name: predictions.findings[index], positives: positives, negatives: known.count - positives,
        auroc: auroc(scores: known.map { $0.probabilities[index] }, isPositive: isPositive))
    }
    unlabelled = predictions.findings.indices.filter { !predictions.isLabelled[$0] }.map { predictions.findings[$0] }
    images = predictions.rows.count
  }

  /// `{"mean_auroc", "images", "findings": [{"name", "positives", "negatives", "auroc"}], "unlabelled"}`; undefined is null.
  public var json: JSONObject {
    JSONObject([
      ("images", JSONValue(images)), ("mean_auroc", JSONValue(mean)),
      (
        "findings",
        .array(
          findings.map {
            [
              "name": .string($0.name), "positives": JSONValue($0.positives), "negatives": JSONValue($0.negatives),
              "auroc": JSONValue($0.auroc),
            ]
          })
      ), ("unlabelled", JSONValue(unlabelled)),
    ])
  }
}

/// The scores of several checkpoints, side by side.
public struct EvaluationReport: Sendable {
  public let columns: [(name: String, scores: Scores)]

  public init(_ columns: [(name: String, scores: Scores)]) { self.columns = columns }

  /// A table: a finding a row, its positives and negatives, the AUROC of each checkpoint to four digits, `n/a` where it is
  /// undefined, and the mean over the defined ones below.
  ///
  ///     finding             positives negatives    best
  ///     Atelectasis              2420     20013  0.8094
  ///     Hernia                      0       200     n/a
  ///     mean of 13                               0.8094
  public var text: String {
    var names: [String] = []
    var counts: [String: (Int, Int)] = [:]
    for (_, scores) in columns {
      for finding in scores.findings where counts[finding.name] == nil {
        names.append(finding.name)
        counts[finding.name] = (finding.positives, finding.negatives)
      }
    }
    let labels = columns.count > 1 ? columns.indices.map { "[\($0 + 1)]" } : ["AUROC"]
    let width = max(18, names.map(\.count).max() ?? 0)
    func left(_ text: String) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    func digits(_ value: Double?) -> String { value.map { decimals($0, 4) } ?? "n/a" }

    var lines: [String] = []
    if columns.count > 1 {
      lines += zip(labels, columns).map { "\($0) \($1.name.printable)" }
      lines.append("")
    }
    lines.append(left("finding") + " positives negatives" + labels.map { right($0, 8) }.joined())
    for name in names {
      let (positives, negatives) = counts[name] ?? (0, 0)
      let values = columns.map { column in column.scores.findings.first { $0.name == name }?.auroc }
      lines.append(
        left(name.printable) + right(String(positives), 10) + right(String(negatives), 10)
          + values.map { right(digits($0), 8) }.joined())
    }
    let defined = columns.map { $0.scores.findings.count { $0.auroc != nil } }
    let meanName = Set(defined).count == 1 ? "mean of \(defined[0])" : "mean of defined"
    lines.append(
      left(meanName) + String(repeating: " ", count: 20) + columns.map { right(digits($0.scores.mean), 8) }.joined())
    return lines.joined(separator: "\n") + "\n"
  }

  /// `{"checkpoints": [{"name", "images", "mean_auroc", "findings": […], "unlabelled"}]}`.
  public var json: JSONValue {
    [
      "checkpoints": .array(
        columns.map { name, scores in
          .object(JSONObject([("name", .string(name))] + scores.json.members.map { ($0.key, $0.value) }))
        })
    ]
  }
}
