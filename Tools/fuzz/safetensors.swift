@testable import WeightFormats

/// Safetensors: the header and every tensor.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  fuzz(data, size) { bytes throws(WeightFault) in
    let directory = try Safetensors.open(MemoryBytes(contents: bytes))
    for index in directory.entries.indices { _ = try directory.source.tensor(at: index) }
  }
}
