import Foundation
import Platform

/// The ways in which a Keras HDF5 file can lie.
public enum KerasFault: Error, Equatable {
  /// libhdf5 could not do something with the file that it can do with every sound one.
  case damaged(doing: String)
  /// Neither the file nor its group `model_weights` has the attribute `layer_names`.
  case noLayerNames
  case malformedAttribute(String)
  /// A layer lists a weight that is not there.
  case missingWeight(String)
  /// A soft, external or user-defined link: it may lead out of the file.
  case unsafeLink(String)
  /// A dataset whose numbers are in other files.
  case foreignStorage(String)
  case unknownFilter(String, filter: Int)
  case unsupportedType(String)
  case bomb(String, declared: Int, stored: Int)
  case tooManyObjects(limit: Int)
  case tooDeep(limit: Int)
  /// The paths, or the lists of names, have more bytes together.
  case tooLongNames(limit: Int)
  case tooLarge(String, bytes: Int, limit: Int)
  /// Bytes of something else stand in front of the HDF5 file.
  case userBlock(bytes: Int)
  /// A record of a `.keras` archive is not what Keras writes there.
  case malformedRecord(String, reason: String)

  // What becomes of the process that reads the file.

  /// A signal ended it: libhdf5 does not survive every damaged file.
  case readerCrashed(signal: Int)
  case readerExited(status: Int)
  case readerStalled(seconds: Int)
  /// It says what a sound reader does not.
  case readerUnbelievable(reason: String)
  /// The system does not let it give up its rights, so that it reads no file.
  case unconfined(doing: String, errno: Int)
  case noLibrary(reason: String)

  var diagnosis: Diagnosis {
    switch self {
    case .damaged(let doing):
      bad("damaged", "the file is damaged, truncated or of a newer HDF5: libhdf5 failed at \(doing.printable)", again)
    case .noLayerNames:
      bad(
        "no-layer-names",
        "no Keras weights: neither the file nor its group model_weights has the attribute layer_names, and no group is "
          + "named vars",
        "save the whole model from Keras: model.save(\"new.h5\")")
    case .malformedAttribute(let name): bad("malformed-attribute", "\(name.printable) is no list of texts", again)
    case .missingWeight(let name):
      bad("missing-weight", "a layer lists \(name.printable), which is not in the file", again)
    case .unsafeLink(let name): unsafe("unsafe-link", "\(name.printable) is a link that may lead out of the file")
    case .foreignStorage(let name): unsafe("foreign-storage", "the numbers of \(name.printable) are in other files")
    case .unknownFilter(let name, let filter):
      bad(
        "unknown-filter", "\(name.printable) is packed by filter \(filter); gzip and shuffle are read",
        "repack it: h5repack -f NONE")
    case .unsupportedType(let name): bad("unsupported-type", "\(name.printable) does not hold plain numbers")
    case .bomb(let name, let declared, let stored):
      unsafe("bomb", "\(name.printable) claims \(declared) bytes, of which the file stores \(stored)")
    case .tooManyObjects(let limit): unsafe("too-many-objects", "more than \(limit) groups and datasets")
    case .tooDeep(let limit): unsafe("too-deep", "groups more than \(limit) levels inside each other")
    case .tooLongNames(let limit): unsafe("too-long-names", "names of more than \(limit) bytes together")
    case .tooLarge(let name, let bytes, let limit):
      unsafe("too-large", "\(name.printable) has \(bytes) bytes; at most \(limit) are read at once")
    case .userBlock(let bytes):
      unsafe("user-block", "\(bytes) bytes of something else stand in front of the file")
    case .malformedRecord(let name, let reason):
      bad("malformed-record", "\(name.printable) of the archive is malformed: \(reason.printable)", again)
    case .readerCrashed(let signal): crashed(signal)
    case .readerExited(let status):
      bad("reader-exited", "the process that reads the file ended with status \(status) before it had answered", again)
    case .readerStalled(let seconds):
      bad("reader-stalled", "the process that reads the file did not answer for \(seconds) seconds", again)
    case .readerUnbelievable(let reason):
      unsafe("reader-unbelievable", "the process that reads the file says what cannot be: \(reason.printable)")
    case .unconfined(let doing, let code):
      Diagnosis(
        id: "keras.unconfined", exit: .unavailable,
        message: "HDF5: this system does not let the process that reads the file give up its rights "
          + "(\(doing.printable), error \(code)), so the file is not read",
        hint: "convert the weights to safetensors elsewhere, or run on Linux 4.14 or newer with seccomp")
    case .noLibrary(let reason):
      Diagnosis(
        id: "keras.no-library", exit: .unavailable, message: "HDF5: \(reason.printable)",
        hint: "install HDF5 (Debian and Ubuntu: apt-get install libhdf5-dev), or name its folder in LD_LIBRARY_PATH")
    }
  }

  private func crashed(_ signal: Int) -> Diagnosis {
    let reason =
      switch Int32(signal) {
      case SIGPROF, SIGXCPU, SIGKILL:
        "the process that reads it used up its processor time (0.8 s, and 1 s for each 16 MiB of the file), or was killed"
      default: "libhdf5 itself fails on it (signal \(signal) ended the process that reads it)"
      }
    return bad("reader-crashed", "the file is damaged: " + reason, again)
  }

  private var again: String { "copy or download the file again" }

  private func bad(_ id: String, _ message: String, _ hint: String) -> Diagnosis {
    Diagnosis(id: "keras.\(id)", exit: .badData, message: "HDF5: " + message, hint: hint)
  }

  private func bad(_ id: String, _ message: String) -> Diagnosis {
    Diagnosis(id: "keras.\(id)", exit: .badData, message: "HDF5: " + message)
  }

  private func unsafe(_ id: String, _ message: String) -> Diagnosis {
    Diagnosis(
      id: "keras.\(id)", exit: .unsafeFile, message: "HDF5: " + message,
      hint: "do not use this file: Keras writes none like it")
  }
}
