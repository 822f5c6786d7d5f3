import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform

/// What a run tells while it goes.
public enum TrainingEvent: Sendable {
  case note(String)
  /// A step is done: its place in the epoch, the mean loss of the epoch so far.
  case step(epoch: Int, step: Int, steps: Int, loss: Double, images: Int)
  /// `done` of `images` of the validation list are predicted.
  case validating(epoch: Int, done: Int, images: Int)
  case epoch(EpochSummary)
}

/// What an epoch came to.
public struct EpochSummary: Equatable, Sendable {
  /// From 1.
  public let epoch: Int
  public let learningRate: Double
  /// Means over the known labels.
  public let trainingLoss: Double
  public let validationLoss: Double
  public let validationScores: Scores
  /// Whether its validation loss is the lowest so far.
  public let isBest: Bool
}

/// Finetunes a DenseNet on a list of radiographs.
public struct Finetuner {
  public enum Resume: Equatable, Sendable {
    /// Go on where the output is a run that was begun; begin where it is not.
    case automatic
    /// The output must not exist.
    case never
    /// The output must be a run with a training state.
    case required
  }

  public struct Summary: Sendable {
    public let run: String
    public let epochs: Int
    public let bestEpoch: Int
    public let bestLoss: Double
    public let bestCheckpoint: String
    /// The run had already done all its epochs.
    public let wasFinished: Bool
  }

  let options: TrainingOptions
  let run: RunDirectory
  let resume: Resume
  let backend: any Backend
  let pool: ThreadPool

  /// `output`: the run directory.
  public init(
    _ options: TrainingOptions, output: String, resume: Resume, backend: any Backend, pool: ThreadPool
  ) {
    self.options = options
    run = RunDirectory(path: output)
    self.resume = resume
    self.backend = backend
    self.pool = pool
  }

  /// Trains until the last epoch, or until a signal comes (`interrupted`, after saving).
  ///
  /// Before the run directory is made everything that can be checked is: lists, labels, images, weights, sizes, settings.
  public func callAsFunction(report: @escaping (TrainingEvent) -> Void) throws(TrainingError) -> Summary {
    let data = try TrainingData(options)
    let (start, note) = try Checkpoint.starting(options, classes: data.classes)
    if let note { report(.note(note)) }
    var loop = try TrainingLoop(self, data: data, start: start, report: report)
    let state = try openRun(loop.state, report)
    if state.epoch >= options.epochs { return summary(state, wasFinished: true) }
    return summary(try loop.train(from: state), wasFinished: false)
  }

  private func openRun(
    _ fresh: TrainingState, _ report: (TrainingEvent) -> Void
  ) throws(TrainingError) -> TrainingState {
    if resume == .required && !run.hasState { throw .nothingToResume(path: run.path) }
    if run.exists {
      if resume == .never { throw .cause(PlatformError.exists(path: run.path)) }
      try run.check(settings: options.json)
      guard run.hasState else { return fresh }
      let state = try TrainingState(path: run.state, layout: fresh.weights.layout, schedule: fresh.schedule)
      report(.note("resuming \(run.path) behind epoch \(state.epoch)" + (state.step > 0 ? ", step \(state.step)" : "")))
      try run.note("resumed", ["epoch": JSONValue(state.epoch), "step": JSONValue(state.step)])
      return state
    }
    try run.create(settings: options.json, lists: [options.trainList, options.validationList])
    try run.note("started")
    return fresh
  }

  private func summary(_ state: TrainingState, wasFinished: Bool) -> Summary {
    Summary(
      run: run.path, epochs: state.epoch, bestEpoch: state.bestEpoch, bestLoss: state.bestLoss,
      bestCheckpoint: run.bestCheckpoint, wasFinished: wasFinished)
  }

  /// `runs/<date>-<n>`, with the first n from 1 that is not there yet.
  public static func newRunPath() -> String {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.dateFormat = "yyyy-MM-dd"
    let day = "runs/" + format.string(from: Date())
    var number = 1
    while FileManager.default.fileExists(atPath: "\(day)-\(number)") { number += 1 }
    return "\(day)-\(number)"
  }
}

extension Finetuner.Summary {
  /// The last words of a run:
  ///
  ///     best epoch 12 of 15, validation loss 0.1634: demo-run/checkpoints/best.safetensors
  public var text: String {
    "best epoch \(bestEpoch) of \(epochs), validation loss \(decimals(bestLoss, 4)): \(bestCheckpoint)"
  }

  public var json: JSONValue {
    [
      "run": .string(run), "epochs": JSONValue(epochs), "best_epoch": JSONValue(bestEpoch),
      "best_validation_loss": JSONValue(bestLoss), "best_checkpoint": .string(bestCheckpoint),
      "was_finished": JSONValue(wasFinished),
    ]
  }
}

extension EpochSummary {
  /// One line an epoch:
  ///
  ///     epoch  3/15  rate 9.0e-04  loss 0.4321  validation loss 0.4456  AUROC 0.7012  best
  public func text(epochs: Int) -> String {
    let number =
      String(repeating: " ", count: max(0, String(epochs).count - String(epoch).count)) + "\(epoch)/\(epochs)"
    let auroc = validationScores.mean.map { decimals($0, 4) } ?? "n/a"
    return "epoch \(number)  rate \(String(format: "%.1e", learningRate))  loss \(decimals(trainingLoss, 4))  "
      + "validation loss \(decimals(validationLoss, 4))  AUROC \(auroc)" + (isBest ? "  best" : "")
  }
}
