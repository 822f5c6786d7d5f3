import Foundation
import Platform
import TestSupport
import Testing

/// Ranks with a GPU each, whose driver and whose NCCL are the emulator's. The largest and the least of MPIs: what NCCL carries does not pass through it.
@Suite(.serialized, .enabled(if: !MPI.installed.isEmpty, MPI.reason)) struct NCCLCommandTests {
  private static let mpi = MPI.installed.first ?? .openMPI

  private static func environment(_ more: [String: String] = [:]) -> [String: String] {
    [
      "CHEXNET_CUDA": builtCUDAEmulator, "CHEXNET_NCCL": builtCUDAEmulator, "CUDA_EMULATOR_DEVICES": "4",
      "CUDA_EMULATOR_RACES": "0",
    ].merging(more) { $1 }
  }

  private static func run(
    _ ranks: Int, _ arguments: [String], _ environment: [String: String] = [:]
  ) throws -> Executable.Output {
    try mpi.run(ranks, arguments + ["--device", "cuda"], environment: Self.environment(environment))
  }

  private static func finetune(_ run: String, list: String, batchSize: Int = 4) -> [String] {
    RanksTests.finetune(run, batchSize: batchSize, list: list) + ["--precision", "fp32"]
  }

  /// Steps whose last has images for two ranks of four; and steps of two micro-batches, of which the second sums while it runs. What one process has that runs
  /// the shares one after the other, statistics too, is what the processor's ranks have: that is shown elsewhere.
  @Test(arguments: [(2, 1), (4, 1), (2, 2)])
  func `ranks learn on GPUs what they learn on processors`(ranks: Int, accumulation: Int) throws {
    try inTemporaryFolder { folder in
      let list = try RanksTests.shortList(folder, 34)
      let more = ["--gradient-accumulation", "\(accumulation)"]
      let size = 8 / ranks / accumulation
      let there = try Self.run(ranks, Self.finetune(folder + "/there", list: list, batchSize: size) + more)
      #expect(there.status == 0, "\(there.err)")
      let here = try Self.mpi.run(ranks, Self.finetune(folder + "/here", list: list, batchSize: size) + more)
      #expect(here.status == 0, "\(here.err)")
      try RanksTests.expectSame(folder + "/there", as: folder + "/here")
      // Work is done early by chance: a sum that did not wait for its gradients would be of others.
      let again = try Self.run(
        ranks, Self.finetune(folder + "/again", list: list, batchSize: size) + more, ["CUDA_EMULATOR_EARLY": "1"])
      #expect(again.status == 0, "\(again.err)")
      for file in ["metrics.csv", "checkpoints/last.safetensors", "checkpoints/last.state.safetensors"] {
        let bytes = try ["there", "again"].map { try FileReader.contents(of: "\(folder)/\($0)/\(file)") }
        #expect(bytes[0] == bytes[1], "\(file)")
      }
    }
  }

  @Test func `evaluate gives every rank a GPU of its own`() throws {
    try inTemporaryFolder { folder in
      let evaluate = [
        "evaluate", try importedCheckpoint(folder), "--data", SmallDemo.folder, "--test",
        SmallDemo.folder + "/test_list.txt", "--json",
      ]
      let many = try Self.run(2, evaluate)
      let one = try Executable.run(evaluate + ["--device", "cuda"], environment: Self.environment())
      #expect(many.status == 0 && one.status == 0, "\(many.err)\(one.err)")
      #expect(many.out == one.out)
    }
  }

  @Test func `what ranks with GPUs lack is said before anything is written`() throws {
    try inTemporaryFolder { folder in
      let list = try RanksTests.shortList(folder, 34)
      let cases: [(name: String, environment: [String: String], device: String, words: [String])] = [
        (
          "no NCCL", ["CHEXNET_NCCL": folder + "/libnccl.so.2"], "cuda",
          ["ranks with GPUs need NCCL", "nvidia-nccl-cu13"]
        ),
        ("few", ["CUDA_EMULATOR_DEVICES": "3"], "cuda", ["4 ranks on this machine", "shows 3 GPUs", "--ranks 3"]),
        ("one for all", [:], "cuda:1", ["ranks 0 and 1 on ", "have the same GPU (0000:02:00)", "--device cuda"]),
        (
          "refused", ["CUDA_EMULATOR_FAIL": "ncclCommInitRankConfig:3:1"], "cuda",
          ["ncclCommInitRankConfig failed", "NCCL_DEBUG"]
        ),
      ]
      for (name, environment, device, words) in cases {
        let arguments = Self.finetune(folder + "/run", list: list) + ["--device", device]
        let output = try Self.mpi.run(4, arguments, environment: Self.environment(environment))
        #expect(output.status == 69, "\(name): \(output.status) \(output.err)")
        for word in words { #expect(output.err.contains(word), "\(name): \(output.err)") }
        // What NCCL refuses each rank tells; what all have wrong is told once.
        #expect(name == "refused" || output.err.components(separatedBy: "error: ").count == 2, "\(name): \(output.err)")
        #expect(!FileManager.default.fileExists(atPath: folder + "/run/checkpoints/last.safetensors"), "\(name)")
      }
      // One GPU that a launcher shows each rank as its only one, and that is the same: NCCL has no use for it.
      let alone = try Self.run(2, Self.finetune(folder + "/run", list: list), ["CUDA_EMULATOR_DEVICES": "1"])
      #expect(alone.status == 69 && alone.err.contains("have the same GPU"), "\(alone.err)")
    }
  }

  /// Rank 1 alone is refused, stops, or is killed, somewhere in the training.
  @Test(arguments: ["refused", "stopped", "killed"])
  func `a rank that is lost ends all, and what was saved goes on`(fault: String) throws {
    try inTemporaryFolder { folder in
      let path = folder + "/run"
      let second = fault == "refused" ? ["/usr/bin/env", "CUDA_EMULATOR_FAIL=ncclAllReduce:3:40"] : []
      // Emulated steps take their time where others run beside them.
      let more = ["--device", "cuda", "--precision", "fp32", "--comm-timeout", "10"]
      let run = try RankRun.start(
        Self.mpi, path, isOnItsWay: fault != "refused", more: more, second: second, environment: Self.environment())
      if fault == "stopped" { try run.send(SIGSTOP, toRank: 1) }
      if fault == "killed" { try run.send(SIGKILL, toRank: 1) }
      let output = try run.end(within: 40)
      #expect(output.status != 0)
      if fault == "refused" {
        #expect(output.err.contains("rank 1 on ") && output.err.contains("ncclAllReduce failed"), "\(output.err)")
      }
      if fault == "stopped" {
        #expect(output.err.contains("rank 1 on ") || output.err.contains("is not done after 10 s"), "\(output.err)")
      }
      let again = try Executable.run(
        RankRun.finetune(path, epochs: 2) + more, environment: Self.environment())
      #expect(again.status == 0, "\(again.err)")
    }
  }
}
