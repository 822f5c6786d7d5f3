import Foundation
import Platform
import TestSupport
import Testing

/// Processes of a run that are killed, stopped or interrupted while it trains.
@Suite(.serialized, .enabled(if: !MPI.installed.isEmpty, MPI.reason)) struct RankFaultTests {
  private func finetune(_ run: String, epochs: Int) -> [String] {
    SmallDemo.finetune(run, epochs: epochs) + [
      "--cache", "never", "--threads", "1", "--comm-timeout", "3", "--checkpoint-every", "2", "--progress", "lines",
    ]
  }

  /// The process of this rank whose command names `run`; launchers have no rank.
  private func process(ofRank rank: Int, _ run: String) -> Int32? {
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return numbers.compactMap { Int32($0) }.first { process in
      func text(_ name: String) -> String {
        FileManager.default.contents(atPath: "/proc/\(process)/\(name)").map { String(decoding: $0, as: UTF8.self) }
          ?? ""
      }
      let marks = ["OMPI_COMM_WORLD_RANK=\(rank)\0", "PMI_RANK=\(rank)\0"]
      return text("cmdline").contains(run + "\0") && marks.contains { text("environ").contains($0) }
    }
  }

  /// A run of two ranks that has passed its first epoch.
  private func running(_ mpi: MPI, _ run: String) throws -> (Executable.Running, rank: Int32) {
    let running = try mpi.start(mpi.command(2, finetune(run, epochs: 2000)))
    let deadline = Date() + 60
    while !running.err.contains("epoch    1/2000"), Date() < deadline { usleep(5000) }
    return (running, try #require(process(ofRank: 1, run), "\(running.err)"))
  }

  /// Waits until the launcher has ended, at most `seconds`, and then until no rank is left.
  private func ended(_ running: Executable.Running, _ run: String, within seconds: Double) throws -> Executable.Output {
    let deadline = Date() + seconds
    while running.process.isRunning, Date() < deadline { usleep(20_000) }
    #expect(!running.process.isRunning, "still running after \(seconds) s: \(running.err)")
    // Launchers may hear nothing gentler.
    if running.process.isRunning { kill(running.process.processIdentifier, SIGKILL) }
    let output = try running.finish()
    for rank in 0..<2 { #expect(process(ofRank: rank, run) == nil, "rank \(rank) is left") }
    return output
  }

  /// Somewhere in an epoch; three ranks then cut the rest of it into other steps, and one takes what is left.
  @Test(arguments: MPI.installed)
  func `a signal that one rank hears saves at one step of all, and other ranks go on from there`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      let (running, rank) = try running(mpi, run)
      kill(rank, SIGUSR1)
      let output = try ended(running, run, within: 20)
      #expect(output.status == 75, "\(output.err)")
      #expect(output.err.components(separatedBy: "interrupted").count == 2, "\(output.err)")
      let metrics = try String(contentsOfFile: run + "/metrics.csv", encoding: .utf8).split(separator: "\n")
      let epochs = metrics.count - 1
      for (ranks, more) in [(3, 1), (1, 2)] {
        let arguments = finetune(run, epochs: epochs + more)
        let again = try ranks == 1 ? Executable.run(arguments) : mpi.run(ranks, arguments)
        #expect(again.status == 0, "\(again.err)")
      }
      let all = try String(contentsOfFile: run + "/metrics.csv", encoding: .utf8).split(separator: "\n")
      #expect(all.count == epochs + 3)
      #expect(Array(all[..<metrics.count]) == metrics)
    }
  }

  @Test(arguments: MPI.installed) func `a rank that is killed ends all, and what was saved goes on alone`(mpi: MPI)
    throws
  {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      let (running, rank) = try running(mpi, run)
      kill(rank, SIGKILL)
      let output = try ended(running, run, within: 10)
      #expect(output.status != 0)
      let again = try Executable.run(finetune(run, epochs: 1))
      #expect(again.status == 0, "\(again.err)")
      let checkpoint = run + "/checkpoints/last.safetensors"
      #expect(try Executable.run(["predict", checkpoint, SmallDemo.image]).status == 0)
    }
  }

  @Test(arguments: MPI.installed) func `a rank that stops is named with host and step, and ends all`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = folder + "/run"
      let (running, rank) = try running(mpi, run)
      kill(rank, SIGSTOP)
      // The timeout, five seconds for those who know less, and the launcher's own.
      let output = try ended(running, run, within: 3 + 5 + 7)
      #expect(output.status != 0)
      #expect(output.err.contains("error: rank 0 on "), "\(output.err)")
      #expect(output.err.contains(" did not come within 3 s (epoch "), "\(output.err)")
      #expect(output.err.contains("rank 1 on "))
    }
  }
}
