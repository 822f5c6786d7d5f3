import Checkpoints
import ChestXray
import Engine
import Platform

/// Scores checkpoints over a list of radiographs.
public struct Evaluator {
  public let table: LabelTable
  private let folder: ImageFolder
  private let backend: any Backend
  private let batchSize: Int
  private let pool: ThreadPool

  /// Reads the list, and what images there are in `data`.
  ///
  /// Throws where the list, the table or the folder is missing, and `noLabels` where the list has none of its own and no table
  /// is given.
  public init(
    data: String, list: String, labels: String?, backend: any Backend, batchSize: Int, pool: ThreadPool
  ) throws(EvaluationError) {
    table = try Self.labelled(list: list, labels: labels)
    do {
      folder = try ImageFolder(path: data)
    } catch {
      throw .cause(error)
    }
    self.backend = backend
    self.batchSize = batchSize
    self.pool = pool
  }

  /// The images of a list that must have labels.
  public static func labelled(list: String, labels: String?) throws(EvaluationError) -> LabelTable {
    let table: LabelTable
    do {
      table = try LabelTable(list: list, labels: labels)
    } catch {
      throw .cause(error)
    }
    guard !table.findings.isEmpty else { throw .noLabels(list: list) }
    return table
  }

  /// The predictions of `checkpoint` for every image, with its labels. `progress` is told how many images are done.
  ///
  /// Throws `noCommonFinding` where the table has no labels for any of the checkpoint's classes.
  public func predictions(
    of checkpoint: Checkpoint, progress: (Int) -> Void = { _ in }
  ) throws(EvaluationError) -> Predictions {
    let classes = checkpoint.metadata.classes
    var predictions = Predictions(findings: classes, table: table)
    guard predictions.isLabelled.contains(true) else {
      throw .noCommonFinding(checkpoint: classes, table: table.findings)
    }
    let dataset: Dataset
    do {
      dataset = try Dataset(
        table: table, folder: folder, classes: classes, preprocessing: checkpoint.metadata.preprocessing)
    } catch {
      throw .cause(error)
    }
    let predictor = try Predictor(checkpoint, backend: backend, batchSize: batchSize, pool: pool)
    try predictor.predict(dataset) { (index, prediction) throws(EvaluationError) in
      let sample = table.samples[index]
      predictions.append(
        image: sample.image, patient: sample.patient, probabilities: prediction.probabilities, labels: sample.labels)
      progress(index + 1)
    }
    return predictions
  }
}
