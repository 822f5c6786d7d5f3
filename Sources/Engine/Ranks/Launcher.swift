import Foundation
import Platform

/// What started this process, as its environment tells.
public struct Launcher: Equatable, Sendable {
  public enum MPI: Equatable, Sendable {
    case openMPI
    case mpich
    /// Under `srun --mpi=pmix` either.
    case either
    /// A library that the user names.
    case library(String)
  }

  public let mpi: MPI
  /// How many processes it says it has started; nil where it does not.
  public let count: Int?
  /// As a user knows it: `Open MPI's mpirun`.
  public let name: String

  /// This process among those that were started, as launchers say before there is an MPI to ask; nil where none says.
  public static func rank(
    in environment: [String: String] = ProcessInfo.processInfo.environment
  ) -> Int? {
    ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"].lazy.compactMap { environment[$0].flatMap { Int($0) } }.first
  }

  /// Nil where this process is alone.
  ///
  /// Throws `ranks(.torchrun)` under torchrun without MPI.
  public static func found(
    in environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(BackendError) -> Launcher? {
    func number(_ names: [String]) -> Int? { names.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first }
    let isOpenMPI = environment["OMPI_COMM_WORLD_SIZE"] != nil
    let isMPICH = environment["PMI_SIZE"] != nil || environment["PMI_RANK"] != nil
    let isPMIx = environment["PMIX_RANK"] != nil
    guard isOpenMPI || isMPICH || isPMIx else {
      if environment["TORCHELASTIC_RUN_ID"] != nil || environment["LOCAL_WORLD_SIZE"] != nil,
        let count = number(["WORLD_SIZE"]), count > 1
      {
        throw .ranks(.torchrun(count: count))
      }
      return nil
    }
    let mpi: MPI =
      environment["CHEXNET_MPI"].map { .library($0) } ?? (isOpenMPI ? .openMPI : isMPICH ? .mpich : .either)
    if isOpenMPI { return Launcher(mpi: mpi, count: number(["OMPI_COMM_WORLD_SIZE"]), name: "Open MPI's mpirun") }
    if isMPICH { return Launcher(mpi: mpi, count: number(["PMI_SIZE"]), name: "MPICH's mpiexec (PMI)") }
    return Launcher(mpi: mpi, count: number(["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"]), name: "PMIx")
  }
}
