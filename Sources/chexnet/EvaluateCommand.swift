import ArgumentParser
import Checkpoints
import ChestXray
import Evaluation
import Platform

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Say how well checkpoints rank each finding: AUROC over a test list.",
    discussion: """
      Examples:
        chexnet evaluate best.safetensors --data images --test test_list.txt
        chexnet evaluate runs/*/checkpoints/best.safetensors --data images --test test_list.txt \\
          --labels Data_Entry_2017_v2020.csv
        chexnet evaluate --scores predictions.csv --test test_list.txt

      The AUROC is computed on the printed probabilities (nine digits), ties counted half. It is n/a where a finding has no
      positive or no negative image, and is left out of the mean then.
      """)

  @Argument(help: ArgumentHelp("Checkpoints.", valueName: "checkpoint"))
  var checkpoints: [String] = []

  @Option(help: ArgumentHelp("Score these predictions instead of a checkpoint's.", valueName: "file.csv"))
  var scores: String?

  @Option(help: ArgumentHelp("The folder of radiographs.", valueName: "folder"))
  var data: String?

  @Option(help: ArgumentHelp("The list of images to score.", valueName: "list"))
  var test: String

  @Option(help: ArgumentHelp("A table whose labels replace the list's own.", valueName: "table.csv"))
  var labels: String?

  @Option(help: ArgumentHelp("Write every probability and label (one checkpoint only).", valueName: "file.csv"))
  var predictions: String?

  @Option(help: ArgumentHelp("Exit with 12 where a mean AUROC is lower, or undefined.", valueName: "AUROC"))
  var failUnder: Double?

  @Option(
    help: """
      The 95 % interval around each AUROC: delong (patients are what varies), bootstrap (of patients), delong-images (as if \
      every image were of another patient), or none.
      """)
  var confidence = ConfidenceMethod.delong

  @OptionGroup var deviceOptions: DeviceOptions
  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if scores == nil && checkpoints.isEmpty { throw ValidationError("Give a checkpoint, or --scores.") }
    if scores != nil && !checkpoints.isEmpty { throw ValidationError("Give checkpoints or --scores, not both.") }
    if scores == nil && data == nil { throw ValidationError("Give the folder of radiographs with --data.") }
    if predictions != nil && checkpoints.count != 1 {
      throw ValidationError("--predictions takes one checkpoint, found \(checkpoints.count).")
    }
  }

  func run() throws {
    if let predictions, !outputOptions.force { try refuseExisting(predictions) }
    let report = try scores.map { EvaluationReport([($0, try rescored($0))]) } ?? evaluated()
    if outputOptions.json { printJSON(report.json) } else { print(report.text, terminator: "") }
    if let failUnder, let low = report.columns.first(where: { ($0.scores.mean ?? -1) < failUnder }) {
      standardError("\(low.name): the mean AUROC is under \(failUnder)\n")
      throw ExitStatus.gateFailed
    }
  }

  private func rescored(_ path: String) throws -> Scores {
    let table = try Evaluator.labelled(list: test, labels: labels)
    return Scores(try Predictions(path: path, table: table), confidence: confidence, pool: deviceOptions.pool)
  }

  private func evaluated() throws -> EvaluationReport {
    // All are read before the first is run: the last one's fault should not cost the others' work.
    let loaded = try checkpoints.map { ($0, try Checkpoint.load(path: $0)) }
    let evaluator = try Evaluator(
      data: data ?? "", list: test, labels: labels, backend: try deviceOptions.backend(),
      batchSize: deviceOptions.batchSize, pool: deviceOptions.pool)
    let progress = ProgressLine()
    var columns: [(name: String, scores: Scores)] = []
    for (path, checkpoint) in loaded {
      let predicted = try evaluator.predictions(of: checkpoint) { done in
        progress.show(done, of: evaluator.table.samples.count, "evaluating \(path.printable)")
      }
      columns.append((path, Scores(predicted, confidence: confidence, pool: deviceOptions.pool)))
      if let predictions { try AtomicFile.write(predicted.csv, to: predictions, overwriting: outputOptions.force) }
    }
    progress.clear()
    for (path, scores) in columns where !scores.unlabelled.isEmpty {
      standardError("\(path.printable): no labels for \(scores.unlabelled.joined(separator: ", ").printable)\n")
    }
    return EvaluationReport(columns)
  }
}

extension ConfidenceMethod: ExpressibleByArgument {}
