import Checkpoints
import Engine
import Platform

extension TrainingLoop {
  /// Bytes that the run may need on its disk at once: three checkpoints and two states, with 64 KiB of header and text for each.
  var neededSpace: Int {
    let layout = state.weights.layout
    let averaged = state.average == nil ? 0 : layout.count
    let values = 3 * layout.count + 2 * (layout.count + 2 * layout.trainedCount + averaged)
    return values * MemoryLayout<Float>.size + 5 * 64 << 10
  }

  /// Saves everything up to the step that was taken last, and ends the run.
  mutating func stop(_ reason: Interruption.Reason) throws(TrainingError) -> Never {
    state.weights = try weights()
    try written { (loop) throws(TrainingError) in
      try loop.run.note("interrupted", loop.state, ["by": .string(reason.description)])
      try loop.saveState()
    }
    throw .interrupted(by: reason, run: run.path, epochs: state.epoch, step: state.step)
  }

  /// The session's, as they are.
  func weights() throws(TrainingError) -> Weights {
    do { return try session.readWeights() } catch { throw .cause(error) }
  }

  /// Saves the weights behind the step that was taken last, and the state.
  mutating func saveStep() throws(TrainingError) {
    let began = ContinuousClock.now
    state.weights = try weights()
    try written { (loop) throws(TrainingError) in
      try loop.save(loop.state.weights, to: loop.run.stepCheckpoint(loop.state.epoch * loop.steps + loop.state.step))
      try loop.run.note("checkpoint", loop.state)
      try loop.saveState()
    }
    jobEnd?.saved(in: ContinuousClock.now - began)
  }

  /// Lets process 0 write by `body`; all go on when it has, or fail as it does.
  mutating func written(_ body: (inout TrainingLoop) throws(TrainingError) -> Void) throws(TrainingError) {
    if !ranks.areSeveral { return try body(&self) }
    var copy = self
    try ranks.together { () throws(TrainingError) in if ranks.isMain { try body(&copy) } }
    self = copy
  }

  /// The one before it is kept as the previous state. That of a stop is not: so what a run leaves does not depend on where it was stopped.
  mutating func saveState() throws(TrainingError) {
    state.scalarBytes = scalars?.size ?? 0
    do { state.moments = try session.readMoments() } catch { throw .cause(error) }
    try run.checkSpace(neededSpace)
    do {
      try state.save(to: run.state, keepingOldAs: keepsLastState ? run.previousState : nil)
    } catch {
      throw .cause(error)
    }
    keepsLastState = isPlanned(state)
  }

  /// Whether a run without stops saves its state here: behind an epoch, or behind every so many steps.
  func isPlanned(_ state: TrainingState) -> Bool {
    if state.step == 0 { return state.epoch > 0 }
    return options.checkpointEvery.map { (state.epoch * steps + state.step) % $0 == 0 } ?? false
  }

  func save(_ weights: Weights, to path: String) throws(TrainingError) {
    try run.checkSpace(neededSpace)
    do {
      try Checkpoint(weights: weights, metadata: checkpoint.metadata).save(to: path, overwriting: true)
    } catch {
      throw .cause(error)
    }
  }

  /// Gives TensorBoard values behind the step that was taken last.
  func log(_ values: [(tag: String, value: Double)]) throws(TrainingError) {
    do {
      try scalars?.add(values, step: state.epoch * steps + state.step)
    } catch {
      throw .cause(error)
    }
  }

  /// Notes that the run diverges; what stands on the disk stays as it is. `step`: from 1, or 0 for validation.
  func divergence(_ error: BackendError, step: Int, images: [String]) throws(TrainingError) -> TrainingError {
    let diverged = TrainingError.diverged(error, epoch: state.epoch + 1, step: step, images: images)
    try run.note(
      "diverged", state, ["reason": .string(diverged.diagnosis.message), "images": JSONValue(images)])
    return diverged
  }
}
