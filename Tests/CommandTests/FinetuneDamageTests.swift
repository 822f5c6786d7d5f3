import Foundation
import Platform
import TestSupport
import Testing

@testable import Training

/// Damage to the state of a run, behind its second of three epochs: what was before it is enough to go on.
@Suite struct FinetuneDamageTests {
  private static let folder: String = {
    let folder = NSTemporaryDirectory() + "chexnet-damage-\(ProcessInfo.processInfo.processIdentifier)"
    atexit { try? FileManager.default.removeItem(atPath: FinetuneDamageTests.folder) }
    for (run, epochs) in [("whole", 3), ("begun", 2)] {
      let output = try? Executable.run(finetune(folder + "/" + run, epochs: epochs))
      precondition(output?.status == 0, "finetune failed: \(output?.err ?? "")")
    }
    return folder
  }()

  /// Eleven steps an epoch.
  private static func finetune(_ run: String, epochs: Int = 3) -> [String] {
    SmallDemo.finetune(run, epochs: epochs) + ["--ema", "0.5", "--checkpoint-every", "4"]
  }

  enum Damage: CaseIterable {
    case firstByte, headerByte, middleByte, lastByte, half, nothingLeft, gone

    func strike(_ path: String) throws {
      var bytes = try FileReader.contents(of: path)
      switch self {
      case .firstByte: bytes[0] ^= 0x80
      case .headerByte: bytes[40] ^= 1
      case .middleByte: bytes[bytes.count / 2] ^= 1
      case .lastByte: bytes[bytes.count - 1] ^= 0x40
      case .half: bytes.removeLast(bytes.count / 2)
      case .nothingLeft: bytes = []
      case .gone: return try FileManager.default.removeItem(atPath: path)
      }
      try AtomicFile.write(bytes, to: path, overwriting: true)
    }
  }

  /// A copy of the run behind its second epoch.
  private func inCopy(_ body: (RunDirectory) throws -> Void) throws {
    try inTemporaryFolder { folder in
      try FileManager.default.copyItem(atPath: Self.folder + "/begun", toPath: folder + "/run")
      try body(RunDirectory(path: folder + "/run"))
    }
  }

  @Test(arguments: Damage.allCases)
  func `a run whose last state is damaged says so and goes on from the one before, to the same bytes`(
    damage: Damage
  ) throws {
    try inCopy { run in
      try damage.strike(run.state)
      let output = try Executable.run(Self.finetune(run.path) + ["--progress", "none"])
      #expect(output.status == 0, "\(output.err)")
      let warning = try #require(output.err.split(separator: "\n").first { $0.hasPrefix("warning: ") })
      #expect(warning.contains(run.state), "\(warning)")
      let expected = "going on from \(run.previousState), behind epoch 1, step 9; to be done again: 2 steps"
      #expect(warning.hasSuffix(expected), "\(warning)")
      try compareRuns(run.path, with: Self.folder + "/whole", "\(damage)")
    }
  }

  @Test func `a dry run tells of the damage and makes nothing`() throws {
    try inCopy { run in
      try Damage.middleByte.strike(run.state)
      let files = try FileManager.default.subpathsOfDirectory(atPath: run.path)
      let output = try Executable.run(Self.finetune(run.path) + ["--dry-run", "--json"])
      #expect(output.status == 0 && output.err.hasPrefix("warning: "), "\(output.err)")
      #expect(try output.json()["done_epochs"]?.integer == 1)
      #expect(try FileManager.default.subpathsOfDirectory(atPath: run.path) == files)
    }
  }

  @Test func `a damaged previous state is nothing to a run whose last one is whole`() throws {
    try inCopy { run in
      try Damage.half.strike(run.previousState)
      let output = try Executable.run(Self.finetune(run.path))
      #expect(output.status == 0 && !output.err.contains("warning: "), "\(output.err)")
      try compareRuns(run.path, with: Self.folder + "/whole", "previous")
    }
  }

  @Test(arguments: [Damage.lastByte, .half, .gone])
  func `where both states are damaged both are named, and nothing is changed`(damage: Damage) throws {
    try inCopy { run in
      try damage.strike(run.state)
      try Damage.middleByte.strike(run.previousState)
      let events = try FileReader.contents(of: run.eventsPath)
      let output = try Executable.run(Self.finetune(run.path) + ["--json"])
      #expect(output.status == 65, "\(output.err)")
      #expect(try output.error()["id"] == "run.damaged-state")
      let message = try #require(try output.error()["message"]?.string)
      #expect(message.contains(run.state) && message.contains(run.previousState), "\(message)")
      #expect(try FileReader.contents(of: run.eventsPath) == events)
    }
  }
}
