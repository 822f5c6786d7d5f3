import Foundation
import Synchronization

/// Signals that ask a run to stop: SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2.
///
/// The first is only noted; the run asks at every step boundary, leaves what it saved whole, and exits. The second ends the
/// process at once, as if nobody had listened.
public enum Interruption {
  /// Why a run stops before its end.
  public enum Reason: Equatable, Sendable, CustomStringConvertible {
    case signal(Int32)
    /// The time that it was given is over.
    case time
    /// The job that it is a part of will soon be over.
    case jobEnd

    public var description: String {
      switch self {
      case .signal(let number): "signal \(number)"
      case .time: "--max-time"
      case .jobEnd: "the job's end (\(JobEnd.variable))"
      }
    }
  }

  private static let pending = Atomic<Int32>(0)
  private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]

  /// Starts listening, also where who has started the process left these signals blocked.
  public static func listen() {
    // Also makes the two statics exist before a handler can need them.
    pending.store(0, ordering: .relaxed)
    for number in signals {
      // Only what is safe in a handler: an atomic store, and giving the signals back.
      signal(number) { number in
        Interruption.pending.store(number, ordering: .relaxed)
        for number in Interruption.signals { signal(number, SIG_DFL) }
      }
    }
    var unblocked = sigset_t()
    sigemptyset(&unblocked)
    for number in signals { sigaddset(&unblocked, number) }
    pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
  }

  /// The signal that has come, if one has.
  public static var received: Int32? {
    let number = pending.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }
}
