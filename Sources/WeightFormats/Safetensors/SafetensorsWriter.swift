import Platform
import Tensors

/// Writes a safetensors file tensor by tensor: whole or not at all.
///
/// Names must differ. The same calls always give the same bytes. One tensor's bytes are in flight at a time.
public struct SafetensorsWriter: ~Copyable {
  public typealias Entry = (name: String, elementType: ElementType, shape: Shape)

  private let entries: [Entry]
  private let headerBytes: Int
  private var file: AtomicFile
  private var next = 0

  /// Begins the file at `path` for `entries`, whose bytes follow in this order; types must not become wider, so that each is
  /// aligned. `metadata` may be replaced by others of the same length in the end.
  public init(
    entries: [Entry], metadata: [(key: String, value: String)], to path: String, overwriting: Bool
  ) throws(PlatformError) {
    precondition(zip(entries, entries.dropFirst()).allSatisfy { $0.elementType.size >= $1.elementType.size })
    let header = Self.header(entries, metadata)
    var file = try AtomicFile(path: path, overwriting: overwriting)
    try file.write(header)
    self.file = file
    self.entries = entries
    headerBytes = header.count
  }

  /// The bytes of the next entry (C order, little-endian).
  public mutating func append(_ bytes: [UInt8]) throws(PlatformError) {
    precondition(
      bytes.count == entries[next].shape.count * entries[next].elementType.size, "not the next tensor's bytes")
    try file.write(bytes)
    next += 1
  }

  /// Finishes the file. `old`: a name for what had its name (`AtomicFile.commit`).
  public consuming func commit(keepingOldAs old: String? = nil) throws(PlatformError) {
    precondition(next == entries.count, "\(entries.count - next) tensors are missing")
    try file.commit(keepingOldAs: old)
  }

  /// Finishes the file, with other metadata than it began with, which must be as long as those: digests of the tensors, say.
  public consuming func commit(metadata: [(key: String, value: String)]) throws(PlatformError) {
    let header = Self.header(entries, metadata)
    precondition(header.count == headerBytes, "the metadata have another length")
    try file.rewrite(header, at: 0)
    try commit()
  }

  private static func header(_ entries: [Entry], _ metadata: [(key: String, value: String)]) -> [UInt8] {
    var header = JSONObject()
    if !metadata.isEmpty {
      header[Safetensors.metadataKey] = .object(JSONObject(metadata.map { ($0.key, .string($0.value)) }))
    }
    var offset = 0
    for (name, elementType, shape) in entries {
      precondition(header[name] == nil && name != Safetensors.metadataKey, "the tensor name \(name) stands twice")
      let end = offset + shape.count * elementType.size
      header[name] = [
        "dtype": .string(elementType.rawValue), "shape": JSONValue(shape.extents),
        "data_offsets": [JSONValue(offset), JSONValue(end)],
      ]
      offset = end
    }
    var text = JSONValue.object(header).utf8()
    // Spaces behind the header bring the tensors to a multiple of eight bytes.
    text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
  }
}

extension Safetensors {
  /// Writes `tensors` and `metadata` to `path`, whole or not at all: in the order given, but wider element types first. `old`: a name for
  /// what had the path (`AtomicFile.commit`).
  public static func write(
    tensors: [(name: String, tensor: HostTensor)], metadata: [(key: String, value: String)], to path: String,
    overwriting: Bool, keepingOldAs old: String? = nil
  ) throws(PlatformError) {
    let sizes = Set(tensors.map(\.tensor.elementType.size)).sorted(by: >)
    let ordered = sizes.flatMap { size in tensors.filter { $0.tensor.elementType.size == size } }
    var writer = try SafetensorsWriter(
      entries: ordered.map { ($0.name, $0.tensor.elementType, $0.tensor.shape) }, metadata: metadata, to: path,
      overwriting: overwriting)
    for (_, tensor) in ordered { try writer.append(tensor.bytes) }
    try writer.commit(keepingOldAs: old)
  }
}
