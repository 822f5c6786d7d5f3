import Platform

@testable import WeightFormats

/// Bytes in memory, read as a file is.
struct MemoryBytes: ByteSource, ~Copyable {
  let contents: [UInt8]
  var size: Int { contents.count }

  borrowing func bytes(at offset: Int, count: Int) throws(WeightFault) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
      throw .platform(.truncated(path: "memory", offset: offset, expected: count, size: size))
    }
    return Array(contents[offset..<offset + count])
  }
}
