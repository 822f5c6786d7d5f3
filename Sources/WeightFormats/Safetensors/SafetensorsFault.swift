import Platform

/// The ways in which a safetensors file can lie.
public enum SafetensorsFault: Equatable, Sendable {
  /// The file has no room for the eight bytes of the header's length, or for the header.
  case truncatedHeader(needed: Int, size: Int)
  case headerTooLong(bytes: UInt64)
  case headerNotObject
  /// The header is not JSON, or has a key twice.
  case malformedHeader(PlatformError)
  case malformedMetadata(key: String)
  case malformedEntry(tensor: String, reason: String)
  case unknownElementType(tensor: String, type: String)
  /// The extents multiplied do not fit in 64 bits.
  case shapeOverflow(tensor: String)
  case wrongByteCount(tensor: String, expected: Int, found: Int)
  /// A tensor begins before the one in front of it ends.
  case overlap(tensor: String)
  /// Bytes that belong to no tensor stand in front of this one.
  case hole(tensor: String)
  /// The tensors end before or behind the end of the file.
  case wrongFileSize(expected: Int, found: Int)

  var diagnosis: Diagnosis {
    switch self {
    case .truncatedHeader(let needed, let size):
      bad("truncated", "the file is truncated: its header needs \(needed) bytes, it has \(size)", "copy it again")
    case .headerTooLong(let bytes):
      bad("header-too-long", "the header claims \(bytes) bytes; at most \(Safetensors.headerLimit) are read")
    case .headerNotObject: bad("header-not-object", "the header does not begin with '{'")
    case .malformedHeader(let error): bad("malformed-header", "the header is no JSON object: \(error)")
    case .malformedMetadata(let key):
      bad("malformed-metadata", "__metadata__ may hold only texts, and \(key.printable) is none")
    case .malformedEntry(let tensor, let reason): bad("malformed-entry", "tensor \(tensor.printable): \(reason)")
    case .unknownElementType(let tensor, let type):
      bad("unknown-dtype", "tensor \(tensor.printable) has the unknown dtype \(type.printable)")
    case .shapeOverflow(let tensor):
      bad("shape-overflow", "tensor \(tensor.printable): its shape does not fit in 64 bits")
    case .wrongByteCount(let tensor, let expected, let found):
      bad(
        "wrong-byte-count", "tensor \(tensor.printable): its shape needs \(expected) bytes, its offsets span \(found)")
    case .overlap(let tensor):
      bad("overlap", "tensor \(tensor.printable) begins before the one in front of it ends")
    case .hole(let tensor): bad("hole", "bytes that belong to no tensor stand in front of \(tensor.printable)")
    case .wrongFileSize(let expected, let found):
      bad(
        found < expected ? "truncated" : "trailing-bytes",
        "the tensors need a file of \(expected) bytes, it has \(found)", "copy or download it again")
    }
  }

  private func bad(_ id: String, _ message: String, _ hint: String? = nil) -> Diagnosis {
    Diagnosis(id: "safetensors.\(id)", exit: .badData, message: "safetensors: " + message, hint: hint)
  }
}
