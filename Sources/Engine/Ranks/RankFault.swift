import Platform

/// What can be wrong between processes that train together.
public enum RankFault: Equatable, Sendable {
  /// A launcher has started this process, and there is no MPI to join the others with.
  case noMPI(launcher: String, PlatformError)
  /// MPI counts other processes than the launcher has started: it belongs to another one.
  case wrongLauncher(launcher: String, started: Int, library: String, found: Int)
  case torchrun(count: Int)
  /// A call of MPI's that failed.
  case call(String, reason: String)
  /// These did not come to where the others wait.
  case missing(ranks: [(rank: Int, host: String)], place: String, seconds: Int)
  /// Processes that were started for different things.
  case disagreement(rank: Int, host: String)
  /// Another process has failed with this status, and tells why.
  case elsewhere(rank: Int, host: String, ExitStatus)

  public static func == (left: RankFault, right: RankFault) -> Bool {
    left.diagnosis == right.diagnosis
  }

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
    case .call(let name, let reason):
      Diagnosis(id: "ranks.mpi", exit: .rankLost, message: "\(name) failed: \(reason.printable)")
    case .missing(let ranks, let place, let seconds):
      Diagnosis(
        id: "ranks.missing", exit: .rankLost,
        message: ranks.map { "rank \($0.rank) on \($0.host.printable)" }.joined(separator: ", ")
          + " did not come within \(seconds) s (\(place))",
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
