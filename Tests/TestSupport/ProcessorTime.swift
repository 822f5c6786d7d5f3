import Foundation

/// Seconds that this thread has had of a processor: on a busy machine, less than pass on the clock.
public func processorSeconds() -> Double {
  var time = timespec()
  guard clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 else { preconditionFailure("the system has no such clock") }
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
