import Platform

@testable import WeightFormats

/// Safetensors: the header and every tensor.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  fuzz(data, size) { bytes throws(WeightFault) in
    let directory = try Safetensors.open(MemoryBytes(bytes: bytes))
    for index in directory.entries.indices { _ = try directory.source.tensor(at: index) }
  }
}

/// Bytes in memory, read as a file is.
private struct MemoryBytes: ByteSource, ~Copyable {
  let bytes: [UInt8]
  var size: Int { bytes.count }

  borrowing func read(at offset: Int, count: Int) throws(PlatformError) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
      throw .truncated(path: "memory", offset: offset, expected: count, size: size)
    }
    return Array(bytes[offset..<offset + count])
  }
}
