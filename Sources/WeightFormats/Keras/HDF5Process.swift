import Foundation
import Platform

/// Our end of the process that reads an HDF5 file (`HDF5Worker`): a file in the format of safetensors, as far as one can see here.
///
/// The process is trusted as little as the file is: whatever it says is checked, its silence ends after `answerSeconds`, and
/// its end is an error of the file.
final class HDF5Process: ByteSource {
  let size: Int
  private let answerSeconds: Int
  /// Held from a request to the end of its answer.
  private let lock = NSLock()
  private var child: ChildProcess
  /// Why it answers no more.
  private var fault: WeightFault?

  var identifier: pid_t { child.identifier }

  /// Seconds that an answer may take: more than the processor time that it has in all, for slow disks.
  static let answerSeconds = 30
  /// Bytes of a fault at the most: paths have 16 names of 1023 bytes.
  private static let faultLimit = 1 << 20

  /// Starts the process for the HDF5 file in `range` of `file`, which may be closed afterwards, calls `body`, and waits until it has
  /// checked the file.
  convenience init(
    _ file: borrowing FileReader, range: Range<Int>, meanwhile body: () throws(WeightFault) -> Void = {}
  ) throws(WeightFault) {
    let child: ChildProcess
    do throws(PlatformError) {
      child = try ChildProcess(
        arguments: [HDF5Worker.argument, String(range.lowerBound), String(range.count)],
        // No search for a program that prints backtraces. Large pages, where glibc and the system know them: libhdf5 asks for memory in
        // thousands of small pieces.
        environment: ["SWIFT_BACKTRACE=enable=no", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"], file: file)
    } catch {
      throw .platform(error)
    }
    try body()
    try self.init(child: child)
  }

  /// Waits until `child` has checked its file.
  init(child: consuming ChildProcess, answerSeconds: Int = HDF5Process.answerSeconds) throws(WeightFault) {
    var size = ByteReader(try Self.answer(from: &child, count: 8, seconds: answerSeconds))
    guard let bytes = size.integer(UInt64.self).flatMap(Int.init(exactly:)) else {
      throw .keras(.readerUnbelievable(reason: "a size beyond 64 bits"))
    }
    self.size = bytes
    self.child = child
    self.answerSeconds = answerSeconds
  }

  func bytes(at offset: Int, count: Int) throws(WeightFault) -> [UInt8] {
    if count == 0 { return [] }
    lock.lock()
    defer { lock.unlock() }
    if let fault { throw fault }
    do throws(WeightFault) {
      let request = [offset, count].flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
      do throws(PlatformError) {
        try child.send(request)
      } catch {
        throw Self.fault(error)
      }
      return try Self.answer(from: &child, count: count, seconds: answerSeconds)
    } catch {
      fault = error
      throw error
    }
  }

  /// What it says: `count` bytes, or a fault.
  private static func answer(
    from child: inout ChildProcess, count: Int, seconds: Int
  ) throws(WeightFault) -> [UInt8] {
    var told = JSONValue.null
    do throws(PlatformError) {
      switch try child.receive(count: 1, seconds: seconds)[0] {
      case 0: return try child.receive(count: count, seconds: seconds)
      case 1:
        var length = ByteReader(try child.receive(count: 4, seconds: seconds))
        if let bytes = length.integer(UInt32.self), bytes <= faultLimit {
          told = try JSONValue.parse(try child.receive(count: Int(bytes), seconds: seconds))
        }
      default: break
      }
    } catch {
      throw fault(error)
    }
    throw .keras(KerasFault(told) ?? .readerUnbelievable(reason: "an answer that is none"))
  }

  /// An error of the process as one of the file.
  private static func fault(_ error: PlatformError) -> WeightFault {
    switch error {
    case .childExited(let status): .keras(.readerExited(status: Int(status)))
    case .childKilled(let signal): .keras(.readerCrashed(signal: Int(signal)))
    case .childStalled(let seconds): .keras(.readerStalled(seconds: seconds))
    case .malformedJSON: .keras(.readerUnbelievable(reason: error.description))
    default: .platform(error)
    }
  }
}
