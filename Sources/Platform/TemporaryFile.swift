import Foundation

/// A file without a name, in the folder for temporary files; it is gone with this value, however the process ends.
public struct TemporaryFile: ~Copyable {
  private let descriptor: Int32
  private let folder: String

  public init() throws(PlatformError) {
    folder = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    var path = Array((folder + "/chexnet.XXXXXX").utf8CString)
    descriptor = mkstemp(&path)
    guard descriptor >= 0 else { throw .cannotCreate(path: folder, errno: errno) }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    unlink(path)
  }

  deinit { close(descriptor) }

  /// Appends `bytes`.
  public mutating func write(_ bytes: [UInt8]) throws(PlatformError) {
    let failure = bytes.withUnsafeBytes { writeAll($0, to: descriptor, path: folder) }
    if let failure { throw failure }
  }

  /// What was written, to be read.
  public consuming func reader() throws(PlatformError) -> FileReader {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw .unreadable(path: folder, errno: errno) }
    return try FileReader(descriptor: copy, path: folder)
  }
}
