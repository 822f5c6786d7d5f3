import CKernels
import Platform

/// The fused engine: C kernels on slabs of 32 channels, by the best instruction set that the processor has.
public struct CPUBackend: Backend {
  public let name = "cpu"
  private let team: WorkerTeam
  private let level: ck_level

  private let isMemoryEfficient: Bool

  /// `threads`: those of every session, which take turns. `isMemoryEfficient`: training makes bottlenecks again on the way back instead
  /// of keeping them, with the same bits in less memory (bench row `training-b16`, with and without `--memory-efficient`).
  public init(threads: Int, isMemoryEfficient: Bool = false) {
    self.init(threads: threads, isMemoryEfficient: isMemoryEfficient, level: ck_best_level())
  }

  /// At a given level of instruction sets, or the best one below it that the processor has.
  init(threads: Int, isMemoryEfficient: Bool = false, level: ck_level) {
    team = WorkerTeam(threads: threads)
    self.isMemoryEfficient = isMemoryEfficient
    self.level = level
  }

  /// Whether the processor has an instruction set that the kernels are written for.
  public static var isFast: Bool { ck_best_level() != CK_REFERENCE }

  public func makeSession(_ plan: Plan) -> any Session {
    CPUSession(plan, kernels: ck_kernels_of(level), team: team, isMemoryEfficient: isMemoryEfficient)
  }
}
