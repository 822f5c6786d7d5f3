import Foundation
import TestSupport
import Testing

/// Whether the stand-in for Synapse refuses what it says it refuses: else the other tests on it show little. The program of Tests/GaudiMisuse
/// provokes each of its kinds of misuse, in processes of its own.
@Suite struct GaudiMisuseTests {
  private struct Output {
    let status: Int32
    let lines: [Substring]
  }

  private static func run(_ environment: [String: String]) throws -> Output {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: builtGaudiMisuse)
    process.arguments = [builtGaudiStub]
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return Output(status: process.terminationStatus, lines: text.split(separator: "\n"))
  }

  @Test(.timeLimit(.minutes(1)), arguments: ["0", "1"])
  func `every kind of misuse is refused, as late and as early`(early: String) throws {
    let output = try Self.run(["GAUDI_STUB_EARLY": early])
    let all = output.lines.joined(separator: "\n")
    #expect(output.status == 0, "\(all)")
    let last = try #require(output.lines.last)
    #expect(last.wholeMatch(of: /121 kinds, [0-9]{4} checks, 0 failed/) != nil, "\(all)")
  }

  /// A kind that is refused nowhere, for nobody asks: the program must not pass over that.
  @Test(.timeLimit(.minutes(1)), arguments: ["unordered-access", "node-output-shape", "hccl-rank-ended"])
  func `a kind that was not provoked is named`(kind: String) throws {
    let output = try Self.run(["MISUSE_FORGET": kind])
    #expect(output.status == 1)
    #expect(output.lines.dropLast() == ["never provoked: \(kind)"])
    let last = try #require(output.lines.last)
    #expect(last.wholeMatch(of: /120 kinds, [0-9]{4} checks, 1 failed/) != nil, "\(last)")
  }
}
