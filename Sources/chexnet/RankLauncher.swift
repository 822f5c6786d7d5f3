import Engine
import Foundation
import Platform

/// `--ranks N`: this command, started N times on this machine by an `mpirun`, which is watched. What asks a run to stop reaches its ranks as the one signal
/// that leaves them time to save, and a rank that was killed is named.
struct RankLauncher {
  private let count: Int
  private let program: String
  /// Whether the command saves, and ends by itself, when SIGUSR1 comes.
  private let savesOnSignal: Bool
  private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]

  /// Throws `ranks(.noLauncher)` where there is no `mpirun`, and `ranks(.launchedTwice)` where this process was started by one.
  init(count: Int, savesOnSignal: Bool) throws(BackendError) {
    if let launcher = try Launcher.found() { throw .ranks(.launchedTwice(launcher: launcher.name, count: count)) }
    let environment = ProcessInfo.processInfo.environment
    let asked = environment["CHEXNET_MPIRUN"]
    let folders = (environment["PATH"] ?? "").split(separator: ":")
    let places = asked.map { [$0] } ?? ["mpirun", "mpiexec"].flatMap { name in folders.map { "\($0)/\(name)" } }
    guard let program = places.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw .ranks(.noLauncher(asked: asked))
    }
    self.count = count
    self.program = program
    self.savesOnSignal = savesOnSignal
  }

  /// Starts the ranks, waits for them, and leaves as they do.
  ///
  /// Throws `ranks(.killed)` where a signal has ended one, `ranks(.launcherFailed)` where `mpirun` has an error of its own.
  func run() throws -> Never {
    let folder = NSTemporaryDirectory() + "chexnet-ranks-\(getpid())"
    try createFolder(folder)
    let launcher: LaunchedProcess
    // Whatever asks us to stop is taken below, between two looks at the launcher.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in Self.signals { sigaddset(&signals, number) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    do {
      launcher = try LaunchedProcess(
        program: program, arguments: ["-n", "\(count)", Self.executable] + Self.argumentsOfRanks,
        environment: environment(folder))
    } catch {
      try? FileManager.default.removeItem(atPath: folder)
      throw error
    }
    var heard: [Int32] = []
    var told = 0
    var texts: [LaunchedProcess.Stream: LauncherText] = [:]
    var isOver = false
    while true {
      let isAny = launcher.read(waiting: 20) { stream, bytes in
        Self.print(texts[stream, default: LauncherText()].take(bytes), stream)
      }
      if isOver && !isAny { break }
      // What it has written last is read once more.
      isOver = launcher.end != nil
      var now = timespec()
      let number = sigtimedwait(&signals, nil, &now)
      if number > 0 { heard.append(number) }
      if heard.count > told, pass(on: heard, to: launcher, folder) { told = heard.count }
    }
    for stream in texts.keys { Self.print(texts[stream]?.end() ?? [], stream) }
    let places = (0..<count).map { RankPlace(rank: $0, in: folder) }
    try? FileManager.default.removeItem(atPath: folder)
    try leave(launcher, heard, Array(texts.values), places)
  }

  private static func print(_ bytes: [UInt8], _ stream: LaunchedProcess.Stream) {
    guard !bytes.isEmpty else { return }
    (stream == .output ? FileHandle.standardOutput : FileHandle.standardError).write(Data(bytes))
  }

  /// The first signal goes to the ranks themselves, as soon as one is there: launchers take some for themselves, and others mean other things to them. They
  /// agree on the step to stop at. The second, or one that the command does not listen to, ends them all. Returns whether it has come to somebody.
  private func pass(on heard: [Int32], to launcher: LaunchedProcess, _ folder: String) -> Bool {
    if launcher.end != nil { return false }
    if isAtOnce(heard) {
      kill(launcher.identifier, heard.count > 2 ? SIGKILL : SIGTERM)
      return true
    }
    // One that has a place listens.
    return (0..<count).contains { rank in RankPlace(rank: rank, in: folder).map { Self.send(SIGUSR1, to: $0) } ?? false
    }
  }

  /// Sends a rank a signal; false where it has ended, and its number may be another's.
  @discardableResult
  private static func send(_ signal: Int32, to place: RankPlace) -> Bool {
    let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(place.process)/exe")
    return executable == Self.executable && kill(place.process, signal) == 0
  }

  private func isAtOnce(_ heard: [Int32]) -> Bool { heard.count > 1 || !(heard.isEmpty || savesOnSignal) }

  private func leave(
    _ launcher: LaunchedProcess, _ heard: [Int32], _ texts: [LauncherText], _ places: [RankPlace?]
  ) throws -> Never {
    if isAtOnce(heard) {
      // A launcher that was ended itself may have left some.
      for place in places.compactMap(\.self) { Self.send(SIGKILL, to: place) }
      exit(128 + heard[0])
    }
    if let lost = texts.lazy.compactMap(\.lost).first {
      let rank = lost.rank ?? lost.process.flatMap { process in places.firstIndex { $0?.process == process } }
      let place = rank.flatMap { places.indices.contains($0) ? places[$0] : nil }
      throw BackendError.ranks(
        .killed(
          rank: rank, host: ProcessInfo.processInfo.hostName, process: place?.process ?? lost.process,
          signal: lost.signal,
          place: place?.place ?? "before it had joined the others"))
    }
    guard case .status(let status) = launcher.end, let known = ExitStatus(rawValue: status) else {
      let status =
        switch launcher.end {
        case .status(let status): status
        case .signal(let signal): 128 + signal
        case nil: Int32(0)
        }
      // Words that were not understood are the user's to read.
      for text in texts { standardError(text.withheld) }
      throw BackendError.ranks(.launcherFailed(program: program, status: status))
    }
    let isKeyboard = known == .interrupted && heard.first == SIGINT
    exit((isKeyboard ? .interruptedByKeyboard : known).rawValue)
  }

  /// Ours, and for the launchers: more ranks than processors were asked for, and none is tied to a processor, whose threads share them.
  private func environment(_ folder: String) -> [String: String] {
    var environment = ProcessInfo.processInfo.environment
    environment[RankPlace.variable] = folder
    if isatty(STDERR_FILENO) == 1 { environment[ProgressLine.widthVariable] = "\(ProgressLine.terminalWidth)" }
    // Open MPI 4's names, and Open MPI 5's.
    for (name, value) in [
      ("OMPI_MCA_rmaps_base_oversubscribe", "1"), ("OMPI_MCA_hwloc_base_binding_policy", "none"),
      ("PRTE_MCA_rmaps_default_mapping_policy", ":OVERSUBSCRIBE"), ("PRTE_MCA_hwloc_default_binding_policy", "none"),
    ] where environment[name] == nil {
      environment[name] = value
    }
    return environment
  }

  private static var executable: String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
  }

  /// This command's, without `--ranks`.
  private static var argumentsOfRanks: [String] {
    var arguments = Array(CommandLine.arguments.dropFirst())
    if let place = arguments.firstIndex(of: "--ranks") {
      arguments.removeSubrange(place...min(place + 1, arguments.count - 1))
    }
    return arguments.filter { !$0.hasPrefix("--ranks=") }
  }
}
