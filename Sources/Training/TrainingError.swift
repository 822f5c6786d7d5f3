import ChestXray
import Engine
import Platform

/// What keeps a run from starting, going on, or ending well.
public enum TrainingError: DiagnosedError {
  /// From a floor below.
  case cause(any DiagnosedError)
  case unknownArchitecture(String)
  /// The lists share patients.
  case patientOverlap(patients: [String], count: Int)
  /// The lists share images.
  case imageOverlap(images: [String], count: Int)
  /// A class that the table has no labels for.
  case missingClass(String, nearest: String?, found: [String])
  /// The run directory was started with other settings: name, there, now.
  case otherSettings(run: String, differences: [(name: String, there: String, now: String)])
  /// Of the `total` images of both lists, or all of one.
  case badImages([Diagnosis], total: Int)
  /// `--cache-size`, and the pixels that evaluation resizes to.
  case cacheTooSmall(size: Int, needed: Int)
  /// A folder that is there and is not a run of ours.
  case notARun(path: String)
  case nothingToResume(path: String)
  case damagedState(path: String, reason: String)
  /// What is wrong with the last state, and with the one before it.
  indirect case damagedStates(TrainingError, previous: TrainingError)
  /// Everything up to `step` steps behind `epochs` epochs is saved.
  case interrupted(by: Interruption.Reason, run: String, epochs: Int, step: Int)
  /// Training step `step` of `epoch` (both from 1), or, where step is 0, the validation behind the epoch, met a number that is not
  /// finite. Nothing was updated by it, and nothing of it was saved. `images`: those of the step, or the one that was validated.
  case diverged(BackendError, epoch: Int, step: Int, images: [String])

  /// Whether `events.jsonl` has an event of its own for it.
  var isNoted: Bool {
    switch self {
    case .interrupted, .diverged: true
    default: false
    }
  }

  public var diagnosis: Diagnosis {
    switch self {
    case .cause(let error): error.diagnosis
    case .unknownArchitecture(let text):
      Diagnosis(
        id: "architecture.unknown", exit: .usage, message: "unknown architecture “\(text.printable)”",
        hint: "use densenet121, densenet161, densenet169, densenet201, or GROWTH:B1,B2,… such as 8:2,2,2")
    case .patientOverlap(let patients, let count):
      Diagnosis(
        id: "data.patient-overlap", exit: .badData,
        message:
          "\(count) patients are in both the training and the validation list: \(patients.joined(separator: ", ").printable)"
          + (count > patients.count ? ", …" : ""),
        hint: "split by patient, or say --allow-patient-overlap; validation scores are too good then")
    case .imageOverlap(let images, let count):
      Diagnosis(
        id: "data.image-overlap", exit: .badData,
        message:
          "\(count) images are in both the training and the validation list: \(images.joined(separator: ", ").printable)"
          + (count > images.count ? ", …" : ""),
        hint: "give lists that have no image in common, or say --allow-patient-overlap")
    case .missingClass(let name, let nearest, let found):
      Diagnosis(
        id: "class.no-labels", exit: .badData,
        message: "the lists have no labels for the class “\(name.printable)”"
          + (nearest.map { "; did you mean \($0.printable)?" } ?? ""),
        hint: "their findings are \(found.joined(separator: ", ").printable); choose among them with --classes")
    case .otherSettings(let run, let differences):
      Diagnosis(
        id: "run.other-settings", exit: .usage,
        message: "\(run.printable) was started with other settings: "
          + differences.map { "--\($0.name) \($0.there.printable) there, \($0.now.printable) now" }.joined(
            separator: "; "),
        hint: "repeat the settings of the run to go on with it, or give another --output", file: run)
    case .badImages(let errors, let total):
      Diagnosis(
        id: "run.bad-images", exit: .badData, message: "\(errors.count) of \(total) images cannot be read",
        hint: errors.count < total
          ? "replace them, take them off the lists, or leave them out with --on-bad-image skip" : "replace them",
        file: errors.first?.file, details: errors.map(\.message))
    case .cacheTooSmall(let size, let needed):
      Diagnosis(
        id: "run.cache-too-small", exit: .usage,
        message: "a cache of \(size) pixels is less than the \(needed) that the network's images are resized to",
        hint: "give --cache-size \(needed) or more, or --cache never")
    case .notARun(let path):
      Diagnosis(
        id: "run.not-a-run", exit: .cannotCreate,
        message: "\(path.printable) exists and is not a run of chexnet: it has no settings.json",
        hint: "give another --output", file: path)
    case .nothingToResume(let path):
      Diagnosis(
        id: "run.nothing-to-resume", exit: .inputMissing,
        message: "\(path.printable) holds no training state to resume from",
        hint: "start it without --resume, or name the run directory", file: path)
    case .damagedState(let path, let reason):
      Diagnosis(
        id: "run.damaged-state", exit: .badData, message: "the training state \(path.printable) is damaged: \(reason)",
        hint: "restore the file from a copy, or begin again from checkpoints/best.safetensors with --weights",
        file: path)
    case .damagedStates(let last, let previous):
      Diagnosis(
        id: "run.damaged-state", exit: .badData,
        message: "\(last.diagnosis.message); and of the state before it: \(previous.diagnosis.message)",
        hint: "restore one of both from a copy, or begin again from checkpoints/best.safetensors with --weights",
        file: last.diagnosis.file, details: [])
    case .interrupted(let reason, let run, let epochs, let step):
      Diagnosis(
        id: "run.interrupted", exit: reason == .signal(2) ? .interruptedByKeyboard : .interrupted,
        message: "interrupted by \(reason); saved behind epoch \(epochs), step \(step) in \(run.printable)",
        hint: "the same command goes on from there", file: run)
    case .diverged(let error, let epoch, let step, let images):
      Diagnosis(
        id: error.diagnosis.id, exit: error.diagnosis.exit,
        message: (step > 0 ? "epoch \(epoch), step \(step): " : "validation of epoch \(epoch): ")
          + error.diagnosis.message,
        hint: error.diagnosis.hint, details: images.map(\.printable))
    }
  }
}
