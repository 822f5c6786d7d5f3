import Foundation
import Platform
import TestSupport
import Testing

@Suite struct HostileFileCommandTests {
  private static let folder = fixture("weight-files/hostile")
  private static let hasStrace = FileManager.default.isExecutableFile(atPath: "/usr/bin/strace")
  private static let hasTime = FileManager.default.isExecutableFile(atPath: "/usr/bin/time")

  /// Calls by which something could happen.
  private static let calls = [
    "execve", "execveat", "socket", "connect", "bind", "open", "openat", "openat2", "creat", "unlink", "unlinkat",
    "rename",
    "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmodat",
    "kill", "truncate",
  ]

  /// A shell script that imports and inspects every hostile file, and prints `status name` for each.
  private func script(_ output: String) -> String {
    """
    for file in "\(Self.folder)"/*; do
      "\(builtExecutable)" import-weights "$file" --output "\(output)" 2>/dev/null >/dev/null; echo "$? ${file##*/}"
      "\(builtExecutable)" import-weights "$file" --inspect 2>/dev/null >/dev/null; echo "$? ${file##*/}"
    done
    """
  }

  private func run(_ path: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: output, as: UTF8.self)
  }

  @Test(.enabled(if: hasStrace, "strace is not on this machine"))
  func `importing or inspecting a hostile file starts nothing, connects to nothing and writes nothing`() throws {
    try inTemporaryFolder { folder in
      let log = folder + "/log"
      let output = folder + "/out.safetensors"
      let statuses = try run(
        "/usr/bin/strace",
        [
          "-f", "-qq", "--seccomp-bpf", "-s", "4096", "-e", "trace=" + Self.calls.joined(separator: ","), "-e",
          "signal=none", "-o", log, "/bin/sh", "-c", script(output),
        ]
      ).split(separator: "\n")
      let count = try FileManager.default.contentsOfDirectory(atPath: Self.folder).count
      #expect(statuses.count == 2 * count)
      for (index, line) in statuses.enumerated() {
        // What names nothing that harms and is whole may be listed.
        let allowed = index.isMultiple(of: 2) ? ["13", "65"] : ["13", "65", "0"]
        #expect(allowed.contains { line.hasPrefix($0 + " ") }, "\(line)")
      }
      var started = 0
      for line in try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") {
        // `  123 openat(AT_FDCWD, "/path", O_RDONLY|O_CLOEXEC) = 3`, or the rest of a call that another thread's came between.
        let call = line.drop { $0 == " " || $0.isNumber }
        if call.hasPrefix("<... ") || call.hasSuffix("(No such file or directory)") { continue }
        switch call.prefix(while: { $0 != "(" }) {
        case "execve": started += 1
        case "open", "openat":
          let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].contains { call.contains($0) }
          #expect(!writes || call.contains("\"\(output).tmp.") || call.contains("\"/dev/null\""), "\(call)")
        case "unlink": #expect(call.contains("\"\(output).tmp."), "\(call)")
        default: Issue.record("\(call)")
        }
      }
      // The shell, and twice for each file the command.
      #expect(started == 1 + 2 * count)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["log"])
      #expect(!FileManager.default.fileExists(atPath: "/tmp/chexnet-was-here"))
    }
  }

  @Test(.enabled(if: hasTime, "GNU time is not on this machine"))
  func `no hostile file costs more than 100 MB of memory`() throws {
    try inTemporaryFolder { folder in
      for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder)
      where name.contains("bomb") || name.contains("huge") {
        let report = folder + "/" + name
        _ = try run(
          "/usr/bin/time",
          [
            "-q", "-f", "%M", "-o", report, builtExecutable, "import-weights", Self.folder + "/" + name, "--inspect",
            "--json",
          ])
        let kilobytes = try String(contentsOfFile: report, encoding: .utf8).split(separator: "\n").last.flatMap {
          Int($0)
        }
        #expect(try #require(kilobytes) < 100_000, "\(name)")
      }
    }
  }
}
