import Checkpoints
import ChestXray
import Engine
import Platform

/// What an evaluation is asked for.
public struct EvaluationOptions: Sendable {
  /// The list of images to judge by.
  public var list: String
  /// A table whose labels replace the lists' own.
  public var labels: String?
  public var confidence = ConfidenceMethod.delong
  /// Whether to also judge the mean of all members' probabilities.
  public var ensembles = false
  /// Whether to test the others against the first.
  public var compares = false
  public var published = PublishedChoice.automatic
  /// A list to choose thresholds on.
  public var thresholdList: String?
  /// Lists that the checkpoints were trained on, beside those that they record.
  public var trainedOn: [String] = []

  public init(list: String) { self.list = list }
}

/// Which published AUROCs stand beside ours.
public enum PublishedChoice: Equatable, Sendable {
  /// CheXNet's where the list is one of ChestX-ray14's test lists.
  case automatic
  case of(PublishedScores)
  case none
}

/// An evaluation: lists that were read and agree, ready for checkpoints, or for predictions of others.
public struct EvaluationJob {
  /// Of the list that is judged by.
  public let table: LabelTable
  /// Of the list that thresholds are chosen on.
  public let thresholdTable: LabelTable?
  private let list: JudgedList
  private let options: EvaluationOptions
  private let pool: ThreadPool

  /// Throws where a list cannot be read, or has no labels.
  public init(_ options: EvaluationOptions, pool: ThreadPool) throws(EvaluationError) {
    table = try Evaluator.labelled(list: options.list, labels: options.labels)
    thresholdTable = try options.thresholdList.map { (list) throws(EvaluationError) in
      try Evaluator.labelled(list: list, labels: options.labels)
    }
    list = try JudgedList(path: options.list, labels: options.labels, table: table)
    self.options = options
    self.pool = pool
  }

  /// What a user must know where thresholds would be chosen on images or patients that they are judged on; nil where they are not.
  public var thresholdWarning: String? {
    guard let thresholdTable else { return nil }
    let overlap = ListOverlap(thresholdTable, table)
    return overlap.isEmpty
      ? nil
      : "thresholds are chosen on \(overlap.images.count) of the images, and on \(overlap.patients.count) of the patients, that they are "
        + "judged on: they look better than they are"
  }

  /// Judges the predictions in the CSV files at `paths`. They must have the images of both lists.
  public func rescore(_ paths: [String]) throws(EvaluationError) -> EvaluationReport {
    var members: [Member] = []
    for path in paths {
      members.append(
        Member(
          name: path, predictions: try Predictions(path: path, table: table),
          validation: try thresholdTable.map { (table) throws(EvaluationError) in
            try Predictions(path: path, table: table)
          }))
    }
    return try report(members)
  }

  /// Lets the checkpoints at `paths` predict, and judges them. `progress` is told how many images of how many are done.
  public func evaluate(
    _ paths: [String], _ evaluator: Evaluator, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(EvaluationError) -> EvaluationReport {
    // All are read before the first is run: the last one's fault should not cost the others' work.
    let checkpoints = try evaluator.together { () throws(EvaluationError) in
      let checkpoints = try paths.map { (path) throws(EvaluationError) in try load(path) }
      for table in [table, thresholdTable].compactMap(\.self) { try evaluator.check(table) }
      return checkpoints
    }
    let total = table.samples.count + (thresholdTable?.samples.count ?? 0)
    let predicted = try evaluator.predictions(of: checkpoints, on: table) { progress($0, total) }
    let validation = try thresholdTable.map { (validation) throws(EvaluationError) in
      try evaluator.predictions(of: checkpoints, on: validation) { progress(table.samples.count + $0, total) }
    }
    return try report(
      paths.indices.map { index in
        Member(
          name: paths[index], predictions: predicted[index], validation: validation?[index],
          checkpoint: checkpoints[index].metadata)
      })
  }

  private func load(_ path: String) throws(EvaluationError) -> Checkpoint {
    do {
      return try Checkpoint.load(path: path)
    } catch {
      throw .cause(error)
    }
  }

  // MARK: - From predictions to a report

  private struct Member {
    let name: String
    let predictions: Predictions
    /// Of the images that thresholds are chosen on.
    let validation: Predictions?
    var checkpoint: CheckpointMetadata?
  }

  private func report(_ judged: [Member]) throws(EvaluationError) -> EvaluationReport {
    var members = judged
    if options.ensembles, judged.count > 1 {
      members.append(
        Member(
          name: "ensemble of \(judged.count)",
          predictions: try Predictions(ensemble: judged.map(\.predictions), table: table),
          validation: try thresholdTable.map { (table) throws(EvaluationError) in
            try Predictions(ensemble: judged.compactMap(\.validation), table: table)
          }))
    }
    var columns: [EvaluationReport.Column] = []
    for (index, member) in members.enumerated() {
      var column = EvaluationReport.Column(
        name: member.name, predictions: member.predictions,
        scores: Scores(member.predictions, confidence: options.confidence, pool: pool))
      column.checkpoint = member.checkpoint
      column.subgroups = Subgroup.all(member.predictions, table: table, confidence: options.confidence, pool: pool)
      if let validation = member.validation {
        column.thresholds = FindingThresholds.all(of: member.predictions, chosenOn: validation)
      }
      // An ensemble has seen what its members have.
      column.trainedOn =
        index < judged.count
        ? try TrainingOverlap.all(
          of: member.checkpoint.map { ($0, member.name) }, given: options.trainedOn, testList: options.list,
          table: table)
        : columns.flatMap(\.trainedOn).reduce(into: []) { lists, one in
          if !lists.contains(where: { $0.list == one.list }) { lists.append(one) }
        }
      columns.append(column)
    }
    var report = EvaluationReport(list: list, columns: columns)
    report.thresholdList = options.thresholdList
    if options.compares {
      report.comparisons = Comparison.againstFirst(
        members.map(\.predictions), byPatient: options.confidence != .delongImages, pool: pool)
    }
    report.published =
      switch options.published {
      case .automatic: list.known?.isForTesting == true ? .chexnet : nil
      case .of(let published): published
      case .none: nil
      }
    return report
  }
}
