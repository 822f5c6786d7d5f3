import Checkpoints
import ChestXray
import Platform

/// A folder that holds all of an evaluation: `report.html`, `scores.csv`, `scores.md`, `scores.json`, and `predictions.csv`, or of several columns
/// `predictions-1.csv`, ….
public struct ReportFolder {
  private let path: String
  private let overwriting: Bool

  /// Makes the folder where it is not there. Throws where it cannot, and `exists` where it holds a report that is not to be overwritten.
  public init(path: String, overwriting: Bool) throws(PlatformError) {
    (self.path, self.overwriting) = (path, overwriting)
    if !overwriting, somethingStands(at: path + "/report.html") { throw .exists(path: path + "/report.html") }
    try createFolder(path)
  }

  /// Writes everything. With an evaluator, the page shows the images that the best checkpoint was most wrong about, and where it looked.
  ///
  /// Throws where a file cannot be written, or an image cannot be read again.
  public func write(
    _ report: EvaluationReport, _ provenance: Provenance, table: LabelTable, evaluator: Evaluator?
  ) throws(EvaluationError) {
    let worst = try worst(report, table, evaluator)
    let page = EvaluationPage(report: report, provenance: provenance, worst: worst)
    do {
      for (index, column) in report.columns.enumerated() {
        let name = report.columns.count == 1 ? "predictions.csv" : "predictions-\(index + 1).csv"
        try write(column.predictions.csv, name)
      }
      try write(report.csv, "scores.csv")
      try write(report.markdown, "scores.md")
      try write(report.json.text(pretty: true) + "\n", "scores.json")
      try write(page.html, "report.html")
    } catch {
      throw .cause(error)
    }
  }

  private func write(_ text: String, _ name: String) throws(PlatformError) {
    try AtomicFile.write(text, to: path + "/" + name, overwriting: overwriting)
  }

  /// Of the best checkpoint; of predictions from elsewhere the best column's, without pictures.
  private func worst(
    _ report: EvaluationReport, _ table: LabelTable, _ evaluator: Evaluator?
  ) throws(EvaluationError) -> (column: Int, cases: [WorstImages.Case], pictures: WorstImages.Pictures) {
    let checkpoints = report.columns.indices.filter { report.columns[$0].checkpoint != nil }
    guard let evaluator, let column = report.best(among: checkpoints) else {
      let best = report.best(among: Array(report.columns.indices)) ?? 0
      return (best, WorstImages.cases(report.columns[best].predictions), [:])
    }
    let predictions = report.columns[column].predictions
    let cases = WorstImages.cases(predictions)
    let checkpoint: Checkpoint
    do {
      checkpoint = try Checkpoint.load(path: report.columns[column].name)
    } catch {
      throw .cause(error)
    }
    return (column, cases, try WorstImages.draw(cases, of: predictions, by: checkpoint, evaluator, table: table))
  }
}
