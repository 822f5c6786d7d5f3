import Foundation

/// A file opened for reading at offsets.
///
/// Files are read with `pread`, never mapped: a file that shrinks under us is an error, not a signal that ends the process.
public struct FileReader: ~Copyable {
  public let path: String
  /// Bytes, when the file was opened.
  public let size: Int
  /// Open as long as this lives.
  let descriptor: Int32

  /// Opens the regular file at `path`.
  public init(path: String) throws(PlatformError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT || errno == ENOTDIR ? .missing(path: path) : .unreadable(path: path, errno: errno)
    }
    try self.init(descriptor: descriptor, path: path)
  }

  /// Takes over an open descriptor, which is closed where this throws.
  init(descriptor: Int32, path: String) throws(PlatformError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw .unreadable(path: path, errno: code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw .notAFile(path: path)
    }
    self.path = path
    self.size = Int(status.st_size)
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// The same open file, for a second owner.
  public borrowing func duplicate() throws(PlatformError) -> FileReader {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw .unreadable(path: path, errno: errno) }
    return try FileReader(descriptor: copy, path: path)
  }

  /// Exactly `count` bytes from `offset`; `truncated` when the file does not have them.
  ///
  /// The size is compared before memory is asked for, so a lying header cannot make us allocate more than the file holds.
  public borrowing func read(at offset: Int, count: Int) throws(PlatformError) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
      throw .truncated(path: path, offset: offset, expected: count, size: size)
    }
    var failure: PlatformError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = 0
      while initialized < count {
        let got = pread(
          descriptor, buffer.baseAddress.map { $0 + initialized }, count - initialized, off_t(offset + initialized))
        if got > 0 {
          initialized += got
        } else if got == 0 {
          failure = .truncated(path: path, offset: offset, expected: count, size: offset + initialized)
          return
        } else if errno != EINTR {
          failure = .unreadable(path: path, errno: errno)
          return
        }
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// The whole of the file at `path`.
  public static func contents(of path: String) throws(PlatformError) -> [UInt8] {
    let reader = try FileReader(path: path)
    return try reader.read(at: 0, count: reader.size)
  }
}
