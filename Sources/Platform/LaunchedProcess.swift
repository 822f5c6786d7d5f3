import CPlatform
import Foundation

/// A program that runs for us, in a process group of its own: what a terminal sends to ours does not reach it. It has no input, and what it prints comes here.
public final class LaunchedProcess {
  public enum End: Equatable, Sendable {
    case status(Int32)
    case signal(Int32)
  }

  public enum Stream: CaseIterable, Sendable {
    case output
    case errors
  }

  public private(set) var identifier: pid_t = 0
  /// How it ended; nil while it runs.
  public private(set) var end: End?
  /// Of each stream our end; -1 where the other one is closed.
  private var ends: [Int32] = []

  /// Throws `cannotStart`.
  public init(program: String, arguments: [String], environment: [String: String]) throws(PlatformError) {
    var theirs: [Int32] = []
    defer { for end in theirs { close(end) } }
    for _ in Stream.allCases {
      var pipe: [Int32] = [-1, -1]
      let code = platform_pipe(&pipe)
      guard code == 0 else { throw .cannotStart(program: program, errno: code) }
      ends.append(pipe[0])
      theirs.append(pipe[1])
    }
    let code = withCStrings([program] + arguments) { arguments in
      withCStrings(environment.map { "\($0)=\($1)" }) {
        platform_launch(&identifier, program, arguments, $0, theirs[0], theirs[1])
      }
    }
    guard code == 0 else { throw .cannotStart(program: program, errno: code) }
  }

  deinit { for end in ends where end >= 0 { close(end) } }

  /// Gives `body` what it has printed since, waiting for some at most `milliseconds`; returns whether there was any.
  public func read(waiting milliseconds: Int32, _ body: (Stream, [UInt8]) -> Void) -> Bool {
    if end == nil, let status = endStatus(of: identifier, options: WNOHANG) {
      let signal = platform_ended_by_signal(status)
      end = signal == 0 ? .status(platform_exit_status(status)) : .signal(signal)
    }
    // One that is closed, -1, is passed over.
    var events = ends.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    guard poll(&events, nfds_t(events.count), milliseconds) > 0 else { return false }
    var isAny = false
    for (index, stream) in Stream.allCases.enumerated() where events[index].revents != 0 {
      var bytes = [UInt8](repeating: 0, count: 1 << 14)
      let count = Foundation.read(ends[index], &bytes, bytes.count)
      if count > 0 {
        body(stream, Array(bytes.prefix(count)))
        isAny = true
      } else if count == 0 || errno != EINTR {
        close(ends[index])
        ends[index] = -1
      }
    }
    return isAny
  }
}
