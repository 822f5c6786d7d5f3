import Foundation
import Platform

/// A row in a process of its own, whose peak memory is then the row's.
enum OwnProcess {
  /// The row's process ended badly, or said nothing that is a row.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  static func run(_ row: RowName, _ settings: Settings) throws -> RowResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
    process.arguments = settings.arguments + ["--row", row.description, "--json"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let document = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(description: "the process of \(row) ended with status \(process.terminationStatus)")
    }
    guard let result = try JSONValue.parse(Array(document))["rows"]?[0].flatMap(RowResult.init) else {
      throw Failure(description: "the process of \(row) printed no row")
    }
    return result
  }
}
