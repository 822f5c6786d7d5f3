import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform

/// What a run tells while it goes.
public enum TrainingEvent: Sendable {
  case note(String)
  /// Something that is wrong, though the run goes on.
  case warning(String)
  /// A step is done: its place in the epoch, the mean loss of the epoch so far, its images, and the seconds that it waited for them.
  case step(epoch: Int, step: Int, steps: Int, loss: Double, images: Int, waited: Double)
  /// `done` of `images` of the validation list are predicted.
  case validating(epoch: Int, done: Int, images: Int)
  case epoch(EpochSummary)
}

/// What an epoch came to.
public struct EpochSummary: Equatable, Sendable {
  /// From 1.
  public let epoch: Int
  /// Of its last step.
  public let learningRate: Double
  /// Means over the known labels.
  public let trainingLoss: Double
  public let validationLoss: Double
  public let validationScores: Scores
  /// Whether its validation loss is the lowest so far.
  public let isBest: Bool
  /// Whether its mean AUROC is the highest so far.
  public let isBestAUROC: Bool
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
    /// The epoch of the highest mean AUROC; nil where none was defined.
    public let bestAUROC: (epoch: Int, value: Double)?
    public let bestAUROCCheckpoint: String
    /// It ended before its last epoch, as the validation loss was no longer falling.
    public let stoppedEarly: Bool
    /// The run had been at its end before.
    public let wasFinished: Bool
  }

  let options: TrainingOptions
  var run: RunDirectory
  let resume: Resume
  let backend: any Backend
  let pool: ThreadPool
  /// The processes that train together.
  let ranks: Ranks
  private let began = ContinuousClock.now

  /// `output`: the run directory. `collective`: the processes that train together, each of which calls this with the same options; process 0 writes.
  public init(
    _ options: TrainingOptions, output: String, resume: Resume, backend: any Backend, pool: ThreadPool,
    collective: any Collective = SoleRank()
  ) {
    self.options = options
    ranks = Ranks(collective: collective)
    run = RunDirectory(path: output)
    run.isWriter = ranks.isMain
    self.resume = resume
    self.backend = backend
    self.pool = pool
  }

  /// Trains until the last epoch, or until a signal comes or the time is over (`interrupted`, after saving).
  ///
  /// Before the run directory is made everything that can be checked is: lists, labels, images, weights, sizes, settings, space.
  public func callAsFunction(report: @escaping (TrainingEvent) -> Void) throws(TrainingError) -> Summary {
    try ranks.agree(on: description)
    var (loop, saved) = try ranks.together { () throws(TrainingError) in try prepare(report) }
    if ranks.areSeveral {
      let digests = try ranks.together { () throws(TrainingError) in try digestsOfInputs() }
      try ranks.agree(on: digests)
    }
    let state = saved?.state ?? loop.state
    if saved != nil, options.isOver(state) { return summary(state, wasFinished: true) }
    try ranks.together { () throws(TrainingError) in if ranks.isMain { try begin(loop, state, saved, report) } }
    let (end, note) = JobEnd.told(by: ProcessInfo.processInfo.environment)
    if let note { report(.note(note)) }
    loop.jobEnd = end
    do {
      return summary(try loop.train(from: state), wasFinished: false)
    } catch {
      // For the next start to tell; where the disk is what fails, it says so itself.
      if !error.isNoted { try? run.note("failed", loop.state, ["reason": .string(error.diagnosis.message)]) }
      throw error
    }
  }

  /// What must be the same in all processes.
  private var description: String {
    let settings = JSONValue.object(options.json).text()
    return [toolVersion, backend.name, backend.precision.rawValue, run.path, settings].joined(separator: "\n")
  }

  /// Of the bytes of what is read: a name can mean another file on another machine.
  private func digestsOfInputs() throws(TrainingError) -> String {
    var paths = [options.trainList, options.validationList] + [options.labels].compactMap(\.self)
    if case .checkpoint(let path) = options.start { paths.append(path) }
    do {
      return try paths.map { try SHA256.hex(ofFile: $0) }.joined(separator: " ")
    } catch let error as PlatformError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of a file is diagnosed: \(error)")
    }
  }

  /// Makes the run directory, or takes out of it what a killed run wrote behind `state`.
  private func begin(
    _ loop: TrainingLoop, _ state: TrainingState, _ saved: RunDirectory.SavedState?,
    _ report: (TrainingEvent) -> Void
  ) throws(TrainingError) {
    if run.isBegun {
      let end = run.lastEnd(at: state)
      if let end { report(.note(end)) }
      report(.note("resuming \(run.path) behind epoch \(state.epoch)" + (state.step > 0 ? ", step \(state.step)" : "")))
      if let change = run.change(to: backend.equipment) {
        report(.note("from here on bits may be others than without the break: the run was begun with \(change)"))
      }
      if saved?.fault != nil { try run.restorePreviousState() }
      try run.cut(behind: state)
      var members = JSONObject()
      if let end { members["before"] = .string(end) }
      if let fault = saved?.fault { members["lost"] = .string(fault.diagnosis.message) }
      try run.note("resumed", state, members)
    } else {
      try run.create(
        settings: options.json, equipment: backend.equipment, lists: [options.trainList, options.validationList])
      try run.note("started", loop.state)
    }
  }

  /// What the run would do, with everything checked and nothing made.
  public func plan(report: @escaping (TrainingEvent) -> Void) throws(TrainingError) -> TrainingPlan {
    let (loop, saved) = try prepare(report)
    return TrainingPlan(loop, resumesFrom: saved?.state, free: try run.freeSpace())
  }

  /// Checks everything; the loop, and the state that is there to go on from.
  private func prepare(
    _ report: @escaping (TrainingEvent) -> Void
  ) throws(TrainingError) -> (TrainingLoop, RunDirectory.SavedState?) {
    let data = try TrainingData(options)
    let (start, note) = try Checkpoint.starting(options, classes: data.classes)
    if let note { report(.note(note)) }
    let loop = try TrainingLoop(self, data: data, start: start, report: report)
    if resume == .required && !run.hasState { throw .nothingToResume(path: run.path) }
    if run.exists && resume == .never { throw .cause(PlatformError.exists(path: run.path)) }
    if run.exists && !run.canBegin { try run.check(settings: options.json) }
    try run.checkSpace(loop.neededSpace)
    let saved = try run.savedState(for: loop.state)
    if let saved, let fault = saved.fault {
      report(.warning(run.warning(of: fault, goingOnFrom: saved.state, steps: loop.steps)))
    }
    return (loop, saved)
  }

  /// Why the run is to stop at the next boundary, if it is; its job's end is left to the loop, which knows how long saving takes.
  var reasonToStop: Interruption.Reason? {
    if let signal = Interruption.received { return .signal(signal) }
    if let seconds = options.maxSeconds, ContinuousClock.now - began >= .seconds(seconds) { return .time }
    return nil
  }

  private func summary(_ state: TrainingState, wasFinished: Bool) -> Summary {
    Summary(
      run: run.path, epochs: state.epoch, bestEpoch: state.bestEpoch, bestLoss: state.bestLoss,
      bestCheckpoint: run.bestCheckpoint, bestAUROC: state.bestAUROC.map { (state.bestAUROCEpoch, $0) },
      bestAUROCCheckpoint: run.bestAUROCCheckpoint, stoppedEarly: state.epoch < options.epochs,
      wasFinished: wasFinished)
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

extension TrainingOptions {
  /// Whether a run in this state has come to its end.
  func isOver(_ state: TrainingState) -> Bool {
    if state.epoch >= epochs { return true }
    guard let stopAfterBadEpochs, state.step == 0 else { return false }
    return state.badEpochs >= stopAfterBadEpochs
  }
}

extension Finetuner.Summary {
  /// The last words of a run:
  ///
  ///     best epoch 12 of 15, validation loss 0.1634: demo-run/checkpoints/best.safetensors
  ///     best mean AUROC 0.8124 in epoch 14: demo-run/checkpoints/best-auroc.safetensors
  ///
  /// and before them, where it ended early, `stopped early: no lower validation loss since epoch 12`.
  public var text: String {
    var lines = [
      "best epoch \(bestEpoch) of \(epochs), validation loss \(decimals(bestLoss, 4)): \(bestCheckpoint.printable)"
    ]
    if stoppedEarly { lines.insert("stopped early: no lower validation loss since epoch \(bestEpoch)", at: 0) }
    if let bestAUROC {
      lines.append(
        "best mean AUROC \(decimals(bestAUROC.value, 4)) in epoch \(bestAUROC.epoch): \(bestAUROCCheckpoint.printable)")
    }
    return lines.joined(separator: "\n")
  }

  public var json: JSONValue {
    [
      "run": .string(run), "epochs": JSONValue(epochs), "best_epoch": JSONValue(bestEpoch),
      "best_validation_loss": JSONValue(bestLoss), "best_checkpoint": .string(bestCheckpoint),
      "best_auroc_epoch": JSONValue(bestAUROC?.epoch), "best_validation_auroc": JSONValue(bestAUROC?.value),
      "best_auroc_checkpoint": JSONValue(bestAUROC == nil ? nil : bestAUROCCheckpoint),
      "stopped_early": JSONValue(stoppedEarly), "was_finished": JSONValue(wasFinished),
    ]
  }
}

extension EpochSummary {
  /// One line an epoch:
  ///
  ///     epoch  3/15  rate 9.0e-04  loss 0.4321  validation loss 0.4456  AUROC 0.7012  best
  ///
  /// `best` is the lowest validation loss so far, `best AUROC` the highest mean AUROC.
  public func text(epochs: Int) -> String {
    let number =
      String(repeating: " ", count: max(0, String(epochs).count - String(epoch).count)) + "\(epoch)/\(epochs)"
    let auroc = validationScores.mean.map { decimals($0, 4) } ?? "n/a"
    let marks = [isBest ? "best" : nil, isBestAUROC ? "best AUROC" : nil].compactMap { $0 }
    return "epoch \(number)  rate \(String(format: "%.1e", learningRate))  loss \(decimals(trainingLoss, 4))  "
      + "validation loss \(decimals(validationLoss, 4))  AUROC \(auroc)"
      + (marks.isEmpty ? "" : "  " + marks.joined(separator: ", "))
  }
}
