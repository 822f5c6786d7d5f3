import CPlatform
import Foundation
import Synchronization

/// A fixed number of threads that start and end each piece of work together, some microseconds apart at the most.
///
/// For work that is cut into hundreds of small pieces with nothing to do in between; `ThreadPool` is for pieces of unequal
/// length. Numbers below the normal range (10⁻³⁸ for Float) count as zero inside.
public final class WorkerTeam: @unchecked Sendable {
  public let threads: Int
  private let team: OpaquePointer?

  /// As many threads as were asked for (at least 1), or one where the system has no more to give.
  public init(threads: Int) {
    let wanted = max(1, threads)
    team = platform_team_create(Int32(wanted)) ?? platform_team_create(1)
    self.threads = team.map { Int(platform_team_size($0)) } ?? 1
  }

  deinit { if let team { platform_team_destroy(team) } }

  /// Calls `body` once for each part in 0 ..< `threads`, all at once, part 0 on the calling thread; returns when all have ended.
  public func run(_ body: (Int) -> Void) {
    guard let team else { return body(0) }
    withoutActuallyEscaping(body) { body in
      withExtendedLifetime(Body(body)) { box in
        platform_team_run(
          team, { context, part in Unmanaged<Body>.fromOpaque(context).takeUnretainedValue().call(Int(part)) },
          Unmanaged.passUnretained(box).toOpaque())
      }
    }
  }

  /// Calls `body` once for each index in 0 ..< `count`; part p takes a run of indices of nearly the same length as the others'.
  public func forEach(_ count: Int, _ body: (Int) -> Void) {
    run { part in
      for index in (count * part / threads)..<(count * (part + 1) / threads) { body(index) }
    }
  }

  /// Inside of `run`: returns when every part has called it.
  public func barrier() { if let team { platform_team_barrier(team) } }

  private final class Body {
    let call: (Int) -> Void
    init(_ call: @escaping (Int) -> Void) { self.call = call }
  }
}

/// Zeroed memory for numbers, in huge pages where the system grants them: a page fault per 2 MiB, not per 4 KiB.
public final class HugeMemory {
  public let base: UnsafeMutableRawPointer
  public let bytes: Int

  /// What is done where the system has no memory left, with the bytes that were wanted. A program that can say it better sets it.
  public static var whenMissing: @Sendable (Int) -> Never {
    get { missing.withLock { $0 } }
    set { missing.withLock { $0 = newValue } }
  }
  private static let missing = Mutex<@Sendable (Int) -> Never> { bytes in
    let diagnosis = PlatformError.outOfMemory(bytes: bytes).diagnosis
    FileHandle.standardError.write(Data("error: \(diagnosis.message)\n".utf8))
    exit(diagnosis.exit.rawValue)
  }

  /// Ends the process by `whenMissing` where the system has no memory left, as every allocation in Swift does.
  public init(bytes: Int) {
    guard let base = platform_allocate_huge(max(bytes, 1)) else { Self.whenMissing(bytes) }
    self.base = base
    self.bytes = max(bytes, 1)
  }

  deinit { platform_free_huge(base, bytes) }
}
