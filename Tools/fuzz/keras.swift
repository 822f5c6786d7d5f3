@testable import WeightFormats

/// What the process that runs libhdf5 says about a file: it is trusted no more than the file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKeras(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  fuzz(data, size) { bytes throws(WeightFault) in
    let directory = try KerasFile.open(served: MemoryBytes(contents: bytes), of: MemoryBytes(contents: bytes))
    for index in directory.entries.indices { _ = try directory.source.tensor(at: index) }
  }
}
