import ConfinementProbe
import Foundation
import Platform
import TestSupport
import Testing

@Suite struct ChildProcessTests {
  /// A shell that runs `script`, with the file at 3 and the socket at 0.
  private func shell(_ script: String, file: borrowing FileReader) throws(PlatformError) -> ChildProcess {
    try ChildProcess(program: "/bin/sh", arguments: ["-c", script], environment: ["NAME=value"], file: file)
  }

  private func failure(of script: String, seconds: Int = 20) throws -> PlatformError? {
    let file = try FileReader(path: fixture("README.md"))
    var child = try shell(script, file: file)
    do throws(PlatformError) {
      _ = try child.receive(count: 2, seconds: seconds)
      return nil
    } catch {
      return error
    }
  }

  @Test func `has the file, the socket and the environment that it was given, and no more`() throws {
    let file = try FileReader(path: fixture("README.md"))
    var child = try shell(
      "head -c 10 >&0 <&3; echo $NAME $HOME >&0; read line; echo \"got $line\" >&0", file: file)
    #expect(try child.receive(count: 16, seconds: 20) == Array("# Fixtures".utf8) + Array("value\n".utf8))
    try child.send(Array("line\n".utf8))
    #expect(try child.receive(count: 9, seconds: 20) == Array("got line\n".utf8))
  }

  @Test func `says how a process ended that did not answer`() throws {
    #expect(try failure(of: "echo ab >&0") == nil)
    #expect(try failure(of: "printf a >&0; exit 3") == .childExited(status: 3))
    #expect(try failure(of: "kill -SEGV $$") == .childKilled(signal: SIGSEGV))
    #expect(try failure(of: "sleep 60", seconds: 1) == .childStalled(seconds: 1))
    // It closes the socket and lives on.
    #expect(try failure(of: "exec 0<&-; sleep 60") == .childKilled(signal: SIGKILL))
  }

  @Test func `sending to a process that has ended is an error, no signal`() throws {
    let file = try FileReader(path: fixture("README.md"))
    var child = try shell("kill -9 $$", file: file)
    #expect(throws: PlatformError.childKilled(signal: SIGKILL)) {
      while true { try child.send([0]) }
    }
  }

  @Test func `a program that is not there is an error`() throws {
    let file = try FileReader(path: fixture("README.md"))
    #expect(throws: PlatformError.cannotStart(program: "/nowhere", errno: ENOENT)) {
      _ = try ChildProcess(program: "/nowhere", arguments: [], environment: [], file: file)
    }
  }
}

@Suite struct ConfinementTests {
  @Test(arguments: [
    ("socket", EPERM), ("connect", EPERM), ("open-to-read", EPERM), ("open-to-write", EPERM), ("execve", EPERM),
    ("fork", EPERM), ("kill", EPERM), ("ptrace", EPERM), ("memory", ENOMEM), ("executable-memory", EPERM),
    ("write-elsewhere", EPERM), ("read-elsewhere", EPERM), ("read-3", 0), ("write-0", 0),
  ])
  func `a confined process can do what it needs, and nothing else`(thing: String, code: Int32) {
    #expect(confinement_probe(thing) == code)
  }
}
