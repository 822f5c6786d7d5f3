import ArgumentParser
import Engine
import Foundation
import Platform

/// How an error leaves the program: two lines for people, or one line of JSON, on standard error; and the exit status.
enum ErrorReport {
  /// Details that people are shown.
  private static let detailLimit = 20

  /// Prints `error` and ends the process. Help and version requests, which are errors to the parser, go to standard output.
  static func exit(with error: any Error) -> Never {
    if error is any DiagnosedError {
      tell(error)
      Foundation.exit(status(of: error))
    }
    if let status = error as? ExitStatus { Foundation.exit(status.rawValue) }
    let code = CheXNet.exitCode(for: error)
    // What a user has mistyped is told once: launchers end all when the first one leaves, and that should be the one that tells.
    if isLaterRank {
      usleep(500_000)
      Foundation.exit(code.rawValue)
    }
    let isUsage = code == .validationFailure
    let mistyped = isUsage ? MistypedArgument(in: Array(CommandLine.arguments.dropFirst())) : nil
    if let mistyped, !asJSON {
      standardError("Error: \(mistyped.message)\n  See '\(mistyped.help)' for more information.\n")
      Foundation.exit(code.rawValue)
    }
    if code.isSuccess || !asJSON { CheXNet.exit(withError: error) }
    // The parser's own text: "Error: …", then the usage.
    let message = mistyped?.message ?? CheXNet.message(for: error)
    write(
      Diagnosis(
        id: isUsage ? "usage" : "internal", exit: isUsage ? .usage : .internalBug, message: message,
        hint: mistyped?.help ?? "chexnet --help"),
      asJSON: true)
    Foundation.exit(isUsage ? ExitStatus.usage.rawValue : ExitStatus.internalBug.rawValue)
  }

  private static var asJSON: Bool { CommandLine.arguments.contains("--json") }

  /// Whether a launcher says that this is one of several processes, and not the first.
  private static var isLaterRank: Bool { Launcher.rank().map { $0 > 0 } ?? false }

  /// Prints an error that knows what to tell; `prefix` comes before its message.
  static func tell(_ error: any Error, prefix: String = "") {
    guard var diagnosis = (error as? any DiagnosedError)?.diagnosis else {
      return standardError("error: \(prefix)\(CheXNet.message(for: error))\n")
    }
    diagnosis.message = prefix + diagnosis.message
    write(diagnosis, asJSON: asJSON)
  }

  /// Tells what one process of several has alone, and waits, for a second at most, until its launcher has read it: MPICH's ends all
  /// when one process aborts, and what that process has written and the launcher not yet read is lost then (2 % of the time on a busy machine).
  static func tell(_ error: any Error, ofRank rank: Int, on host: String) {
    tell(error, prefix: "rank \(rank) on \(host): ")
    var unread: CInt = 0
    for _ in 0..<200 {
      guard ioctl(STDERR_FILENO, UInt(FIONREAD), &unread) == 0, unread > 0 else { return }
      usleep(5000)
    }
  }

  /// With which `error` leaves the program.
  static func status(of error: any Error) -> Int32 {
    if let error = error as? any DiagnosedError { return error.diagnosis.exit.rawValue }
    return (error as? ExitStatus)?.rawValue ?? CheXNet.exitCode(for: error).rawValue
  }

  private static func write(_ diagnosis: Diagnosis, asJSON: Bool) {
    if asJSON {
      var members = JSONObject([
        ("id", .string(diagnosis.id)), ("exit", .integer(Int64(diagnosis.exit.rawValue))),
        ("message", .string(diagnosis.message)),
      ])
      if let hint = diagnosis.hint { members["hint"] = .string(hint) }
      if let file = diagnosis.file { members["file"] = .string(file) }
      if !diagnosis.details.isEmpty { members["details"] = JSONValue(diagnosis.details) }
      standardError(JSONValue.object(["error": .object(members)]).text() + "\n")
    } else {
      var lines = ["error: \(diagnosis.message)"] + diagnosis.details.prefix(detailLimit).map { "  \($0)" }
      if diagnosis.details.count > detailLimit {
        lines.append("  and \(diagnosis.details.count - detailLimit) more; --json lists all")
      }
      if let hint = diagnosis.hint { lines.append("hint: \(hint)") }
      standardError(lines.joined(separator: "\n") + "\n")
    }
  }
}

/// A status to leave with, when everything has been said.
extension ExitStatus: Error {}

/// Writes to standard error, at once.
func standardError(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
