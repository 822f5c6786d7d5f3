import Foundation
import Platform

/// The last state of a run and the one before it.
///
/// A new state gets its name when its bytes are on the disk, and what had the name becomes the previous one just
/// before, by two renames. Where the last one is damaged, or was between two names, the run goes on from the previous
/// one.
extension RunDirectory {
  struct SavedState {
    let state: TrainingState
    /// What is wrong with the last state, where this is the previous one.
    let fault: TrainingError?
  }

  /// The newest state that is whole; nil where none was saved. Throws where none of those that were is whole.
  func savedState(for fresh: TrainingState) throws(TrainingError) -> SavedState? {
    guard hasState else { return nil }
    let fault: TrainingError
    do {
      return SavedState(state: try TrainingState(path: state, for: fresh), fault: nil)
    } catch {
      fault = error
    }
    // A file that may not be read, or is a folder, is not known to be damaged.
    let isDamaged = !somethingStands(at: state) || fault.diagnosis.exit != .inputMissing
    guard isDamaged, somethingStands(at: previousState) else { throw fault }
    do {
      return SavedState(state: try TrainingState(path: previousState, for: fresh), fault: fault)
    } catch {
      throw .damagedStates(fault, previous: error)
    }
  }

  /// What the user of a run of `steps` steps an epoch is told where it goes on from the previous state:
  ///
  ///     the training state run/checkpoints/last.state.safetensors is damaged: its bytes have not the SHA-256 that was
  ///     recorded; going on from run/checkpoints/previous.state.safetensors, behind epoch 3, step 0; to be done again:
  ///     1 epoch, 2 steps
  func warning(of fault: TrainingError, goingOnFrom state: TrainingState, steps: Int) -> String {
    "\(fault.diagnosis.message); going on from \(previousState.printable), behind epoch \(state.epoch), "
      + "step \(state.step); to be done again: " + again(behind: state, steps: steps)
  }

  /// What `events.jsonl` tells of that is not in `state`.
  private func again(behind state: TrainingState, steps: Int) -> String {
    guard let told = lastTold else { return "what followed" }
    let lost = max(0, (told.epoch - state.epoch) * steps + told.step - state.step)
    // All steps of an epoch can be in the state, and its end not.
    if lost == 0 { return told.epoch > state.epoch ? "the validation of epoch \(told.epoch)" : "nothing" }
    return [(lost / steps, "epoch"), (lost % steps, "step")].filter { $0.0 > 0 }.map {
      "\($0) \($1)\($0 == 1 ? "" : "s")"
    }.joined(separator: ", ")
  }

  /// How the start before this one ended, where it did not save and say so:
  ///
  ///     the last start ended: rank 3 on node07 did not come within 120 s (epoch 2, step 1204)
  func lastEnd(at state: TrainingState) -> String? {
    guard let bytes = try? FileReader.contents(of: eventsPath),
      let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").last
    else { return nil }
    let event = try? JSONValue.parse(String(line))
    switch event?["event"]?.string {
    case "interrupted", "diverged": return nil
    // It came to its end, and is to be made longer.
    case "epoch" where event?["last"]?.bool == true && event?["epoch"]?.integer == state.epoch: return nil
    case "failed": return "the last start ended: " + (event?["reason"]?.string ?? "it does not say why").printable
    default:
      return "the last start ended without a word: it was killed (by the system where memory is over, by its launcher, "
        + "by hand), or its machine went down"
    }
  }

  /// Makes the previous state the last one, in the place of one that is damaged or missing.
  func restorePreviousState() throws(TrainingError) {
    guard rename(previousState, state) == 0 else {
      throw .cause(PlatformError.cannotCreate(path: state, errno: errno))
    }
  }

  /// The furthest that `events.jsonl` tells of; nil where it does not say.
  private var lastTold: (epoch: Int, step: Int)? {
    guard let bytes = try? FileReader.contents(of: eventsPath) else { return nil }
    let limits = 0...Int(Int32.max)
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      guard let event = try? JSONValue.parse(String(line)), let epoch = event["epoch"]?.integer,
        let step = event["step"]?.integer, limits.contains(epoch), limits.contains(step)
      else { return nil }
      return (epoch, step)
    }.max { $0 < $1 }
  }
}
