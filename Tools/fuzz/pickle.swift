@testable import WeightFormats

/// Pickles, and the walk through what they build.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPickle(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  fuzz(data, size) { bytes throws(WeightFault) in
    let (value, heap) = try PickleInterpreter.run(bytes)
    for leaf in try TorchTree(value, heap: heap).leaves {
      precondition(
        leaf.tensor.reach.upperBound <= leaf.tensor.storage.blockByteCount, "a tensor reaches beyond its storage")
    }
  }
}
