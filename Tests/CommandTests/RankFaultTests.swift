import Foundation
import Platform
import TestSupport
import Testing

/// Processes of a run that are killed, stopped, interrupted or out of memory: at its start, while it trains, and while it saves.
@Suite(.serialized, .enabled(if: !MPI.installed.isEmpty, MPI.reason)) struct RankFaultTests {
  /// Behind a kill, and behind a stop, whose ranks wait for `--comm-timeout` first.
  private static let afterKill = 10.0
  private static let afterStop = RankRun.timeout + 5

  /// Somewhere in an epoch; three ranks then cut the rest of it into other steps, and one takes what is left.
  @Test(arguments: MPI.installed)
  func `a signal that one rank hears saves at one step of all, and other ranks go on from there`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let path = folder + "/run"
      let run = try RankRun.start(mpi, path)
      try run.send(SIGUSR1, toRank: 1)
      let output = try run.end(within: 20)
      #expect(output.status == 75, "\(output.err)")
      #expect(output.err.components(separatedBy: "interrupted").count == 2, "\(output.err)")
      let metrics = try String(contentsOfFile: path + "/metrics.csv", encoding: .utf8).split(separator: "\n")
      let epochs = run.epochs
      for (ranks, more) in [(3, 1), (1, 2)] {
        let arguments = RankRun.finetune(path, epochs: epochs + more)
        let again = try ranks == 1 ? Executable.run(arguments) : mpi.run(ranks, arguments)
        #expect(again.status == 0, "\(again.err)")
        #expect(!again.err.contains("the last start ended"), "\(again.err)")
      }
      let all = try String(contentsOfFile: path + "/metrics.csv", encoding: .utf8).split(separator: "\n")
      #expect(all.count == epochs + 3)
      #expect(Array(all[..<metrics.count]) == metrics)
    }
  }

  @Test(arguments: MPI.installed, [0, 1]) func `a rank that is killed ends all, and what was saved goes on`(
    mpi: MPI, rank: Int
  ) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.start(mpi, folder + "/run")
      try run.send(SIGKILL, toRank: rank)
      let output = try run.end(within: Self.afterKill)
      #expect(output.status != 0)
      try run.expectGoesOn(saying: "without a word: it was killed")
    }
  }

  @Test(arguments: MPI.installed, [0, 1]) func `a rank that stops is named with host and step, and ends all`(
    mpi: MPI, rank: Int
  ) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.start(mpi, folder + "/run")
      try run.send(SIGSTOP, toRank: rank)
      let output = try run.end(within: Self.afterStop)
      #expect(output.status != 0)
      #expect(output.err.contains("rank \(rank) on "), "\(output.err)")
      #expect(output.err.contains(" did not come within 3 s (epoch "), "\(output.err)")
      // Only rank 0 can write it down. A launcher wakes it before it ends it: it may come to that, or even to its own end.
      try run.expectGoesOn(saying: rank == 0 ? "the last start ended" : "rank 1 on ", mayBeSilent: rank == 0)
    }
  }

  @Test(arguments: MPI.installed, [SIGKILL, SIGSTOP]) func `a rank that is lost at the start ends all`(
    mpi: MPI, signal: Int32
  ) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.start(mpi, folder + "/run", isOnItsWay: false)
      try run.send(signal, toRank: 1)
      let output = try run.end(within: signal == SIGSTOP ? Self.afterStop : Self.afterKill)
      #expect(output.status != 0)
      let says = ["not all 2 processes joined within 3 s (start)", "rank 1 on "]
      #expect(signal == SIGKILL || says.contains { output.err.contains($0) }, "\(output.err)")
      try run.expectGoesOn()
    }
  }

  /// Rank 0 is lost, or its disk fails, when the second epoch's weights get their name.
  @Test(arguments: MPI.installed, ["kill", "stop", "eio"])
  func `rank 0 is lost while it saves, and a valid state goes on`(mpi: MPI, fault: String) throws {
    try inTemporaryFolder { folder in
      let log = folder + "/calls"
      func start(_ path: String, _ more: [String]) throws -> RankRun {
        let preload = ["/usr/bin/env", "LD_PRELOAD=" + builtFaultyDisk, "FAULTY_DISK_FOLDER=" + path]
        return try RankRun.start(mpi, path, epochs: 2, isOnItsWay: false, first: preload + more)
      }
      let whole = try start(folder + "/whole", ["FAULTY_DISK_LOG=" + log]).end(within: 60)
      #expect(whole.status == 0, "\(whole.err)")
      let calls = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
      let at = try #require(
        calls.lastIndex { $0.hasPrefix("rename ") && $0.contains("/checkpoints/last.safetensors") }, "\(calls)")
      let path = folder + "/run"
      let run = try start(path, ["FAULTY_DISK_AT=\(at + 1)", "FAULTY_DISK_FAULT=" + fault])
      while try fault == "stop" && !isStopped(run.process(ofRank: 0)) && run.running.process.isRunning { usleep(5000) }
      let output = try run.end(within: fault == "stop" ? Self.afterStop : 30)
      switch fault {
      case "eio":
        #expect(output.status == 74, "\(output.err)")
        #expect(output.err.contains("error: rank 0 on ") && output.err.contains("last.safetensors"), "\(output.err)")
      case "stop": #expect(output.err.contains("rank 0 on "), "\(output.err)")
      default: #expect(output.status != 0)
      }
      try run.expectGoesOn(
        saying: fault == "eio" ? "last.safetensors" : "the last start ended", mayBeSilent: fault == "stop")
    }
  }

  private func isStopped(_ process: Int32?) throws -> Bool {
    guard let process, let bytes = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return false }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.range(of: ") ", options: .backwards).map { text[$0.upperBound...].hasPrefix("T") } ?? false
  }

  /// The maps of 16 images of 1024×1024 pixels take some GB; rank 1 may have half a GB.
  @Test(arguments: MPI.installed) func `a rank without memory says how much it wanted, and ends all`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let limit = ["/bin/sh", "-c", "ulimit -v 800000; exec \"$0\" \"$@\""]
      let run = try RankRun.start(
        mpi, folder + "/run", isOnItsWay: false, more: ["--image-size", "1024", "--batch-size", "16"], second: limit)
      let output = try run.end(within: 20)
      #expect(output.status == 71, "\(output.err)")
      #expect(output.err.contains("error: rank 1 on "), "\(output.err)")
      #expect(output.err.contains(": out of memory: "), "\(output.err)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
    }
  }

  /// Damage inside an image, which shows only when a step needs it.
  @Test(arguments: MPI.installed, [[], ["--sync-batch-norm"]])
  func `a bad image in a step of one rank ends all`(mpi: MPI, more: [String]) throws {
    try inTemporaryFolder { folder in
      let images = folder + "/images"
      try FileManager.default.copyItem(atPath: SmallDemo.folder + "/images", toPath: images)
      let list = try String(contentsOfFile: SmallDemo.folder + "/train_list.txt", encoding: .utf8)
      let bad = try #require(list.split(separator: "\n")[7].split(separator: " ").first)
      var bytes = try FileReader.contents(of: "\(images)/\(bad)")
      bytes[bytes.count / 2] ^= 0xFF
      try AtomicFile.write(bytes, to: "\(images)/\(bad)", overwriting: true)
      let run = try RankRun.start(mpi, folder + "/run", isOnItsWay: false, more: ["--data", folder] + more)
      let output = try run.end(within: 20)
      #expect(output.status == 65, "\(output.err)")
      #expect(
        output.err.components(separatedBy: "error: rank ").count == 2 && output.err.contains(bad), "\(output.err)")
    }
  }
}
