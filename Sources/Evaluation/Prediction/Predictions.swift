import ChestXray
import Foundation
import Platform
import Tensors

/// A table of probabilities, one row an image, with labels where they are known.
///
/// Invariant: a probability has the value that its nine printed digits have, so that whoever reads `predictions.csv` computes
/// from the same numbers as we do.
public struct Predictions: Sendable {
  public struct Row: Equatable, Sendable {
    /// As its list names it.
    public let image: String
    /// As the table writes it; nil where it is not known.
    public let patient: String?
    /// 0 … 1, one a finding.
    public let probabilities: [Double]
    /// One a finding; empty where no labels are given. Unknown where the table does not have the finding.
    public let labels: [Label]
  }

  /// The columns, in the checkpoint's order.
  public let findings: [String]
  /// Whether the labels' table has the finding; all false without labels.
  public let isLabelled: [Bool]
  public private(set) var rows: [Row] = []

  /// `table`: nil for predictions without labels.
  public init(findings: [String], table: LabelTable?) {
    self.findings = findings
    columns = table?.columns(for: findings) ?? findings.map { _ in nil }
    isLabelled = columns.map { $0 != nil }
  }

  private let columns: [Int?]

  /// Adds an image; `probabilities` are rounded to nine significant digits.
  public mutating func append(image: String, patient: String?, probabilities: [Double], labels: [Label]?) {
    append(
      image: image, patient: patient, exactProbabilities: probabilities.map { Double(nineDigits($0)) ?? $0 },
      labels: labels)
  }

  /// Adds an image of the table; `probabilities` are rounded to nine significant digits.
  mutating func append(_ sample: Sample, probabilities: [Double]) {
    append(image: sample.image, patient: sample.patient, probabilities: probabilities, labels: sample.labels)
  }

  /// Adds an image whose probabilities already are what a file prints.
  mutating func append(image: String, patient: String?, exactProbabilities: [Double], labels: [Label]?) {
    precondition(exactProbabilities.count == findings.count)
    rows.append(
      Row(
        image: image, patient: patient, probabilities: exactProbabilities,
        labels: labels.map { labels in columns.map { $0.map { labels[$0] } ?? .unknown } } ?? []))
  }

  /// Some of the rows, in this order.
  func rows(at indices: [Int]) -> Predictions {
    var part = self
    part.rows = indices.map { rows[$0] }
    return part
  }

  /// The patient of each row as a number from 0 on; a row whose patient is not known has one of its own.
  var patientNumbers: [Int] {
    var numbers: [String: Int] = [:]
    var next = 0
    return rows.map { row in
      if let patient = row.patient, let number = numbers[patient] { return number }
      defer { next += 1 }
      if let patient = row.patient { numbers[patient] = next }
      return next
    }
  }

  /// `Image Index,Patient ID,prob_<finding>…`, and `label_<finding>…` for the findings that have labels (empty: unknown).
  public var csv: String {
    let labelled = findings.indices.filter { isLabelled[$0] }
    let header =
      ["Image Index", "Patient ID"] + findings.map { "prob_\($0)" } + labelled.map { "label_\(findings[$0])" }
    var text = header.map(csvField).joined(separator: ",") + "\n"
    for row in rows {
      let labels = labelled.map { index in
        switch row.labels[index] {
        case .positive: "1"
        case .negative: "0"
        case .unknown: ""
        }
      }
      let fields = [csvField(row.image), csvField(row.patient ?? "")] + row.probabilities.map(nineDigits) + labels
      text += fields.joined(separator: ",") + "\n"
    }
    return text
  }
}

/// A field of a CSV file, quoted where it must be (RFC 4180).
func csvField(_ text: String) -> String {
  guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
  return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
}

extension Predictions {
  /// For people: each image with its three most probable findings.
  ///
  ///     00000001_000.png  Cardiomegaly 0.812  Effusion 0.311  Mass 0.120
  public var text: String {
    rows.map { row in
      let order = row.probabilities.indices.sorted { row.probabilities[$0] > row.probabilities[$1] }.prefix(3)
      let top = order.map { "\(findings[$0].printable) \(decimals(row.probabilities[$0], 3))" }
      return ([row.image.printable] + top).joined(separator: "  ") + "\n"
    }.joined()
  }

  /// `{"images": [{"image", "patient", "findings": [{"name", "probability", "logit"}]}]}`.
  /// `logits`: those of each image; nil where it was shown in several crops, which have one each.
  public func json(logits: [[Float]?]) -> JSONValue {
    let images = zip(rows, logits).map { row, logits -> JSONValue in
      [
        "image": .string(row.image), "patient": JSONValue(row.patient),
        "findings": .array(
          findings.indices.map { index in
            [
              "name": .string(findings[index]), "probability": JSONValue(row.probabilities[index]),
              "logit": JSONValue(logits?[index]),
            ]
          }),
      ]
    }
    return ["images": .array(images)]
  }
}
