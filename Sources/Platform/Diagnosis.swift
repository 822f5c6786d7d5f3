/// The exit statuses of the executable: 0, BSD's `sysexits.h` where one fits, and a few of our own.
public enum ExitStatus: Int32, Sendable, CaseIterable {
  case done = 0
  /// Training diverged: a loss, gradient or weight is not a number.
  case diverged = 10
  /// A rank of a distributed run was lost.
  case rankLost = 11
  /// A gate that was asked for (`--fail-under`, `--strict`) failed.
  case gateFailed = 12
  /// The file is unsafe and was refused.
  case unsafeFile = 13
  case usage = 64
  /// Bad data: a file, image, label or checkpoint.
  case badData = 65
  case inputMissing = 66
  /// A device, library or launcher is not available.
  case unavailable = 69
  /// A bug of ours.
  case internalBug = 70
  case outOfMemory = 71
  case cannotCreate = 73
  /// Input/output error, disk full.
  case inputOutput = 74
  /// Interrupted and saved: start again to resume.
  case interrupted = 75
  case interruptedByKeyboard = 130
}

/// What a person, or a script, is told about an error.
public struct Diagnosis: Equatable, Sendable {
  /// A stable dotted name for scripts: `file.missing`, `image.truncated`.
  public var id: String
  public var exit: ExitStatus
  /// One sentence: what was expected, what was found, and where. No final full stop.
  public var message: String
  /// What to do about it; nil where nothing useful can be said.
  public var hint: String?
  /// The file that the error is about.
  public var file: String?
  /// What the message sums up, one by one: the tensors that do not fit, say.
  public var details: [String]

  public init(
    id: String, exit: ExitStatus, message: String, hint: String? = nil, file: String? = nil, details: [String] = []
  ) {
    self.id = id
    self.exit = exit
    self.message = message
    self.hint = hint
    self.file = file
    self.details = details
  }
}

/// An error that knows what to tell the user. Every error type of this package is one.
public protocol DiagnosedError: Error, CustomStringConvertible {
  var diagnosis: Diagnosis { get }
}

extension DiagnosedError {
  public var description: String { diagnosis.message }
}

extension String {
  /// This text as it may be printed: control characters escaped, cut at 200 characters.
  ///
  /// Every text that came out of a file passes through here, so that no file can drive a terminal.
  public var printable: String {
    var text = ""
    var count = 0
    for scalar in unicodeScalars {
      if count == 200 { return text + "…" }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
        text += "\\u{" + String(scalar.value, radix: 16) + "}"
      default:
        text.unicodeScalars.append(scalar)
      }
      count += 1
    }
    return text
  }
}
