import Foundation
import TestSupport
import Testing

/// An MPI of this machine's: `Tools/setup.sh --with-ranks` installs both.
enum MPI: String, CaseIterable, CustomTestStringConvertible {
  case openMPI = "openmpi"
  case mpich

  static var installed: [MPI] { allCases.filter { FileManager.default.isExecutableFile(atPath: $0.launcher) } }
  static let reason: Comment = "neither Open MPI nor MPICH is here (Tools/setup.sh --with-ranks)"

  /// Tests may run as root, in a container.
  static let asRoot = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]

  var testDescription: String { rawValue }
  var launcher: String { "/usr/bin/mpirun.\(rawValue)" }

  /// The command that starts `count` processes of `chexnet`.
  func command(_ count: Int, _ arguments: [String]) -> [String] {
    [launcher] + (self == .openMPI ? ["--oversubscribe"] : []) + ["-n", "\(count)", builtExecutable] + arguments
  }

  /// Runs them, and waits. `environment`: what they find beside what tests have.
  func run(_ count: Int, _ arguments: [String], environment: [String: String] = [:]) throws -> Executable.Output {
    try start(command(count, arguments), environment: environment).finish()
  }

  func start(_ command: [String], environment: [String: String] = [:]) throws -> Executable.Running {
    try Executable.start(
      program: command[0], Array(command.dropFirst()), environment: Self.asRoot.merging(environment) { $1 })
  }
}

/// A run of two ranks that something befalls.
struct RankRun {
  let path: String
  let running: Executable.Running

  /// `seconds` that ranks wait for each other.
  static let timeout = 3.0

  static func finetune(_ path: String, epochs: Int) -> [String] {
    SmallDemo.finetune(path, epochs: epochs) + [
      "--cache", "never", "--threads", "1", "--comm-timeout", "\(Int(timeout))", "--checkpoint-every", "2",
      "--progress",
      "lines",
    ]
  }

  /// Starts it, and waits until it has passed its first epoch where `isOnItsWay`. `first`, `second`: what stands before the executable of rank 0 and of rank 1.
  static func start(
    _ mpi: MPI, _ path: String, epochs: Int = 2000, isOnItsWay: Bool = true, more: [String] = [],
    first: [String] = [], second: [String] = [], environment: [String: String] = [:]
  ) throws -> RankRun {
    let arguments = finetune(path, epochs: epochs) + more
    let launcher = Array(mpi.command(1, []).dropLast(3))
    let parts = [first, second].map { ["-n", "1"] + $0 + [builtExecutable] + arguments }
    let run = RankRun(
      path: path, running: try mpi.start(launcher + parts[0] + [":"] + parts[1], environment: environment))
    if isOnItsWay { try run.waitForFirstEpoch() }
    return run
  }

  /// The same by `--ranks`.
  static func startLauncher(
    _ mpi: MPI, _ path: String, epochs: Int = 2000, isOnItsWay: Bool = true
  ) throws -> RankRun {
    let run = RankRun(
      path: path,
      running: try Executable.start(
        finetune(path, epochs: epochs) + ["--ranks", "2"],
        environment: MPI.asRoot.merging(["CHEXNET_MPIRUN": mpi.launcher]) { $1 }))
    if isOnItsWay { try run.waitForFirstEpoch() }
    return run
  }

  private func waitForFirstEpoch() throws {
    let deadline = Date() + 60
    while !running.err.contains("epoch    1/2000"), running.process.isRunning, Date() < deadline { usleep(5000) }
    try #require(running.err.contains("epoch    1/2000"), "\(running.err)")
  }

  /// The process of this rank; launchers have no rank.
  func process(ofRank rank: Int) -> Int32? {
    let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return numbers.compactMap { Int32($0) }.first { process in
      func text(_ name: String) -> String {
        FileManager.default.contents(atPath: "/proc/\(process)/\(name)").map { String(decoding: $0, as: UTF8.self) }
          ?? ""
      }
      let marks = ["OMPI_COMM_WORLD_RANK=\(rank)\0", "PMI_RANK=\(rank)\0"]
      return text("cmdline").contains(path + "\0") && marks.contains { text("environ").contains($0) }
    }
  }

  /// Sends rank `rank` a signal, waiting for it to be there.
  func send(_ signal: Int32, toRank rank: Int) throws {
    let deadline = Date() + 20
    while Date() < deadline {
      if let process = process(ofRank: rank) {
        kill(process, signal)
        return
      }
      usleep(1000)
    }
    Issue.record("no rank \(rank): \(running.err)")
  }

  /// Waits until it has ended, at most `seconds`, and until no rank is left.
  func end(within seconds: Double) throws -> Executable.Output {
    let deadline = Date() + seconds
    while running.process.isRunning, Date() < deadline { usleep(20_000) }
    #expect(!running.process.isRunning, "still running after \(seconds) s: \(running.err)")
    // Launchers may hear nothing gentler.
    if running.process.isRunning { kill(running.process.processIdentifier, SIGKILL) }
    let output = try running.finish()
    for rank in 0..<2 {
      let left = process(ofRank: rank)
      #expect(left == nil, "rank \(rank) is left")
      if let left { kill(left, SIGKILL) }
    }
    return output
  }

  /// Epochs that it has finished.
  var epochs: Int {
    let metrics = try? String(contentsOfFile: path + "/metrics.csv", encoding: .utf8)
    return max(0, (metrics?.split(separator: "\n").count ?? 1) - 1)
  }

  /// That the same command, alone and for an epoch more, goes on from what is there, and its checkpoint loads; what it says of the start before is `told`, or
  /// nothing where that is nil or `mayBeSilent`.
  func expectGoesOn(saying told: String? = nil, mayBeSilent: Bool = false) throws {
    let again = try Executable.run(Self.finetune(path, epochs: epochs + 1))
    #expect(again.status == 0, "\(again.err)")
    if let says = again.err.split(separator: "\n").first(where: { $0.hasPrefix("the last start ended") }) {
      #expect(told.map { says.contains($0) } == true, "\(again.err)")
    } else {
      #expect(told == nil || mayBeSilent, "\(again.err)")
    }
    // That one came to its end.
    let longer = try Executable.run(Self.finetune(path, epochs: epochs + 1))
    #expect(longer.status == 0 && !longer.err.contains("the last start ended"), "\(longer.err)")
    let checkpoint = path + "/checkpoints/last.safetensors"
    #expect(try Executable.run(["predict", checkpoint, SmallDemo.image]).status == 0)
  }
}
