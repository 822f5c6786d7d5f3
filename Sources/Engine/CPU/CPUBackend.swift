public import CKernels
import Platform

/// The fused engine: C kernels on slabs of 32 channels, by the best instruction set that the processor has.
public struct CPUBackend: Backend {
  public let name = "cpu"
  /// The instruction set in use.
  public let level: InstructionSet
  public let precision: Precision
  private let team: WorkerTeam
  private let isMemoryEfficient: Bool

  /// `threads`: those of every session, which take turns. `level`: the best that the processor has, or a lesser one to compare with; what
  /// it cannot run is the next below. `isMemoryEfficient`: training makes bottlenecks again on the way back instead
  /// of keeping them, with the same bits in less memory (bench row `training-b16`, with and without `--memory-efficient`).
  public init(
    threads: Int, _ precision: Precision = .fp32, level: InstructionSet = .best, isMemoryEfficient: Bool = false
  ) {
    team = WorkerTeam(threads: threads)
    self.level = level
    self.precision = precision
    self.isMemoryEfficient = isMemoryEfficient
  }

  /// Whether the processor has an instruction set that the kernels are written for.
  public static var isFast: Bool { InstructionSet.best != .reference }

  /// What its sessions compute with.
  public var kernels: ck_kernels { ck_kernels_of(level.kernels, precision.kernels) }

  public var equipment: [String: String] { ["device": name, "instructions": level.title] }

  public func makeSession(_ plan: Plan) -> any Session {
    CPUSession(plan, kernels: kernels, precision, team: team, isMemoryEfficient: isMemoryEfficient)
  }
}

/// What the kernels are written for, from plain C on.
public enum InstructionSet: String, Sendable, CaseIterable {
  case reference, neon, avx2, avx512
  /// AVX-512 with products of pairs of bf16.
  case avx512bf16 = "avx512-bf16"

  var kernels: ck_level {
    switch self {
    case .reference: CK_REFERENCE
    case .neon: CK_NEON
    case .avx2: CK_AVX2
    case .avx512: CK_AVX512
    case .avx512bf16: CK_AVX512_BF16
    }
  }

  /// Whether this processor can run it.
  public var isAvailable: Bool { ck_can_run(kernels) != 0 }

  /// Those that this processor can run, the best last.
  public static var available: [InstructionSet] { allCases.filter(\.isAvailable) }

  public static var best: InstructionSet { available.last ?? .reference }

  /// `AVX-512 with BF16`.
  public var title: String { String(cString: ck_level_name(kernels)) }
}
