import Foundation
import Platform
import TestSupport
import Testing

/// Ranks with a Gaudi each, whose Synapse and HCCL are the stub's.
@Suite(.serialized, .enabled(if: !MPI.installed.isEmpty, MPI.reason)) struct GaudiRanksTests {
  private static let mpi = MPI.installed.first ?? .openMPI

  private static func environment(_ folder: String, _ more: [String: String] = [:]) -> [String: String] {
    [
      "CHEXNET_SYNAPSE": builtGaudiStub, "GAUDI_STUB_RUN": folder, "XDG_CACHE_HOME": folder + "/cache",
      "GAUDI_STUB_DEVICES": "4",
    ].merging(more) { $1 }
  }

  private static func losses(_ run: String) throws -> [Double] {
    let lines = try String(contentsOfFile: run + "/metrics.csv", encoding: .utf8).split(separator: "\n")
    let names = lines[0].split(separator: ",").map(String.init)
    let columns = names.indices.filter { names[$0].hasSuffix("loss") }
    return lines.dropFirst().flatMap { line in
      let cells = line.split(separator: ",", omittingEmptySubsequences: false)
      return columns.compactMap { Double(cells[$0]) }
    }
  }

  /// The losses of two bf16 runs, within what conformance allows of a loss.
  static func expectCloseLosses(_ found: String, _ expected: String) throws {
    let (mine, theirs) = (try losses(found), try losses(expected))
    #expect(mine.count == theirs.count && mine.count >= 4)
    for (mine, theirs) in zip(mine, theirs) { #expect(abs(mine - theirs) <= 0.04 * theirs, "\(mine), \(theirs)") }
  }

  /// Steps whose last has images for two ranks of four; and steps of two micro-batches.
  @Test(arguments: [(2, 1), (4, 1), (2, 2)])
  func `ranks learn on Gaudis what they learn on processors`(ranks: Int, accumulation: Int) throws {
    try inTemporaryFolder { folder in
      let list = try RanksTests.shortList(folder, 34)
      func finetune(_ name: String, _ precision: String) -> [String] {
        RanksTests.finetune(folder + name, batchSize: 8 / ranks / accumulation, list: list)
          + ["--gradient-accumulation", "\(accumulation)", "--precision", precision]
      }
      for precision in ranks == 2 ? ["fp32", "bf16"] : ["fp32"] {
        let there = try Self.mpi.run(
          ranks, finetune("/there-\(precision)", precision) + ["--hpu"], environment: Self.environment(folder))
        #expect(there.status == 0, "\(there.err)")
        let here = try Self.mpi.run(ranks, finetune("/here-\(precision)", precision))
        #expect(here.status == 0, "\(here.err)")
      }
      try RanksTests.expectSame(folder + "/there-fp32", as: folder + "/here-fp32")
      if ranks == 2 { try Self.expectCloseLosses(folder + "/there-bf16", folder + "/here-bf16") }
      // What is done at once, and not as late as may be, gives the same bytes.
      let again = try Self.mpi.run(
        ranks, finetune("/again", "fp32") + ["--device", "gaudi"],
        environment: Self.environment(folder, ["GAUDI_STUB_EARLY": "1"]))
      #expect(again.status == 0, "\(again.err)")
      for file in ["metrics.csv", "checkpoints/last.safetensors", "checkpoints/last.state.safetensors"] {
        let bytes = try ["there-fp32", "again"].map { try FileReader.contents(of: "\(folder)/\($0)/\(file)") }
        #expect(bytes[0] == bytes[1], "\(file)")
      }
    }
  }

  @Test func `what ranks with Gaudis lack is said before anything is written`() throws {
    try inTemporaryFolder { folder in
      let list = try RanksTests.shortList(folder, 34)
      let cases: [(environment: [String: String], device: String, words: [String])] = [
        (["GAUDI_STUB_DEVICES": "3"], "gaudi", ["4 ranks on this machine", "shows 3 Gaudis", "--ranks 3"]),
        ([:], "gaudi:1", ["“gaudi:1” is in use by another process", "a free one"]),
        (["CHEXNET_SYNAPSE": folder + "/libSynapse.so"], "gaudi", ["needs Intel Gaudi's software", "CHEXNET_SYNAPSE"]),
      ]
      for (environment, device, words) in cases {
        let output = try Self.mpi.run(
          4, RanksTests.finetune(folder + "/run", batchSize: 2, list: list) + ["--device", device],
          environment: Self.environment(folder, environment))
        #expect(output.status == 69, "\(output.status) \(output.err)")
        for word in words { #expect(output.err.contains(word), "\(output.err)") }
        #expect(!somethingStands(at: folder + "/run/checkpoints/last.safetensors"))
      }
    }
  }

  /// Rank 1 alone has a launch that fails, has another release, stops, or is killed, somewhere in the training.
  @Test(arguments: ["failed", "another release", "stopped", "killed"])
  func `a rank that is lost ends all, and what was saved goes on`(fault: String) throws {
    try inTemporaryFolder { folder in
      let path = folder + "/run"
      let second =
        switch fault {
        case "failed": ["/usr/bin/env", "GAUDI_STUB_FAIL_LAUNCH=40"]
        case "another release": ["/usr/bin/env", "GAUDI_STUB_VERSION=1.13.0"]
        default: [String]()
        }
      let more = ["--device", "gaudi", "--precision", "fp32", "--comm-timeout", "10"]
      let run = try RankRun.start(
        Self.mpi, path, isOnItsWay: second.isEmpty, more: more, second: second, environment: Self.environment(folder))
      if fault == "stopped" { try run.send(SIGSTOP, toRank: 1) }
      if fault == "killed" { try run.send(SIGKILL, toRank: 1) }
      let output = try run.end(within: 40)
      #expect(output.status != 0)
      let words = [
        "failed": ["rank 1 on ", "synStreamSynchronize failed"],
        "another release": ["different releases of Synapse", "1.13.0"],
      ]
      for word in words[fault] ?? [] { #expect(output.err.contains(word), "\(output.err)") }
      if fault == "stopped" {
        #expect(output.err.contains("rank 1 on ") || output.err.contains("is not done after 10 s"), "\(output.err)")
      }
      let again = try Executable.run(RankRun.finetune(path, epochs: 2) + more, environment: Self.environment(folder))
      #expect(again.status == 0, "\(again.err)")
    }
  }
}
