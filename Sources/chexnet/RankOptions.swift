import ArgumentParser
import Engine
import Evaluation
import Foundation
import Platform
import Training

/// The processes that a launcher has started, and how long they wait for each other.
struct RankOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Start so many processes on this machine, by its mpirun, that share the work; their threads share the processors.",
      valueName: "n"))
  var ranks: Int?

  @Option(
    help: ArgumentHelp(
      "Under mpirun or srun: how long a process waits for the others before it ends them all.", valueName: "s"))
  var commTimeout = 120.0

  func validate() throws {
    if let ranks, !(1...4096).contains(ranks) { throw ValidationError("--ranks needs 1 to 4096, found \(ranks).") }
    if !(commTimeout >= 1) { throw ValidationError("--comm-timeout needs at least 1, found \(commTimeout).") }
  }

  /// Starts other processes where `--ranks` says so, and leaves as they do. Else joins them, if there are any, and does `body`: process 0 tells what all
  /// have in common; what one process has alone it tells itself, and ends the others.
  /// `savesOnSignal`: whether `body` ends by itself when a signal asks for it.
  func join(savesOnSignal: Bool = false, _ body: (any Collective) throws -> Void) throws {
    if let ranks, ranks > 1 { try RankLauncher(count: ranks, savesOnSignal: savesOnSignal).run() }
    guard let launcher = try Launcher.found() else { return try body(SoleRank()) }
    let collective = try MPICollective(launcher, timeout: commTimeout) { error in
      ErrorReport.tell(error, ofRank: Launcher.rank() ?? 0, on: ProcessInfo.processInfo.hostName)
      _exit(ErrorReport.status(of: error))
    }
    let (rank, host) = (collective.rank, collective.hosts[collective.rank])
    HugeMemory.whenMissing = { bytes in
      // Who started the processes ends the others when this one has left.
      ErrorReport.tell(PlatformError.outOfMemory(bytes: bytes), ofRank: rank, on: host)
      _exit(Platform.ExitStatus.outOfMemory.rawValue)
    }
    do {
      try body(collective)
      collective.finish()
    } catch {
      if collective.size == 1 {
        collective.finish()
        throw error
      }
      leave(collective, error)
    }
  }

  /// What `Collective.together` has thrown, all have in one way or another; the rest is this process's alone.
  private func leave(_ collective: MPICollective, _ error: any Error) -> Never {
    let status = ErrorReport.status(of: error)
    func end() -> Never {
      ErrorReport.tell(error, ofRank: collective.rank, on: collective.hosts[collective.rank])
      collective.abort(status)
    }
    switch error {
    case let error as any DiagnosedError where error.isToldElsewhere: break
    case TrainingError.cause(is ErrorAlone): end()
    case TrainingError.interrupted, TrainingError.diverged:
      // All come to the same step with the same sums.
      if collective.rank == 0 { ErrorReport.tell(error) }
    case is TrainingError where !Self.isLost(error), is EvaluationError where !Self.isLost(error):
      ErrorReport.tell(error)
    case is ExitStatus: break
    case is ValidationError:
      if collective.rank == 0 { ErrorReport.tell(error) }
    default: end()
    }
    // Launchers end all when the first one leaves with an error: whoever has something to say has said it before.
    collective.finish()
    Foundation.exit(status)
  }

  private static func isLost(_ error: any Error) -> Bool {
    (error as? any DiagnosedError)?.saysThatRanksAreLost == true
  }

  /// The threads of this process: `asked`, or its share of the host where the launcher has not given it processors of its own.
  static func threads(_ asked: Int?, _ collective: any Collective) -> Int {
    if let asked { return asked }
    let available = ThreadPool.availableProcessors
    let isWholeHost = available == ProcessInfo.processInfo.activeProcessorCount
    return isWholeHost ? max(1, available / collective.local.size) : available
  }
}
