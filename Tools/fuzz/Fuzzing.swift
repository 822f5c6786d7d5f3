import Platform

@testable import WeightFormats

#if canImport(Glibc)
  import Glibc
#endif

/// Calls `parse` with what libFuzzer made; a typed error is what a malformed input should give.
func fuzz(_ data: UnsafePointer<UInt8>?, _ size: Int, _ parse: ([UInt8]) throws(WeightFault) -> Void) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  do throws(WeightFault) {
    try parse(bytes)
  } catch {
    let exit = error.diagnosis.exit
    precondition(exit == .badData || exit == .unsafeFile, "\(error.diagnosis)")
  }
  return 0
}

/// A file in memory, of no name any more, with the bytes of the input under way.
enum InputFile {
  private static let descriptor: CInt = {
    var path = Array("/dev/shm/chexnet-fuzz-XXXXXX".utf8CString)
    let descriptor = mkstemp(&path)
    precondition(descriptor >= 0 && unlink(path) == 0, "no memory for the input")
    return descriptor
  }()

  private static var path: String { "/proc/self/fd/\(descriptor)" }

  /// libhdf5 is not fuzzed here: the process that should run it ends at once, instead of being this program again.
  private static let endsReaders: Void = { ChildProcess.program = "/bin/false" }()

  /// Opens what `bytes` are as a weight file, and reads every tensor.
  static func read(_ bytes: [UInt8]) throws(WeightFault) {
    endsReaders
    let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    precondition(written == bytes.count && ftruncate(descriptor, off_t(bytes.count)) == 0, "the input was not written")
    do throws(WeightFormatError) {
      let options = WeightFile.Options(ignoreCRC: true, allowModulePickle: true, allowDangerousGlobals: true)
      _ = try WeightFile.open(path: path, options: options).tensors()
    } catch {
      throw error.fault
    }
  }
}
