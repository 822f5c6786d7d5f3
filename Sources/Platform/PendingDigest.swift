import Dispatch
import Synchronization

/// The digest of a file, computed on another thread from now on.
///
/// `cancel` before it is let go, whatever happened: the thread must not outlive what it computes with, for the program may be
/// about to end.
public final class PendingDigest: Sendable {
  private let group = DispatchGroup()
  private let isCancelled = Atomic(false)
  private let result = Mutex<Result<String, PlatformError>?>(nil)

  public convenience init(_ algorithm: MessageDigest.Algorithm, ofFile path: String) {
    self.init(algorithm, ofFile: path, after: nil, .default)
  }

  /// Begins when `other` is there, and takes only the time that other threads leave.
  public convenience init(_ algorithm: MessageDigest.Algorithm, ofFile path: String, after other: PendingDigest) {
    self.init(algorithm, ofFile: path, after: other, .background)
  }

  private init(
    _ algorithm: MessageDigest.Algorithm, ofFile path: String, after other: PendingDigest?,
    _ priority: DispatchQoS.QoSClass
  ) {
    DispatchQueue.global(qos: priority).async(group: group) { [self] in
      other?.group.wait()
      do throws(PlatformError) {
        let digest = try MessageDigest.hex(algorithm, ofFile: path) { isCancelled.load(ordering: .relaxed) }
        result.withLock { $0 = .success(digest) }
      } catch {
        result.withLock { $0 = .failure(error) }
      }
    }
  }

  /// Waits for it. Throws what reading the file threw.
  public func value() throws(PlatformError) -> String {
    group.wait()
    switch result.withLock({ $0 }) {
    case .success(let digest): return digest
    case .failure(let error): throw error
    case nil: preconditionFailure("the group was left before its work was done")
    }
  }

  /// Ends the work, if it is not done, and waits until nothing of it is under way.
  public func cancel() {
    isCancelled.store(true, ordering: .relaxed)
    group.wait()
  }
}
