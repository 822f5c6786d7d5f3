import ArgumentParser
import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Say how well checkpoints rank each finding: AUROC over a test list.",
    discussion: """
      Examples:
        chexnet evaluate best.safetensors --data images --test test_list.txt
        chexnet evaluate runs/1 runs/2 --data images --test test_list.txt \\
          --labels Data_Entry_2017_v2020.csv --compare --ensemble
        chexnet evaluate best.safetensors --data images --test test_list.txt \\
          --thresholds-from val_list.txt --report report
        chexnet evaluate --scores predictions.csv --test test_list.txt

      The AUROC is computed on the printed probabilities (nine digits), ties counted half. It is n/a where a finding has no
      positive or no negative image, and is left out of the mean then.
      """)

  @Argument(
    help: ArgumentHelp("Checkpoints, folders of them, run directories, patterns in quotes.", valueName: "checkpoint"))
  var checkpoints: [String] = []

  @Option(
    help: ArgumentHelp(
      "Score these predictions instead of a checkpoint's: columns Image Index and prob_<finding>. May be repeated.",
      valueName: "file.csv"))
  var scores: [String] = []

  @Option(help: ArgumentHelp("The folder of radiographs.", valueName: "folder"))
  var data: String?

  @Option(help: ArgumentHelp("The list of images to score.", valueName: "list"))
  var test: String

  @Option(help: ArgumentHelp("A table whose labels replace the list's own.", valueName: "table.csv"))
  var labels: String?

  @Option(
    help: "Show the network each radiograph once, or in five or ten crops of which the mean is taken: 1, 5 or 10.")
  var crops = CropCount.one

  @Option(
    help: """
      The 95 % interval around each AUROC: delong (patients are what varies), bootstrap (of patients), delong-images (as if \
      every image were of another patient), or none.
      """)
  var confidence = ConfidenceMethod.delong

  @Flag(help: "Test each of the others against the first: paired, by patient, corrected for their number (Holm).")
  var compare = false

  @Flag(help: "Also score the mean of all probabilities.")
  var ensemble = false

  @Option(
    help: ArgumentHelp(
      "Published AUROCs to set beside ours, or none; auto: chexnet's where the list is a known test list.",
      valueName: "name"))
  var reference = PublishedChoice.automatic

  @Option(
    help: ArgumentHelp(
      "Choose thresholds on this list, and say what they make of the other one.", valueName: "list"))
  var thresholdsFrom: String?

  @Option(
    help: ArgumentHelp(
      "A list that was trained on, beside those that checkpoints record. May be repeated.", valueName: "list"))
  var trainedOn: [String] = []

  @Flag(help: "Exit with 12 where a test image or patient was trained on, or it cannot be told.")
  var strict = false

  @Option(
    help: ArgumentHelp(
      "Write every probability and label (of one column: a checkpoint, or --ensemble).", valueName: "file.csv"))
  var predictions: String?

  @Option(
    help: ArgumentHelp(
      "Write a page with curves, intervals, thresholds and the worst images, and all tables, into this folder.",
      valueName: "folder"))
  var report: String?

  @Option(help: ArgumentHelp("Exit with 12 where a mean AUROC is lower, or undefined.", valueName: "AUROC"))
  var failUnder: Double?

  @Option(help: "The form of the answer: text, csv or markdown.")
  var format = Format.text

  enum Format: String, CaseIterable, ExpressibleByArgument { case text, csv, markdown }

  @OptionGroup var rankOptions: RankOptions
  @OptionGroup var deviceOptions: DeviceOptions
  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if scores.isEmpty && checkpoints.isEmpty { throw ValidationError("Give a checkpoint, or --scores.") }
    if !scores.isEmpty && !checkpoints.isEmpty { throw ValidationError("Give checkpoints or --scores, not both.") }
    if scores.isEmpty && data == nil { throw ValidationError("Give the folder of radiographs with --data.") }
    if outputOptions.json && format != .text { throw ValidationError("Give --json or --format, not both.") }
    if let failUnder, !(0...1).contains(failUnder) {
      throw ValidationError("--fail-under needs 0 to 1, found \(failUnder).")
    }
  }

  func run() throws { try rankOptions.join { collective in try run(collective) } }

  /// In each of the processes; all come to the same report, which the first writes.
  private func run(_ collective: any Collective) throws {
    let isMain = collective.rank == 0
    let pool = ThreadPool(threads: RankOptions.threads(deviceOptions.threads, collective))
    let paths = try together(collective) { () throws(EvaluationError) in try named() }
    try check(columns: paths.count)
    let (job, folder, evaluator, backend) = try together(collective) { () throws(EvaluationError) in
      try prepare(collective, pool)
    }
    if let warning = job.thresholdWarning, isMain { standardError("warning: \(warning)\n") }
    let found =
      try evaluator.map { try evaluated(paths, job, $0, isMain) }
      ?? together(collective) { () throws(EvaluationError) in try job.rescore(paths) }
    if isMain {
      try write(found)
      if let folder {
        try folder.write(found, try provenance(paths, backend), table: job.table, evaluator: evaluator)
        standardError("wrote \((report ?? "").printable)/report.html\n")
      }
    }
    try judge(found, isMain)
  }

  private func together<Value>(
    _ collective: any Collective, _ body: () throws(EvaluationError) -> Value
  ) throws(EvaluationError) -> Value {
    try collective.together(wrapped: { .cause($0) }, body)
  }

  /// The checkpoints, or the files of predictions. Throws where an output stands in the way, too.
  private func named() throws(EvaluationError) -> [String] {
    do {
      if let predictions, !outputOptions.force { try refuseExisting(predictions) }
      return scores.isEmpty ? try Checkpoint.paths(checkpoints) : scores
    } catch let error as any DiagnosedError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of these floors is diagnosed: \(error)")
    }
  }

  private typealias Prepared = (
    job: EvaluationJob, folder: ReportFolder?, evaluator: Evaluator?, backend: (any Backend)?
  )

  private func prepare(_ collective: any Collective, _ pool: ThreadPool) throws(EvaluationError) -> Prepared {
    do {
      let job = try EvaluationJob(options, pool: pool)
      // Made before the work: what stands there should not cost it.
      let folder =
        collective.rank == 0 ? try report.map { try ReportFolder(path: $0, overwriting: outputOptions.force) } : nil
      let backend = scores.isEmpty ? try deviceOptions.backend(pool, local: collective.local) : nil
      let evaluator = try backend.map {
        try Evaluator(
          data: data ?? "", backend: $0, batchSize: deviceOptions.batchSize, crops: crops, pool: pool,
          collective: collective)
      }
      return (job, folder, evaluator, backend)
    } catch let error as any DiagnosedError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of these floors is diagnosed: \(error)")
    }
  }

  private func provenance(_ paths: [String], _ backend: (any Backend)?) throws(PlatformError) -> Provenance {
    let engine = backend.map {
      "\($0.name), \($0.precision.rawValue), \(crops.rawValue) crop\(crops == .one ? "" : "s") of an image"
    }
    return try Provenance(
      command: (["chexnet"] + CommandLine.arguments.dropFirst()).joined(separator: " "),
      date: Date().formatted(.iso8601), engine: engine ?? "predictions from a file",
      files: paths + ([test] + [labels, thresholdsFrom].compactMap(\.self) + trainedOn))
  }

  /// What only makes sense with several columns, or with one.
  private func check(columns: Int) throws {
    if columns == 1, compare || ensemble {
      throw ValidationError("--\(compare ? "compare" : "ensemble") needs two checkpoints, found 1.")
    }
    if predictions != nil, columns != 1, !ensemble {
      throw ValidationError("--predictions takes one checkpoint, or --ensemble; found \(columns) checkpoints.")
    }
  }

  private var options: EvaluationOptions {
    var options = EvaluationOptions(list: test)
    options.labels = labels
    options.confidence = confidence
    options.ensembles = ensemble
    options.compares = compare
    options.published = reference
    options.thresholdList = thresholdsFrom
    options.trainedOn = trainedOn
    return options
  }

  private func evaluated(
    _ paths: [String], _ job: EvaluationJob, _ evaluator: Evaluator, _ isMain: Bool
  ) throws -> EvaluationReport {
    let progress = ProgressLine(isMain ? .auto : .none)
    defer { progress.clear() }
    let what = paths.count == 1 ? "evaluating \(paths[0].printable)" : "evaluating \(paths.count) checkpoints"
    return try job.evaluate(paths, evaluator) { progress.show($0, of: $1, what) }
  }

  private func write(_ report: EvaluationReport) throws {
    for column in report.columns where !column.scores.unlabelled.isEmpty {
      standardError(
        "\(column.name.printable): no labels for \(column.scores.unlabelled.joined(separator: ", ").printable)\n")
    }
    for warning in report.warnings { standardError("warning: \(warning)\n") }
    if let predictions, let column = report.columns.last {
      try AtomicFile.write(column.predictions.csv, to: predictions, overwriting: outputOptions.force)
    }
    if outputOptions.json { return printJSON(report.json) }
    switch format {
    case .text: print(report.text, terminator: "")
    case .csv: print(report.csv, terminator: "")
    case .markdown: print(report.markdown, terminator: "")
    }
  }

  /// The gates.
  private func judge(_ report: EvaluationReport, _ isMain: Bool) throws {
    var failed: [String] = []
    if let failUnder {
      failed += report.columns.filter { ($0.scores.mean ?? -1) < failUnder }.map {
        "\($0.name.printable): the mean AUROC is under \(failUnder)"
      }
    }
    if strict {
      failed += report.warnings.map { _ in "--strict: test images or patients were trained on" }.prefix(1)
      failed += report.unverified.map { "--strict: \($0)" }
    }
    if failed.isEmpty { return }
    if isMain { failed.forEach { standardError($0 + "\n") } }
    throw ExitStatus.gateFailed
  }
}

extension ConfidenceMethod: ExpressibleByArgument {}
/// The names of `PublishedScores`, `none`, and `auto`.
extension PublishedChoice: ExpressibleByArgument {
  public init?(argument: String) {
    switch argument {
    case "auto": self = .automatic
    case "none": self = .none
    default:
      guard let published = PublishedScores(rawValue: argument) else { return nil }
      self = .of(published)
    }
  }

  public static var allValueStrings: [String] { ["auto"] + PublishedScores.allCases.map(\.rawValue) + ["none"] }

  public var defaultValueDescription: String { "auto" }
}
