@testable import WeightFormats

/// Zip archives as PyTorch writes them. Checksums are not compared: a fuzzer cannot guess them.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzArchive(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  fuzz(data, size) { bytes throws(WeightFault) in
    // Only what begins as an archive reaches the reader of archives.
    try InputFile.read([0x50, 0x4B, 3, 4] + bytes.dropFirst(4))
  }
}
