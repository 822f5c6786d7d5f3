import Platform

/// The ways in which a zip archive can lie.
public enum ZipFault: Equatable, Sendable {
  /// No end-of-directory record stands at the end of the file.
  case truncated(size: Int)
  /// Two records could be the archive's end: readers would differ about its contents.
  case ambiguousEnd
  case severalDisks
  /// The end records and the directory contradict each other.
  case malformedEnd(reason: String)
  case malformedDirectory(entry: Int)
  case tooManyEntries(count: Int, limit: Int)
  case encrypted(entry: String)
  /// Flags that the format keeps for itself.
  case unknownFlags(entry: String, flags: UInt16)
  case unknownMethod(entry: String, method: Int)
  /// Absolute, or with `..`, a backslash or a control character.
  case unsafeName(String)
  case symbolicLink(entry: String)
  case duplicateName(String)
  case overlap(entry: String)
  /// Bytes that belong to no entry stand in front of this one, or of the directory.
  case gap(before: String)
  /// The header in front of the data says something else than the directory.
  case localMismatch(entry: String, field: String)
  case malformedDescriptor(entry: String)
  case bomb(entry: String, compressed: Int, size: Int)
  case malformedData(entry: String)
  case wrongChecksum(entry: String)

  var diagnosis: Diagnosis {
    switch self {
    case .truncated(let size):
      bad("truncated", "the file is truncated: \(size) bytes, no central directory", Self.again)
    case .ambiguousEnd: bad("ambiguous-end", "two records could be the end of the archive")
    case .severalDisks: bad("several-disks", "the archive is one of several parts")
    case .malformedEnd(let reason): bad("malformed-end", "the end of the archive is malformed: \(reason)", Self.again)
    case .malformedDirectory(let entry):
      bad("malformed-directory", "entry \(entry) of the directory is malformed", Self.again)
    case .tooManyEntries(let count, let limit):
      unsafe("too-many-entries", "the archive has \(count) entries; at most \(limit) are read")
    case .unknownFlags(let entry, let flags):
      bad("unknown-flags", "\(entry.printable) has the flags 0x\(String(flags, radix: 16)), not all of which are known")
    case .encrypted(let entry): bad("encrypted", "\(entry.printable) is encrypted")
    case .unknownMethod(let entry, let method):
      bad(
        "unknown-method", "\(entry.printable) is compressed by method \(method)",
        "zip it again without compression: zip -0")
    case .unsafeName(let name): unsafe("unsafe-name", "the entry name \(name.printable) points outside of the archive")
    case .symbolicLink(let entry): unsafe("symbolic-link", "\(entry.printable) is a symbolic link")
    case .duplicateName(let name): bad("duplicate-name", "two entries are named \(name.printable)")
    case .overlap(let entry): bad("overlap", "\(entry.printable) begins before the entry in front of it ends")
    case .gap(let entry): bad("gap", "bytes that belong to no entry stand in front of \(entry.printable)")
    case .localMismatch(let entry, let field):
      bad("local-mismatch", "\(entry.printable): its header and the directory differ in the \(field)")
    case .malformedDescriptor(let entry):
      bad("malformed-descriptor", "\(entry.printable): the descriptor behind its data is malformed", Self.again)
    case .bomb(let entry, let compressed, let size):
      unsafe("bomb", "up to \(entry.printable), \(compressed) bytes claim to inflate to \(size)")
    case .malformedData(let entry): bad("malformed-data", "\(entry.printable) does not inflate to its size", Self.again)
    case .wrongChecksum(let entry):
      bad(
        "wrong-checksum", "\(entry.printable) has another checksum than the directory says: the file is damaged",
        "copy it again; if it was written with torch.serialization.set_crc32_options(False), --ignore-crc takes it")
    }
  }

  private static let again = "copy or download the file again"

  private func bad(_ id: String, _ message: String, _ hint: String? = nil) -> Diagnosis {
    Diagnosis(id: "zip.\(id)", exit: .badData, message: "zip: " + message, hint: hint)
  }

  private func unsafe(_ id: String, _ message: String) -> Diagnosis {
    Diagnosis(
      id: "zip.\(id)", exit: .unsafeFile, message: "zip: " + message,
      hint: "do not use this file: it was made to deceive")
  }
}
