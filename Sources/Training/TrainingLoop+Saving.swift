import Checkpoints
import Engine
import Platform

extension TrainingLoop {
  /// Bytes that the run may need on its disk at once: three checkpoints and a state, with 64 KiB of header and text for each.
  var neededSpace: Int {
    let layout = state.weights.layout
    let averaged = state.average == nil ? 0 : layout.count
    let values = 3 * layout.count + layout.count + 2 * layout.trainedCount + averaged
    return values * MemoryLayout<Float>.size + 4 * 64 << 10
  }

  /// Saves everything up to the step that was taken last, and ends the run.
  mutating func stop(_ reason: Interruption.Reason) throws(TrainingError) -> Never {
    state.weights = session.readWeights()
    try run.note("interrupted", state, ["by": .string(reason.description)])
    try saveState()
    throw .interrupted(by: reason, run: run.path, epochs: state.epoch, step: state.step)
  }

  /// Saves the weights behind the step that was taken last, and the state.
  mutating func saveStep() throws(TrainingError) {
    state.weights = session.readWeights()
    try save(state.weights, to: run.stepCheckpoint(state.epoch * steps + state.step))
    try run.note("checkpoint", state)
    try saveState()
  }

  mutating func saveState() throws(TrainingError) {
    state.scalarBytes = scalars?.size ?? 0
    state.moments = session.readMoments()
    try run.checkSpace(neededSpace)
    do {
      try state.save(to: run.state)
    } catch {
      throw .cause(error)
    }
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
