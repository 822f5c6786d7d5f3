import Platform

/// A gray PNG, made byte by byte, with anything in it.
struct TestPNG {
  var header: [UInt8]
  /// Filter types and bytes of all rows.
  var raw: [UInt8]
  /// Ancillary chunks, by type and data, before and behind the image's data.
  var before: [(String, [UInt8])] = []
  var after: [(String, [UInt8])] = []
  /// How the stream is cut into IDAT chunks: the sizes of all but the last.
  var pieces: [Int] = []
  /// Added to the stream's checksum.
  var checksum: UInt32 = 0
  /// log₂ of the stream's window, less 8.
  var window: UInt8 = 7
  /// Behind IEND.
  var trailing: [UInt8] = []

  init(width: Int, height: Int, raw: [UInt8]) {
    header = Self.bigEndian(UInt32(width)) + Self.bigEndian(UInt32(height)) + [8, 0, 0, 0, 0]
    self.raw = raw
  }

  /// Rows of all five filters.
  init(width: Int, height: Int) {
    var raw: [UInt8] = []
    for y in 0..<height {
      raw.append(UInt8(y % 5))
      for x in 0..<width { raw.append(UInt8((x * 7 + y * 3) % 64)) }
    }
    self.init(width: width, height: height, raw: raw)
  }

  var file: [UInt8] {
    var rest = stream[...]
    var chunks: [(String, [UInt8])] = [("IHDR", header)]
    chunks += before
    for size in pieces {
      chunks.append(("IDAT", Array(rest.prefix(size))))
      rest = rest.dropFirst(size)
    }
    chunks.append(("IDAT", Array(rest)))
    chunks += after
    chunks.append(("IEND", []))
    var bytes: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    for (type, data) in chunks { bytes += Self.chunk(type, data) }
    return bytes + trailing
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let covered = Array(type.utf8) + data
    return bigEndian(UInt32(data.count)) + covered + bigEndian(covered.withUnsafeBytes { Deflate.crc32($0) })
  }

  /// zlib's (RFC 1950) of blocks that are stored as they are (RFC 1951, 3.2.4).
  private var stream: [UInt8] {
    let first = window << 4 | 8
    // The two bytes are a multiple of 31.
    var bytes = [first, UInt8((31 - Int(first) * 256 % 31) % 31)]
    let size = 65535
    for start in stride(from: 0, to: max(raw.count, 1), by: size) {
      let block = raw[start..<min(start + size, raw.count)]
      let count = UInt16(block.count)
      bytes.append(start + size >= raw.count ? 1 : 0)
      for value in [count, ~count] { bytes += [UInt8(value & 255), UInt8(value >> 8)] }
      bytes += block
    }
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in raw {
      a = (a + UInt32(byte)) % 65521
      b = (b + a) % 65521
    }
    return bytes + Self.bigEndian((b << 16 | a) &+ checksum)
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}
