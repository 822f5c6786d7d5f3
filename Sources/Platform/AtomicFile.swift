import CPlatform
import Foundation

/// A file that appears under its name complete, or not at all.
///
/// Bytes go to a temporary file beside the target, which `commit` syncs and renames. Whatever happens before, the
/// target is untouched, and the temporary file is removed.
public struct AtomicFile: ~Copyable {
  public let path: String
  private let temporaryPath: String
  private let descriptor: Int32
  private var isCommitted = false
  /// Bytes appended, and how many of them the disk was asked to take already: it works while we do.
  private var size = 0
  private var begun = 0

  /// Bytes that the disk is asked to take at a time.
  private static let writebackSize = 4 << 20

  /// Begins a file at `path`.
  ///
  /// Throws `exists` where something stands there and `overwriting` is false; `cannotCreate` where the folder does not
  /// let us write.
  public init(path: String, overwriting: Bool) throws(PlatformError) {
    var status = stat()
    if lstat(path, &status) == 0 {
      if !overwriting { throw .exists(path: path) }
      if status.st_mode & S_IFMT == S_IFDIR { throw .cannotCreate(path: path, errno: EISDIR) }
    }
    let temporaryPath = path + ".tmp.\(getpid())"
    let descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .cannotCreate(path: path, errno: errno) }
    self.path = path
    self.temporaryPath = temporaryPath
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
    if !isCommitted { unlink(temporaryPath) }
  }

  /// Appends `bytes`.
  public mutating func write(_ bytes: [UInt8]) throws(PlatformError) {
    let failure = bytes.withUnsafeBytes { writeAll($0, to: descriptor, path: path) }
    if let failure { throw failure }
    size += bytes.count
    if size - begun >= Self.writebackSize {
      platform_begin_writeback(descriptor, begun, size - begun)
      begun = size
    }
  }

  /// Puts `bytes` over those written at `offset`, which must have been written before.
  public mutating func rewrite(_ bytes: [UInt8], at offset: Int) throws(PlatformError) {
    var done = 0
    while done < bytes.count {
      let written = bytes.withUnsafeBytes { buffer in
        pwrite(descriptor, buffer.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
      }
      if written >= 0 {
        done += written
      } else if errno != EINTR {
        throw .writeFailed(path: path, errno: errno)
      }
    }
  }

  /// Gives the file its name without waiting for the disk: a machine that loses its power may leave it damaged.
  public consuming func commitUnsynced() throws(PlatformError) {
    guard rename(temporaryPath, path) == 0 else { throw .cannotCreate(path: path, errno: errno) }
    isCommitted = true
  }

  /// Syncs the bytes to the disk and gives the file its name. What had the name gets that of `old`, if one is given: at every moment a
  /// whole file stands under one of both.
  public consuming func commit(keepingOldAs old: String? = nil) throws(PlatformError) {
    guard fsync(descriptor) == 0 else { throw .writeFailed(path: path, errno: errno) }
    if let old, rename(path, old) != 0, errno != ENOENT { throw .cannotCreate(path: old, errno: errno) }
    guard rename(temporaryPath, path) == 0 else { throw .cannotCreate(path: path, errno: errno) }
    isCommitted = true
    // The rename itself is durable once the folder is synced; a file system that cannot sync folders is no error.
    let folder = open(Platform.folder(of: path).ifEmpty("."), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return }
    let failure = fsync(folder) == 0 ? 0 : errno
    close(folder)
    guard [0, EINVAL, ENOTSUP, ENOSYS].contains(failure) else { throw .writeFailed(path: path, errno: failure) }
  }

  /// Writes a whole file at once.
  public static func write(_ bytes: [UInt8], to path: String, overwriting: Bool) throws(PlatformError) {
    var file = try AtomicFile(path: path, overwriting: overwriting)
    try file.write(bytes)
    try file.commit()
  }

  /// Writes a whole text file (UTF-8) at once.
  public static func write(_ text: String, to path: String, overwriting: Bool) throws(PlatformError) {
    try write(Array(text.utf8), to: path, overwriting: overwriting)
  }
}

/// Writes all of `bytes` to an open file; what went wrong, or nil.
func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) -> PlatformError? {
  var rest = bytes
  while let base = rest.baseAddress, !rest.isEmpty {
    let written = systemWrite(descriptor, base, rest.count)
    if written >= 0 {
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    } else if errno != EINTR {
      return .writeFailed(path: path, errno: errno)
    }
  }
  return nil
}

/// `write(2)`, which the method of that name hides.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}

extension String {
  fileprivate func ifEmpty(_ other: String) -> String { isEmpty ? other : self }
}

/// Whether anything has the name `path`, a broken link included.
public func somethingStands(at path: String) -> Bool {
  var status = stat()
  return lstat(path, &status) == 0
}

/// The folder that `path` is in: `a` of `a/b` and `a/b/`, nothing of `b`, `/` of `/b` and `/`.
///
/// Foundation's `deletingLastPathComponent` and `lastPathComponent` of `NSString` end the process on names of one character (Swift 6.3).
public func folder(of path: String) -> String {
  func trimmed(_ path: Substring.UTF8View) -> Substring.UTF8View {
    path.lastIndex { $0 != UInt8(ascii: "/") }.map { path[...$0] } ?? path.prefix(1)
  }
  let name = trimmed(path[...].utf8)
  guard let slash = name.lastIndex(of: UInt8(ascii: "/")) else { return "" }
  return String(Substring(trimmed(name[...slash])))
}

/// Whether `path` is a folder, or a link to one.
public func isFolder(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// Creates the folder `path`, and those above it, where they do not exist.
public func createFolder(_ path: String) throws(PlatformError) {
  if path.isEmpty || isFolder(path) { return }
  try createFolder(folder(of: path))
  // Another process may have been faster.
  guard mkdir(path, 0o755) == 0 || (errno == EEXIST && isFolder(path)) else {
    throw .cannotCreate(path: path, errno: errno == EEXIST ? ENOTDIR : errno)
  }
}

/// Adds `line` and a line end to the file at `path` in one write, so that a log never holds half a line of two writers.
public func appendLine(_ line: String, to path: String) throws(PlatformError) {
  try appendBytes(Array((line + "\n").utf8), to: path)
}

/// Adds `bytes` to the file at `path` in one write; where only a part of them found room, none of them.
public func appendBytes(_ bytes: [UInt8], to path: String) throws(PlatformError) {
  let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw .cannotCreate(path: path, errno: errno) }
  defer { close(descriptor) }
  let written = bytes.withUnsafeBytes { buffer in buffer.baseAddress.map { systemWrite(descriptor, $0, buffer.count) } }
  guard written != bytes.count else { return }
  let failure = written == -1 ? errno : ENOSPC
  let end = lseek(descriptor, 0, SEEK_CUR)
  var status = stat()
  // Unless another writer has added something behind them.
  if let written, written > 0, fstat(descriptor, &status) == 0, status.st_size == end {
    _ = ftruncate(descriptor, end - off_t(written))
  }
  throw .writeFailed(path: path, errno: failure)
}
