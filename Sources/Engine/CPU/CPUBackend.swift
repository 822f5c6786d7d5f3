import CKernels
import Platform

/// The fused engine: C kernels on slabs of 32 channels, by the best instruction set that the processor has.
public struct CPUBackend: Backend {
  public let name = "cpu"
  private let team: WorkerTeam
  private let threads: Int
  private let level: ck_level

  /// `threads`: those of every session, which take turns.
  public init(threads: Int) { self.init(threads: threads, level: ck_best_level()) }

  /// At a given level of instruction sets, or the best one below it that the processor has.
  init(threads: Int, level: ck_level) {
    self.threads = threads
    team = WorkerTeam(threads: threads)
    self.level = level
  }

  /// Whether the processor has an instruction set that the kernels are written for.
  public static var isFast: Bool { ck_best_level() != CK_REFERENCE }

  /// Inference runs in the fused engine. Training plans run as the textbook has them: the fused engine does not train yet.
  public func makeSession(_ plan: Plan) -> any Session {
    switch plan.mode {
    case .inference: CPUSession(plan, kernels: ck_kernels_of(level), team: team)
    case .training: ReferenceSession<Float>(plan, pool: ThreadPool(threads: threads))
    }
  }
}
