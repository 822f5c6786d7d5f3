/// Reads fields from bytes in memory, front to back; nil where the bytes end first.
struct ByteReader {
  let bytes: [UInt8]
  private(set) var offset: Int

  init(_ bytes: [UInt8], at offset: Int = 0) {
    precondition((0...bytes.count).contains(offset))
    self.bytes = bytes
    self.offset = offset
  }

  var remaining: Int { bytes.count - offset }

  mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count >= 0, count <= remaining else { return nil }
    offset += count
    return bytes[offset - count..<offset]
  }

  /// A little-endian integer.
  mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value? {
    take(Value.bitWidth / 8).map { $0.reversed().reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) } }
  }

  /// The bytes up to the next line feed, which is stepped over.
  mutating func line() -> ArraySlice<UInt8>? {
    guard let end = bytes[offset...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    defer { offset = end + 1 }
    return bytes[offset..<end]
  }
}
