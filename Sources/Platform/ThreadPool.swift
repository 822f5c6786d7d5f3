import CPlatform
import Dispatch
import Foundation

/// How many threads work at once, and the one way to give them work.
public struct ThreadPool: Sendable {
  public let threads: Int

  /// `threads`: at least 1; by default as many as this process may run on (its affinity mask, so a container's or
  /// Slurm's share is respected).
  public init(threads: Int? = nil) {
    self.threads = max(1, threads ?? ThreadPool.availableProcessors)
  }

  /// The number of processors that this process may run on.
  public static var availableProcessors: Int {
    let count = Int(platform_affinity_count())
    return count > 0 ? count : ProcessInfo.processInfo.activeProcessorCount
  }

  /// Calls `body` once for each index in 0 ..< count, from up to `threads` threads, and returns when all have ended.
  ///
  /// Indices are handed out one by one, in order; which thread takes which is not defined, so `body` must not let a
  /// result depend on it.
  public func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    if count <= 1 || threads == 1 {
      for index in 0..<count { body(index) }
      return
    }
    let next = Counter()
    DispatchQueue.concurrentPerform(iterations: min(threads, count)) { _ in
      while true {
        let index = next.take()
        if index >= count { return }
        body(index)
      }
    }
  }

  /// `transform` of each index in 0 ..< count, in order, computed from up to `threads` threads.
  public func map<Result: Sendable>(_ count: Int, _ transform: @Sendable (Int) -> Result) -> [Result] {
    [Result](unsafeUninitializedCapacity: count) { buffer, initialized in
      nonisolated(unsafe) let base = buffer
      forEach(count) { index in (base.baseAddress.unsafelyUnwrapped + index).initialize(to: transform(index)) }
      initialized = count
    }
  }
}

/// A shared index that hands out 0, 1, 2, …
private final class Counter: @unchecked Sendable {
  private let lock = NSLock()
  private var value = 0

  func take() -> Int {
    lock.lock()
    defer { lock.unlock() }
    defer { value += 1 }
    return value
  }
}
