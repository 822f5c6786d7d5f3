import ChestXray
import Platform
import Tensors

/// How the interval around an AUROC is found. The names are those of `--confidence`.
public enum ConfidenceMethod: String, CaseIterable, Sendable {
  /// From the variance that patients show (`PlacementValues`), on the logit scale.
  case delong
  /// By drawing patients again (`ClusterBootstrap`).
  case bootstrap
  /// As `delong`, but as if every image were of another patient.
  case delongImages = "delong-images"
  case none
}

/// How well one set of predictions ranks each finding.
public struct Scores: Equatable, Sendable {
  public struct FindingScore: Equatable, Sendable {
    public let name: String
    public let positives: Int
    public let negatives: Int
    /// 0 … 1; nil where it is undefined: no positive or no negative.
    public let auroc: Double?
    /// Of 95 %; nil where it is undefined, or nobody asked.
    public let interval: ConfidenceInterval?

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

  /// The mean over the findings whose AUROC is defined; nil where none is.
  public var mean: Double? {
    let defined = findings.compactMap(\.auroc)
    return defined.isEmpty ? nil : defined.reduce(0, +) / Double(defined.count)
  }

  /// Ranks each finding over the images whose label is known. `pool`: for the bootstrap.
  public init(_ predictions: Predictions, confidence: ConfidenceMethod = .delong, pool: ThreadPool = ThreadPool()) {
    let clusters = predictions.patientNumbers
    patients = Set(clusters).count
    self.confidence = confidence
    findings = predictions.findings.indices.filter { predictions.isLabelled[$0] }.map { index in
      let known = predictions.rows.indices.filter { predictions.rows[$0].labels[index] != .unknown }
      let isPositive = known.map { predictions.rows[$0].labels[index] == .positive }
      let scores = known.map { predictions.rows[$0].probabilities[index] }
      let positives = isPositive.count { $0 }
      let area = auroc(scores: scores, isPositive: isPositive)
      let patients = known.map { clusters[$0] }
      func delong(_ clusters: [Int]?) -> ConfidenceInterval? {
        PlacementValues(scores: scores, isPositive: isPositive, clusters: clusters).flatMap {
          ConfidenceInterval(auroc: $0.auroc, variance: $0.variance)
        }
      }
      let interval: ConfidenceInterval? =
        switch confidence {
        case .none: nil
        case .delong: delong(patients)
        case .delongImages: delong(nil)
        case .bootstrap where area != nil:
          ClusterBootstrap.interval(
            ClusterBootstrap(clusters: clusters, pool: pool).aurocs(
              scores: predictions.rows.map { $0.probabilities[index] },
              labels: predictions.rows.map { $0.labels[index] == .unknown ? nil : $0.labels[index] == .positive }))
        case .bootstrap: nil
        }
      return FindingScore(
        name: predictions.findings[index], positives: positives, negatives: known.count - positives, auroc: area,
        interval: interval)
    }
    unlabelled = predictions.findings.indices.filter { !predictions.isLabelled[$0] }.map { predictions.findings[$0] }
    images = predictions.rows.count
  }

  /// `{"mean_auroc", "images", "patients", "confidence", "findings": [{"name", "positives", "negatives", "auroc", "low", "high"}],
  /// "unlabelled"}`; undefined is null.
  public var json: JSONObject {
    JSONObject([
      ("images", JSONValue(images)), ("patients", JSONValue(patients)), ("mean_auroc", JSONValue(mean)),
      ("confidence", confidence == .none ? .null : .string(confidence.rawValue)),
      (
        "findings",
        .array(
          findings.map {
            [
              "name": .string($0.name), "positives": JSONValue($0.positives), "negatives": JSONValue($0.negatives),
              "auroc": JSONValue($0.auroc), "low": JSONValue($0.interval?.low), "high": JSONValue($0.interval?.high),
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
  /// undefined, and the mean over the defined ones below. Of one checkpoint the intervals too, and a `*` where a finding has fewer than 50 positives.
  ///
  ///     finding             positives negatives   AUROC    95 % interval
  ///     Atelectasis              2420     20013  0.8094  0.8005 – 0.8180
  ///     Hernia                      0       200     n/a              n/a
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
    let single = columns.count == 1 && columns[0].scores.confidence != .none ? columns[0].scores : nil
    func interval(_ name: String) -> String {
      guard let finding = single?.findings.first(where: { $0.name == name }) else { return "" }
      let text = finding.interval.map { "\(decimals($0.low, 4)) – \(decimals($0.high, 4))" } ?? "n/a"
      return right(text, 17) + (finding.hasFewPositives ? " *" : "")
    }
    lines.append(
      left("finding") + " positives negatives" + labels.map { right($0, 8) }.joined()
        + (single == nil ? "" : right("95 % interval", 17)))
    for name in names {
      let (positives, negatives) = counts[name] ?? (0, 0)
      let values = columns.map { column in column.scores.findings.first { $0.name == name }?.auroc }
      lines.append(
        left(name.printable) + right(String(positives), 10) + right(String(negatives), 10)
          + values.map { right(digits($0), 8) }.joined() + interval(name))
    }
    let defined = columns.map { $0.scores.findings.count { $0.auroc != nil } }
    let meanName = Set(defined).count == 1 ? "mean of \(defined[0])" : "mean of defined"
    lines.append(
      left(meanName) + String(repeating: " ", count: 20) + columns.map { right(digits($0.scores.mean), 8) }.joined())
    if let single, let how = single.confidence.explanation(images: single.images, patients: single.patients) {
      lines += ["", how]
      if single.findings.contains(where: \.hasFewPositives) {
        lines.append("* fewer than 50 positives: the interval may cover less than it says")
      }
    }
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

extension ConfidenceMethod {
  /// A line below the table; nil for none.
  fileprivate func explanation(images: Int, patients: Int) -> String? {
    switch self {
    case .none: nil
    case .delong: "intervals: DeLong's, by patient (\(patients) with \(images) images), on the logit scale"
    case .delongImages: "intervals: DeLong's, as if the \(images) images were of as many patients, on the logit scale"
    case .bootstrap:
      "intervals: bootstrap, \(ClusterBootstrap.defaultReplicates) times the \(patients) patients with their \(images) images"
    }
  }
}
