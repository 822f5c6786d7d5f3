import Platform

/// The ways in which a Keras HDF5 file can lie.
public enum KerasFault: Equatable, Sendable {
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

  var diagnosis: Diagnosis {
    switch self {
    case .damaged(let doing):
      bad("damaged", "the file is damaged, truncated or of a newer HDF5: libhdf5 failed at \(doing.printable)", again)
    case .noLayerNames:
      bad(
        "no-layer-names",
        "no Keras weights: neither the file nor its group model_weights has the attribute layer_names",
        "save the whole model from Keras: model.save(\"new.h5\")")
    case .malformedAttribute(let name): bad("malformed-attribute", "\(name.printable) is no list of texts", again)
    case .missingWeight(let name):
      bad("missing-weight", "a layer lists \(name.printable), which is not in the file", again)
    case .unsafeLink(let name): unsafe("unsafe-link", "\(name.printable) is a link that may lead out of the file")
    case .foreignStorage(let name): unsafe("foreign-storage", "the numbers of \(name.printable) are in other files")
    case .unknownFilter(let name, let filter):
      bad(
        "unknown-filter", "\(name.printable) is packed by filter \(filter); gzip, shuffle and fletcher32 are read",
        "repack it: h5repack -f NONE")
    case .unsupportedType(let name): bad("unsupported-type", "\(name.printable) does not hold plain numbers")
    case .bomb(let name, let declared, let stored):
      unsafe("bomb", "\(name.printable) claims \(declared) bytes, of which the file stores \(stored)")
    case .tooManyObjects(let limit): unsafe("too-many-objects", "more than \(limit) groups and datasets")
    case .tooDeep(let limit): unsafe("too-deep", "groups more than \(limit) levels inside each other")
    }
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
