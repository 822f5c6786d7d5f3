import Foundation

/// What can go wrong between us and the machine.
public enum PlatformError: DiagnosedError, Equatable {
  case missing(path: String)
  case notAFile(path: String)
  case unreadable(path: String, errno: Int32)
  /// A read of `expected` bytes at `offset` found the end of the file at `size`.
  case truncated(path: String, offset: Int, expected: Int, size: Int)
  case exists(path: String)
  case cannotCreate(path: String, errno: Int32)
  case writeFailed(path: String, errno: Int32)
  /// A file system has `free` bytes left, and what is to be written takes up to `needed`.
  case diskFull(path: String, needed: Int, free: Int)
  case malformedJSON(reason: String, offset: Int)
  /// The loader finds none of these, or the one that it found is another.
  case libraryMissing(names: [String], reason: String)
  /// The system has no memory left for `bytes` more.
  case outOfMemory(bytes: Int)
  case cannotStart(program: String, errno: Int32)
  /// The system did not let a process give up its rights.
  case cannotConfine(doing: String, errno: Int32)
  /// A child process ended before it had answered.
  case childExited(status: Int32)
  case childKilled(signal: Int32)
  /// A child process did not answer in time.
  case childStalled(seconds: Int)

  public var diagnosis: Diagnosis {
    switch self {
    case .missing(let path):
      Diagnosis(
        id: "file.missing", exit: .inputMissing, message: "no such file or folder: \(path.printable)",
        hint: "check the spelling and the working directory (\(FileManager.default.currentDirectoryPath))", file: path)
    case .notAFile(let path):
      Diagnosis(
        id: "file.not-a-file", exit: .inputMissing,
        message: "expected a file, found a folder or device: \(path.printable)",
        file: path)
    case .unreadable(let path, let code):
      Diagnosis(
        id: "file.unreadable", exit: code == EACCES ? .inputMissing : .inputOutput,
        message: "cannot read \(path.printable): \(text(of: code))",
        hint: code == EACCES ? "check the permissions of the file and of the folders above it" : nil, file: path)
    case .truncated(let path, let offset, let expected, let size):
      Diagnosis(
        id: "file.truncated", exit: .badData,
        message:
          "\(path.printable) is truncated: expected \(expected) bytes at offset \(offset), but the file ends at \(size)",
        hint: "copy or download the file again", file: path)
    case .exists(let path):
      Diagnosis(
        id: "output.exists", exit: .cannotCreate, message: "\(path.printable) exists and is not overwritten",
        hint: "give another name, or --force to replace it", file: path)
    case .cannotCreate(let path, let code):
      Diagnosis(
        id: code == ENOSPC || code == EDQUOT ? "output.disk-full" : "output.cannot-create",
        exit: [ENOSPC, EDQUOT, EIO].contains(code) ? .inputOutput : .cannotCreate,
        message: "cannot create \(path.printable): \(text(of: code))",
        hint: code == ENOENT ? "create the folder that it should be in first" : nil, file: path)
    case .writeFailed(let path, let code):
      Diagnosis(
        id: code == ENOSPC || code == EDQUOT ? "output.disk-full" : "output.write-failed", exit: .inputOutput,
        message: "cannot write \(path.printable): \(text(of: code)); nothing was left half-written",
        hint: code == ENOSPC || code == EDQUOT || code == EFBIG
          ? "free space there, or give an --output on another disk" : nil,
        file: path)
    case .diskFull(let path, let needed, let free):
      Diagnosis(
        id: "output.disk-full", exit: .inputOutput,
        message: "not enough space for \(path.printable): \(needed) bytes are needed, \(free) are free",
        hint: "free space there, or give an --output on another disk", file: path)
    case .malformedJSON(let reason, let offset):
      Diagnosis(id: "json.malformed", exit: .badData, message: "malformed JSON at byte \(offset): \(reason)")
    case .libraryMissing(let names, let reason):
      Diagnosis(
        id: "library.missing", exit: .unavailable,
        message: "cannot open the library \(names.joined(separator: " or ")): \(reason.printable)",
        hint: "install it, or name its folder in LD_LIBRARY_PATH")
    case .outOfMemory(let bytes):
      Diagnosis(
        id: "memory.out", exit: .outOfMemory,
        message: "out of memory: \((bytes + 999_999) / 1_000_000) MB more were needed",
        hint:
          "a smaller --batch-size takes less (--gradient-accumulation makes up for it), and so do --memory-efficient and --precision bf16"
      )
    case .cannotStart(let program, let code):
      Diagnosis(
        id: "child.cannot-start", exit: .unavailable, message: "cannot start \(program.printable): \(text(of: code))")
    case .cannotConfine(let doing, let code):
      Diagnosis(
        id: "child.unconfined", exit: .unavailable,
        message: "a process could not be confined: \(doing.printable): \(text(of: code))")
    case .childExited(let status):
      Diagnosis(id: "child.exited", exit: .internalBug, message: "a child process ended with status \(status)")
    case .childKilled(let signal):
      Diagnosis(id: "child.killed", exit: .internalBug, message: "signal \(signal) ended a child process")
    case .childStalled(let seconds):
      Diagnosis(
        id: "child.stalled", exit: .internalBug, message: "a child process did not answer for \(seconds) seconds")
    }
  }
}

/// The system's words for an `errno`.
private func text(of code: Int32) -> String { String(cString: strerror(code)) }
