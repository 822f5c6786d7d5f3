/// The bytes of a file from some place on, read in pieces as far as a pickle goes: where it ends, only its operations say.
struct PickleInput {
  /// Bytes that are read at a time.
  private static let pieceSize = 64 << 10

  private let load: (_ offset: Int, _ count: Int) throws(WeightFault) -> [UInt8]
  private let end: Int
  private var piece: ByteReader
  private var pieceOffset: Int

  /// The bytes from `offset` to `end`, of which `load` gives any part.
  init(from offset: Int, to end: Int, load: @escaping (_ offset: Int, _ count: Int) throws(WeightFault) -> [UInt8]) {
    precondition((0...end).contains(offset))
    self.load = load
    self.end = end
    piece = ByteReader([])
    pieceOffset = offset
  }

  init(_ bytes: [UInt8]) {
    self.init(from: 0, to: bytes.count) { offset, count throws(WeightFault) in Array(bytes[offset..<offset + count]) }
  }

  /// Where the next byte stands.
  var offset: Int { pieceOffset + piece.offset }

  var remaining: Int { end - offset }

  mutating func take(_ count: Int) throws(WeightFault) -> ArraySlice<UInt8> {
    try fill(count)
    guard let bytes = piece.take(count) else { throw .pickle(.truncated) }
    return bytes
  }

  /// A little-endian integer.
  mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(WeightFault) -> Value {
    try fill(Value.bitWidth / 8)
    guard let value = piece.integer(Value.self) else { throw .pickle(.truncated) }
    return value
  }

  /// The text up to the next line feed, which is stepped over.
  mutating func line(limit: Int) throws(WeightFault) -> String {
    var bytes: [UInt8] = []
    while true {
      let byte: UInt8 = try integer()
      if byte == UInt8(ascii: "\n") { break }
      guard bytes.count < limit else { throw .pickle(.limit(what: "bytes in a line", limit: limit)) }
      bytes.append(byte)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Makes the next `count` bytes stand in `piece`, where the file has them.
  private mutating func fill(_ count: Int) throws(WeightFault) {
    guard piece.remaining < count, count >= 0, count <= remaining else { return }
    let start = offset
    piece = ByteReader(try load(start, min(max(count, Self.pieceSize), end - start)))
    pieceOffset = start
  }
}
