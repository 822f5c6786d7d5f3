import Platform

/// The ways in which a PyTorch archive can lie, beyond those of a zip archive and a pickle.
public enum TorchFault: Equatable, Sendable {
  /// The records are not all in one folder.
  case severalRoots(String, String)
  case hiddenPickle(String)
  case missingRecord(String)
  case recordTooLong(String, bytes: Int, limit: Int)
  case unknownByteOrder(String)
  case wrongStorageSize(record: String, expected: Int, found: Int)
  /// The values stand too deep, or too often, inside each other.
  case tooManyValues(limit: Int)
  /// Tensors' names are longer, all together, than any network's.
  case tooMuchText(limit: Int)
  /// Tensors of several storages take turns so often that reading them reads the file over and over.
  case readTooOften(limit: Int)
  /// A stream whose parts are not the ones that PyTorch writes.
  case unknownStream(reason: String)
  case truncatedStream(key: String)
  case trailingBytes(offset: Int, size: Int)

  var diagnosis: Diagnosis {
    switch self {
    case .severalRoots(let one, let other):
      bad("several-roots", "the archive has records in \(one.printable) and in \(other.printable), not in one folder")
    case .hiddenPickle(let name): bad("hidden-pickle", "the archive has a second pickle: \(name.printable)")
    case .missingRecord(let name):
      bad("missing-record", "the archive has no record \(name.printable)", "copy or download the file again")
    case .recordTooLong(let name, let bytes, let limit):
      bad("record-too-long", "record \(name.printable) has \(bytes) bytes; at most \(limit) are read")
    case .unknownByteOrder(let text): bad("unknown-byte-order", "the byte order \(text.printable) is unknown")
    case .wrongStorageSize(let record, let expected, let found):
      bad(
        "wrong-storage-size", "record \(record.printable) has \(found) bytes, its tensors need a storage of \(expected)"
      )
    case .tooManyValues(let limit):
      Diagnosis(
        id: "torch.too-many-values", exit: .unsafeFile,
        message: "torch: more than \(limit) values, or values too deep inside each other")
    case .tooMuchText(let limit):
      Diagnosis(
        id: "torch.too-much-text", exit: .unsafeFile,
        message: "torch: the names of its tensors and the texts beside them have more than \(limit) bytes")
    case .readTooOften(let limit):
      Diagnosis(
        id: "torch.read-too-often", exit: .unsafeFile,
        message: "torch: its tensors take turns in such a way that over \(limit) bytes would be read in vain")
    case .unknownStream(let reason): bad("unknown-stream", "not a stream as PyTorch writes it: \(reason.printable)")
    case .truncatedStream(let key):
      bad(
        "truncated", "the file is truncated: it ends within storage \(key.printable)", "copy or download the file again"
      )
    case .trailingBytes(let offset, let size):
      bad("trailing-bytes", "the storages end at byte \(offset), the file goes on to \(size)")
    }
  }

  private func bad(_ id: String, _ message: String, _ hint: String? = nil) -> Diagnosis {
    Diagnosis(id: "torch.\(id)", exit: .badData, message: "torch: " + message, hint: hint)
  }
}
