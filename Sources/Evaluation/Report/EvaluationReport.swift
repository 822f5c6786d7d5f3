import Checkpoints
import ChestXray
import Platform

/// What an evaluation found: everything that the table, the JSON document, the CSV and Markdown files and the page tell.
public struct EvaluationReport: Sendable {
  /// One checkpoint, one file of predictions, or the ensemble of all.
  public struct Column: Sendable {
    public let name: String
    public let predictions: Predictions
    public let scores: Scores
    /// Nil for what is no checkpoint.
    public var checkpoint: CheckpointMetadata?
    public var trainedOn: [TrainingOverlap] = []
    public var thresholds: [FindingThresholds] = []
    public var subgroups: [Subgroup] = []

    public init(name: String, predictions: Predictions, scores: Scores) {
      (self.name, self.predictions, self.scores) = (name, predictions, scores)
    }
  }

  /// The list that the columns are judged on.
  public let list: JudgedList
  public var columns: [Column]
  public var comparisons: [Comparison] = []
  public var published: PublishedScores?
  /// Whether thresholds were asked for, and on which list they were chosen.
  public var thresholdList: String?

  public init(list: JudgedList, columns: [Column]) {
    precondition(!columns.isEmpty)
    (self.list, self.columns) = (list, columns)
  }

  public var confidence: ConfidenceMethod { columns[0].scores.confidence }

  /// The first of the columns with the highest mean AUROC; nil of none.
  func best(among indices: [Int]) -> Int? {
    let best = indices.compactMap { columns[$0].scores.mean }.max()
    return indices.first { columns[$0].scores.mean == best }
  }

  /// The findings of all columns, in the order in which they come.
  var findings: [(name: String, positives: Int, negatives: Int)] {
    var found: [(name: String, positives: Int, negatives: Int)] = []
    for column in columns {
      for finding in column.scores.findings where !found.contains(where: { $0.name == finding.name }) {
        found.append((finding.name, finding.positives, finding.negatives))
      }
    }
    return found
  }

  /// How a column is called in tables of several.
  func label(_ column: Int) -> String { "[\(column + 1)]" }

  /// What a reader must know before a number: patients that were trained on.
  public var warnings: [String] {
    columns.enumerated().flatMap { index, column in
      column.trainedOn.compactMap { training -> String? in
        let name = (columns.count > 1 ? label(index) + " " : "") + column.name.printable
        guard let overlap = training.overlap else { return nil }
        if overlap.isEmpty { return nil }
        return "\(name) has been trained on \(overlap.images.count) of the \(list.images) test images "
          + "(\(percentage(overlap.images.count, of: list.images))) and on \(overlap.patients.count) of their \(list.patients) patients "
          + "(\(percentage(overlap.patients.count, of: list.patients))): \(training.list.printable)"
      }
    }
  }

  /// Lists that checkpoints were trained on and that nobody could look into, and checkpoints of which nothing is known.
  public var unverified: [String] {
    columns.enumerated().flatMap { index, column -> [String] in
      let name = (columns.count > 1 ? label(index) + " " : "") + column.name.printable
      if column.trainedOn.isEmpty {
        return ["\(name): nothing says what it was trained on; give the list with --trained-on"]
      }
      return column.trainedOn.filter { $0.overlap == nil }.map {
        "\(name) was trained on \($0.list.printable), which was not found; give it with --trained-on"
      }
    }
  }
}

/// A list of images with labels.
public struct JudgedList: Sendable {
  public let path: String
  public let labels: String?
  public let images: Int
  public let patients: Int
  public let known: KnownList?
  public let release: LabelRelease?

  /// `table`: of `path` and `labels`. Where the labels of a part of ChestX-ray14 come from, the whole table at `labels` says.
  ///
  /// Throws where that cannot be read.
  public init(path: String, labels: String?, table: LabelTable) throws(EvaluationError) {
    self.path = path
    self.labels = labels
    images = table.samples.count
    patients = table.patientCount + table.samples.count { $0.patient == nil }
    known = KnownList(table)
    do {
      release = try LabelRelease(table) ?? labels.flatMap { try LabelRelease(LabelTable(list: $0)) }
    } catch let error as ChestXrayError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of a table is diagnosed: \(error)")
    }
  }

  /// ```
  /// test_list.txt: 22433 images of 6187 patients, the 70/10/20 test list
  /// labels: the list's own, of 2017
  /// ```
  public var text: String {
    let split = known?.title ?? "none of ChestX-ray14's lists"
    let source = labels.map { fileName(of: $0).printable } ?? "the list's own"
    return "\(fileName(of: path).printable): \(images) images of \(patients) patients, \(split)\n"
      + "labels: \(source)\(release.map { ", of \($0.rawValue)" } ?? "")"
  }

  var json: JSONValue {
    [
      "path": .string(path), "labels": JSONValue(labels), "images": JSONValue(images), "patients": JSONValue(patients),
      "split": JSONValue(known?.title), "label_release": JSONValue(release?.rawValue),
    ]
  }
}
