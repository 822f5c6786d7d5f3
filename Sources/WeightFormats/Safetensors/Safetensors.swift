import Platform
import Tensors

/// The format of huggingface/safetensors: eight bytes (little-endian) that say how long the header is, the header, which is a
/// JSON object from names to `{"dtype", "shape", "data_offsets"}`, and the tensors' bytes, one behind the other.
///
/// Invariant of what `open` accepts: the tensors, by their offsets, tile the rest of the file without hole or overlap, and
/// each has as many bytes as its shape and type say.
public enum Safetensors {
  /// Bytes of a header at the most. The format allows 100 MB, which as JSON in memory are gigabytes; a DenseNet-264 with the state
  /// of its optimizer needs half a megabyte.
  static let headerLimit = 4 << 20

  static let metadataKey = "__metadata__"

  /// Reads and checks the header.
  static func open<Source: ByteSource & ~Copyable>(_ reader: consuming Source) throws(WeightFault) -> WeightDirectory {
    let (header, dataStart) = try header(of: reader)
    var metadata: [(key: String, value: String)] = []
    var spans: [Span] = []
    for (name, value) in header.members {
      if name == metadataKey {
        metadata = try self.metadata(value)
      } else {
        spans.append(try span(name, value))
      }
    }
    // Empty tensors stand in front of the tensor that begins where they do.
    spans.sort { ($0.begin, $0.end, $0.entry.name) < ($1.begin, $1.end, $1.entry.name) }
    var end = 0
    for span in spans {
      if span.begin < end { throw .safetensors(.overlap(tensor: span.entry.name)) }
      if span.begin > end { throw .safetensors(.hole(tensor: span.entry.name)) }
      end = span.end
    }
    let (expected, overflow) = dataStart.addingReportingOverflow(end)
    guard !overflow, expected == reader.size else {
      throw .safetensors(.wrongFileSize(expected: overflow ? .max : expected, found: reader.size))
    }
    return WeightDirectory(
      format: .safetensors, entries: spans.map(\.entry), metadata: metadata,
      source: SafetensorsSource(reader: reader, dataStart: dataStart, spans: spans))
  }

  /// A tensor and its bytes, counted from the end of the header.
  fileprivate struct Span {
    let entry: WeightFile.Entry
    let begin: Int
    let end: Int
  }

  private static func header<Source: ByteSource & ~Copyable>(
    of reader: borrowing Source
  ) throws(WeightFault) -> (JSONObject, dataStart: Int) {
    guard reader.size >= 8 else { throw .safetensors(.truncatedHeader(needed: 8, size: reader.size)) }
    let length = try reader.bytes(at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(headerLimit) else { throw .safetensors(.headerTooLong(bytes: length)) }
    let dataStart = 8 + Int(length)
    guard dataStart <= reader.size else {
      throw .safetensors(.truncatedHeader(needed: dataStart, size: reader.size))
    }
    let bytes = try reader.bytes(at: 8, count: Int(length))
    guard bytes.first == UInt8(ascii: "{") else { throw .safetensors(.headerNotObject) }
    do throws(PlatformError) {
      return (try JSONValue.parse(bytes).object ?? JSONObject(), dataStart)
    } catch {
      throw .safetensors(.malformedHeader(error))
    }
  }

  private static func metadata(_ value: JSONValue) throws(WeightFault) -> [(key: String, value: String)] {
    guard let object = value.object else { throw .safetensors(.malformedMetadata(key: metadataKey)) }
    var metadata: [(key: String, value: String)] = []
    for (key, value) in object.members {
      guard let text = value.string else { throw .safetensors(.malformedMetadata(key: key)) }
      metadata.append((key, text))
    }
    return metadata
  }

  private static func span(_ name: String, _ value: JSONValue) throws(WeightFault) -> Span {
    func malformed(_ reason: String) -> WeightFault { .safetensors(.malformedEntry(tensor: name, reason: reason)) }
    guard let object = value.object, object.count == 3 else {
      throw malformed("expected an object of dtype, shape and data_offsets")
    }
    guard let typeName = object["dtype"]?.string else { throw malformed("dtype is no text") }
    guard let type = ElementType(rawValue: typeName) else {
      throw .safetensors(.unknownElementType(tensor: name, type: typeName))
    }
    let extents = object["shape"]?.array?.map(\.integer) ?? [nil]
    guard !extents.contains(where: { ($0 ?? -1) < 0 }) else { throw malformed("shape is no list of sizes") }
    let offsets = object["data_offsets"]?.array?.compactMap(\.integer) ?? []
    guard offsets.count == 2, object["data_offsets"]?.array?.count == 2, 0 <= offsets[0], offsets[0] <= offsets[1]
    else {
      throw malformed("data_offsets is no pair of ascending offsets")
    }
    guard let shape = Shape(checking: extents.compactMap { $0 }) else {
      throw .safetensors(.shapeOverflow(tensor: name))
    }
    let (bytes, overflow) = shape.count.multipliedReportingOverflow(by: type.size)
    guard !overflow else { throw .safetensors(.shapeOverflow(tensor: name)) }
    guard bytes == offsets[1] - offsets[0] else {
      throw .safetensors(.wrongByteCount(tensor: name, expected: bytes, found: offsets[1] - offsets[0]))
    }
    return Span(
      entry: WeightFile.Entry(name: name, elementType: type, shape: shape), begin: offsets[0], end: offsets[1])
  }

  private final class SafetensorsSource<Source: ByteSource & ~Copyable>: TensorSource {
    private let reader: Source
    private let dataStart: Int
    private let spans: [Span]

    init(reader: consuming Source, dataStart: Int, spans: [Span]) {
      self.reader = reader
      self.dataStart = dataStart
      self.spans = spans
    }

    func tensor(at index: Int) throws(WeightFault) -> HostTensor {
      let span = spans[index]
      let bytes = try reader.bytes(at: dataStart + span.begin, count: span.end - span.begin)
      return HostTensor(elementType: span.entry.elementType, shape: span.entry.shape, bytes: bytes)
    }
  }
}
