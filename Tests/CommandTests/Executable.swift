import Foundation
import Platform
import TestSupport
import Testing

/// The executable that users run, beside the test bundle.
struct Executable {
  struct Output {
    let status: Int32
    let out: String
    let err: String

    /// Standard output as JSON.
    func json() throws -> JSONValue { try JSONValue.parse(out) }
    /// The error that `--json` prints as the last line of standard error.
    func error() throws -> JSONValue {
      try JSONValue.parse(err.split(separator: "\n").last.map(String.init) ?? "")["error"] ?? .null
    }
  }

  /// Runs `chexnet` with `arguments`, without input, and waits for it. `limit`: largest file that it may write, in KiB; `environment`: what
  /// it finds there beside what the tests have.
  @discardableResult
  static func run(_ arguments: [String], limit: Int? = nil, environment: [String: String] = [:]) throws -> Output {
    let process = try start(arguments, limit: limit, environment: environment)
    return try process.finish()
  }

  /// Starts `chexnet`, or the launcher that `program` is, with `arguments`.
  static func start(
    program: String = builtExecutable, _ arguments: [String], limit: Int? = nil, environment: [String: String] = [:]
  ) throws -> Running {
    let folder = NSTemporaryDirectory() + "chexnet-output-" + UUID().uuidString
    try createFolder(folder)
    let process = Process()
    if let limit {
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      process.arguments = ["-c", "ulimit -f \(limit * 2); exec \"$0\" \"$@\"", builtExecutable] + arguments
    } else {
      process.executableURL = URL(fileURLWithPath: program)
      process.arguments = arguments
    }
    // Files, not pipes: however much is printed, nobody waits.
    for name in ["out", "err"] { try AtomicFile.write("", to: folder + "/" + name, overwriting: false) }
    process.standardOutput = FileHandle(forWritingAtPath: folder + "/out")
    process.standardError = FileHandle(forWritingAtPath: folder + "/err")
    process.standardInput = FileHandle.nullDevice
    // A user's own cache is nothing to tests.
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["XDG_CACHE_HOME": folder + "/cache"].merging(environment) { $1 }
    ) { $1 }
    try process.run()
    return Running(process: process, folder: folder)
  }

  struct Running {
    let process: Process
    let folder: String

    var err: String { (try? String(contentsOfFile: folder + "/err", encoding: .utf8)) ?? "" }

    func finish() throws -> Output {
      process.waitUntilExit()
      defer { try? FileManager.default.removeItem(atPath: folder) }
      return Output(
        status: process.terminationStatus, out: try String(contentsOfFile: folder + "/out", encoding: .utf8), err: err)
    }
  }
}

/// A small synthetic data set, made once by the executable for all tests of this target.
enum SmallDemo {
  static let folder: String = {
    let folder = NSTemporaryDirectory() + "chexnet-demo-\(ProcessInfo.processInfo.processIdentifier)"
    let made = try? Executable.run(["demo-data", "--output", folder, "--images", "60"])
    precondition(made?.status == 0, "demo-data failed: \(made?.err ?? "")")
    atexit { try? FileManager.default.removeItem(atPath: SmallDemo.folder) }
    return folder
  }()

  /// The first image of the set.
  static var image: String { folder + "/images/00000001_000.png" }

  /// A finetuning run of seconds, to `output`.
  static func finetune(_ output: String, epochs: Int = 2) -> [String] {
    [
      "finetune", "--data", folder, "--train", folder + "/train_list.txt", "--validation", folder + "/val_list.txt",
      "--architecture", "2:1,1", "--image-size", "32", "--batch-size", "4", "--epochs", "\(epochs)", "--learning-rate",
      "1e-3",
      "--schedule", "constant", "--augment", "flip", "--output", output,
    ]
  }
}
