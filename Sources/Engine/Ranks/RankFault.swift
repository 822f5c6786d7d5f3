import Foundation
import Platform

/// What can be wrong between processes that train together.
public enum RankFault: Equatable, Sendable {
  /// A launcher has started this process, and there is no MPI to join the others with.
  case noMPI(launcher: String, PlatformError)
  /// MPI counts other processes than the launcher has started: it belongs to another one.
  case wrongLauncher(launcher: String, started: Int, library: String, found: Int)
  case torchrun(count: Int)
  /// `--ranks` finds no `mpirun`; `asked`: what CHEXNET_MPIRUN names.
  case noLauncher(asked: String?)
  /// `--ranks` under a launcher.
  case launchedTwice(launcher: String, count: Int)
  /// The launcher that `--ranks` has started ended with a status of its own.
  case launcherFailed(program: String, status: Int32)
  /// A process that `--ranks` has started was ended by a signal; `place`: the last that it told.
  case killed(rank: Int?, host: String, process: Int32?, signal: Int32, place: String)
  /// A call of MPI's that failed.
  case call(String, reason: String)
  /// Not all processes joined.
  case absent(of: Int?, seconds: Int)
  /// These did not come to where the others wait.
  case missing(ranks: [(rank: Int, host: String)], place: String, seconds: Int)
  /// All came to where the others wait, and one of these does not go on.
  case stuck(ranks: [(rank: Int, host: String)], place: String, seconds: Int)
  /// Processes that were started for different things.
  case disagreement(rank: Int, host: String)
  /// Another process has failed with this status, and tells why.
  case elsewhere(rank: Int, host: String, ExitStatus)

  public static func == (left: RankFault, right: RankFault) -> Bool {
    left.diagnosis == right.diagnosis
  }

  private static func name(_ signal: Int32) -> String { String(cString: strsignal(signal)) }

  var diagnosis: Diagnosis {
    switch self {
    case .noMPI(let launcher, let error):
      Diagnosis(
        id: "ranks.no-mpi", exit: .unavailable,
        message: "started by \(launcher), but its MPI cannot be opened: \(error.diagnosis.message)",
        hint: "install it (Debian: libopenmpi3 or libmpich12), or name its library with CHEXNET_MPI=/path/libmpi.so")
    case .wrongLauncher(let launcher, let started, let library, let found):
      Diagnosis(
        id: "ranks.wrong-launcher", exit: .unavailable,
        message:
          "\(launcher) has started \(started) processes, but \(library) finds \(found): they do not belong together",
        hint: "start with the mpirun of that MPI, or name the launcher's library with CHEXNET_MPI=/path/libmpi.so")
    case .torchrun(let count):
      Diagnosis(
        id: "ranks.torchrun", exit: .unavailable,
        message: "started by torchrun, which brings no MPI: \(count) processes would each train alone",
        hint: "use mpirun -n \(count) chexnet …")
    case .noLauncher(let asked):
      Diagnosis(
        id: "ranks.no-launcher", exit: .unavailable,
        message: asked.map { "CHEXNET_MPIRUN names \($0.printable), which cannot be started" }
          ?? "--ranks needs an mpirun, and there is none on the PATH",
        hint: "install one (Debian: apt install openmpi-bin), or name it with CHEXNET_MPIRUN=/path/mpirun")
    case .launchedTwice(let launcher, let count):
      Diagnosis(
        id: "ranks.launched-twice", exit: .usage,
        message: "this process was started by \(launcher); --ranks \(count) would start \(count) more in each",
        hint: "leave --ranks out: the launcher says how many there are")
    case .launcherFailed(let program, let status):
      Diagnosis(
        id: "ranks.launcher-failed", exit: .unavailable,
        message: "\(program.printable) ended with status \(status) and says why above")
    case .killed(let rank, let host, let process, let signal, let place):
      Diagnosis(
        id: "ranks.lost", exit: .rankLost,
        message: (rank.map { "rank \($0)" } ?? "a rank") + " on \(host.printable)"
          + (process.map { " (process \($0))" } ?? "")
          + " was ended by signal \(signal), \(Self.name(signal)) (\(place.printable))",
        hint: (signal == SIGKILL ? "if nobody sent it, memory was over: see dmesg; " : "")
          + "a run that saved its state goes on from there by the same command")
    case .call(let name, let reason):
      Diagnosis(id: "ranks.mpi", exit: .rankLost, message: "\(name) failed: \(reason.printable)")
    case .absent(let count, let seconds):
      Diagnosis(
        id: "ranks.missing", exit: .rankLost,
        message: "not all \(count.map { "\($0) " } ?? "")processes joined within \(seconds) s (start)",
        hint:
          "see which of them, or whose machine, does not answer: MPI does not say which; --comm-timeout waits longer")
    case .missing(let ranks, let place, let seconds):
      Diagnosis(
        id: "ranks.missing", exit: .rankLost,
        message: ranks.map { "rank \($0.rank) on \($0.host.printable)" }.joined(separator: ", ")
          + " did not come within \(seconds) s (\(place))",
        hint: "see what that process, or its machine, is doing; --comm-timeout waits longer")
    case .stuck(let ranks, let place, let seconds):
      Diagnosis(
        id: "ranks.missing", exit: .rankLost,
        message: (ranks.count == 1 ? "" : "one of ")
          + ranks.map { "rank \($0.rank) on \($0.host.printable)" }.joined(separator: ", ")
          + " came, but did not go on within \(seconds) s (\(place))",
        hint: "see what that process, or its machine, is doing; --comm-timeout waits longer")
    case .disagreement(let rank, let host):
      Diagnosis(
        id: "ranks.disagree", exit: .usage,
        message:
          "rank \(rank) on \(host.printable) was started with other options, lists, weights or another version than rank 0",
        hint: "start every rank with the same command, executable and files")
    case .elsewhere(let rank, let host, let status):
      Diagnosis(
        id: "ranks.elsewhere", exit: status, message: "rank \(rank) on \(host.printable) has failed, and says why")
    }
  }
}
