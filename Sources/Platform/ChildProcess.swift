import CPlatform
import Foundation
import Synchronization

/// Another process of this executable that answers over a socket; it ends with this value.
///
/// It is started for work that may end the process that does it. It has one file open and of our
/// environment only what the loader needs.
public struct ChildProcess: ~Copyable {
  /// What is started; nil: the executable that is running. A test runner is not the executable, and sets it.
  public static var program: String? {
    get { chosenProgram.withLock { $0 } }
    set { chosenProgram.withLock { $0 = newValue } }
  }
  private static let chosenProgram = Mutex<String?>(nil)

  public let identifier: pid_t
  private let socket: Int32
  /// Whether the process was waited for: its identifier may be another's by now.
  private var isReaped = false

  /// Starts `program`, or `ChildProcess.program`, with `arguments` and, beside what the loader needs, `environment` (`NAME=value`). Descriptor 3 there is
  /// `file`, and 0 the socket.
  public init(
    program: String? = nil, arguments: [String], environment: [String], file: borrowing FileReader
  ) throws(PlatformError) {
    let program = program ?? Self.program ?? "/proc/self/exe"
    var kept = environment
    if let path = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] { kept.append("LD_LIBRARY_PATH=" + path) }
    var sockets: [Int32] = [-1, -1]
    var code = platform_socket_pair(&sockets)
    guard code == 0 else { throw .cannotStart(program: program, errno: code) }
    var identifier: pid_t = 0
    let descriptor = file.descriptor
    code = withCStrings(["chexnet"] + arguments) { arguments in
      withCStrings(kept) { platform_spawn(&identifier, program, arguments, $0, sockets[1], descriptor) }
    }
    close(sockets[1])
    guard code == 0 else {
      close(sockets[0])
      throw .cannotStart(program: program, errno: code)
    }
    self.identifier = identifier
    socket = sockets[0]
  }

  deinit {
    close(socket)
    if !isReaped {
      kill(identifier, SIGKILL)
      _ = endStatus(of: identifier, options: 0)
    }
  }

  /// Sends all of `bytes`, which must be few: nobody watches the time.
  public mutating func send(_ bytes: [UInt8]) throws(PlatformError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        buffer.baseAddress.map { platform_send(socket, $0 + sent, buffer.count - sent) } ?? 0
      }
      if count > 0 {
        sent += count
      } else if errno != EINTR {
        throw reap()
      }
    }
  }

  /// Exactly `count` bytes of what it answers. `childStalled` where they are not all there after `seconds`; where it ended
  /// before, how.
  public mutating func receive(count: Int, seconds: Int) throws(PlatformError) -> [UInt8] {
    let deadline = ContinuousClock.now + .seconds(seconds)
    var got = 0
    var isClosed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while got < count, !isClosed {
        let left = deadline - ContinuousClock.now
        guard left > .zero else { break }
        var event = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        // Rounded up: a wait of 0 ms would spin.
        guard poll(&event, 1, Int32(left / .milliseconds(1)) + 1) > 0 else { continue }
        let more = read(socket, buffer.baseAddress.map { $0 + got }, count - got)
        if more > 0 { got += more } else if more == 0 || (errno != EINTR && errno != EAGAIN) { isClosed = true }
      }
      initialized = got
    }
    if isClosed { throw reap() }
    guard got == count else { throw .childStalled(seconds: seconds) }
    return bytes
  }

  /// How the process ended that has closed its socket. One that lives on for a second is killed.
  private mutating func reap() -> PlatformError {
    precondition(!isReaped, "nothing is asked of a process that has ended")
    for attempt in 0... {
      if let status = endStatus(of: identifier, options: attempt < 1000 ? WNOHANG : 0) {
        isReaped = true
        let signal = platform_ended_by_signal(status)
        return signal == 0 ? .childExited(status: platform_exit_status(status)) : .childKilled(signal: signal)
      }
      usleep(1000)
      if attempt == 998 { kill(identifier, SIGKILL) }
    }
    preconditionFailure("the loop ends by returning")
  }
}

/// The status of a process of ours that has ended; nil where it has not.
func endStatus(of identifier: pid_t, options: Int32) -> Int32? {
  var status: Int32 = 0
  while true {
    let found = waitpid(identifier, &status, options)
    if found == identifier { return status }
    if found == 0 { return nil }
    // Somebody else waited for it: how it ended is lost.
    if errno != EINTR { return 0 }
  }
}

/// Calls `body` with a list of C strings that ends with nil.
func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers = texts.map { strdup($0) } + [nil]
  defer { for pointer in pointers { free(pointer) } }
  return body(&pointers)
}
