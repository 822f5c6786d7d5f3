import Platform

/// What can be wrong with radiographs, folders of them, and label tables.
public enum ChestXrayError: DiagnosedError, Equatable {
  case platform(PlatformError)
  case fileTooLarge(path: String, bytes: Int, limit: Int)
  case image(path: String, ImageFault)
  case folder(path: String, FolderFault)
  /// Something in a list or table. `line` counts from 1; nil where no line is to blame.
  case table(path: String, line: Int?, TableFault)
  /// A checkpoint's preprocessing that no radiograph can be given.
  case preprocessing(reason: String)

  public var diagnosis: Diagnosis {
    switch self {
    case .platform(let error):
      error.diagnosis
    case .fileTooLarge(let path, let bytes, let limit):
      Diagnosis(
        id: "file.too-large", exit: .badData,
        message: "expected at most \(limit) bytes, found \(bytes) in \(path.printable)",
        hint: "check that this is the file you mean", file: path)
    case .image(let path, let fault):
      fault.diagnosis(path: path)
    case .folder(let path, let fault):
      fault.diagnosis(folder: path)
    case .table(let path, let line, let fault):
      fault.diagnosis(path: path, line: line)
    case .preprocessing(let reason):
      Diagnosis(
        id: "checkpoint.preprocessing", exit: .badData,
        message: "the checkpoint's preprocessing cannot be used: \(reason)",
        hint: "import the weights again with --preprocessing")
    }
  }
}

/// All bytes of the file at `path`, which may have at most `limit`.
func contents(of path: String, atMost limit: Int) throws(ChestXrayError) -> [UInt8] {
  let size: Int
  do {
    let reader = try FileReader(path: path)
    size = reader.size
    if size <= limit { return try reader.read(at: 0, count: size) }
  } catch {
    throw .platform(error)
  }
  throw .fileTooLarge(path: path, bytes: size, limit: limit)
}
