import Accelerators
import ArgumentParser
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform
import WeightFormats

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Say what this machine has, whether the arithmetic is right on it, and how fast.",
    discussion: """
      Compares the engine with the textbook in double precision, for every instruction set and precision that this
      machine has, and measures inference. What it finds faster is what --precision auto takes from then on.

      With --device cuda it does the same on an NVIDIA GPU, whose instructions it compares with their definitions first,
      tries which of the kernels that do the same is the fastest for each layer, which is what sessions take from then
      on, and sets the time of each beside the least that its bytes and its arithmetic take.

      With --device gaudi it has Synapse compile every node that is used, and DenseNet-121, and compares each node and
      whole networks with what they are by definition. With --compile-only it needs Synapse, but no card.

      Examples:
        chexnet doctor
        chexnet doctor --device cuda
        chexnet doctor --device gaudi --compile-only
      """)

  @Option(
    help: ArgumentHelp(
      "What to look at: cpu, cuda (cuda:1 is the second GPU), or gaudi (gaudi:1 is the card of module 1).",
      valueName: "name"))
  var device = "cpu"

  @Flag(help: "Only compare; measure nothing.")
  var conformanceOnly = false

  @Flag(help: "With --device cuda: leave it at the kernels that an earlier doctor chose, if one has.")
  var keepKernels = false

  @Flag(help: "With --device gaudi: only see what Synapse compiles, which takes no card.")
  var compileOnly = false

  @Option(help: ArgumentHelp("Threads; by default as many as this process may run on.", valueName: "n"))
  var threads: Int?

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads needs at least 1, found \(threads).") }
    if compileOnly, !isGaudi(device) {
      throw ValidationError("--compile-only is for --device gaudi, found --device \(device.printable).")
    }
    if keepKernels, !isCUDA(device) {
      throw ValidationError("--keep-kernels is for --device cuda, found --device \(device.printable).")
    }
  }

  func run() throws {
    let (pool, progress) = (ThreadPool(threads: threads), ProgressLine())
    if isCUDA(device) { return try runCUDA(pool, progress) }
    if isGaudi(device) { return try runGaudi(pool, progress) }
    guard device == "cpu" || device == "auto" else {
      throw BackendError.unknownDevice(device, known: ["cpu"] + acceleratorNames)
    }
    progress.show(0, of: 3, "comparing with the textbook")
    let conformance = try Conformance.summaries(pool: pool)
    var speeds: [Precision: Double] = [:]
    for (index, precision) in Precision.allCases.enumerated() where !conformanceOnly {
      progress.show(index + 1, of: 3, "measuring \(precision.rawValue)")
      speeds[precision] = try Conformance.inferenceSpeed(CPUBackend(threads: pool.threads, precision))
    }
    progress.clear()
    let report = DoctorReport(
      conformance: conformance, measured: MeasuredPrecision(date: Date().ISO8601Format(), speeds: speeds),
      threads: pool.threads)
    if json { printJSON(report.json) } else { print(report.text, terminator: "") }
    guard report.conforms else { throw ExitCode(ExitStatus.internalBug.rawValue) }
    if conformanceOnly { return }
    do {
      try report.measured.save()
    } catch {
      // A read-only home, as in a container: what was found is said all the same.
      standardError("note: the measurement is not kept, so --precision auto stays fp32: \(error)\n")
    }
  }
}

extension DoctorCommand {
  private func runCUDA(_ pool: ThreadPool, _ progress: ProgressLine) throws {
    let report = try CUDAReport(
      device, pool: pool, measures: !conformanceOnly, keepsKernels: keepKernels
    ) { progress.show($0, of: $1, $2) }
    progress.clear()
    if json { printJSON(report.json) } else { print(report.text, terminator: "") }
    guard report.conforms else { throw ExitCode(ExitStatus.internalBug.rawValue) }
  }

  private func runGaudi(_ pool: ThreadPool, _ progress: ProgressLine) throws {
    let report = try GaudiReport(device, pool: pool, compileOnly: compileOnly, measures: !conformanceOnly) {
      progress.show($0, of: $1, $2)
    }
    progress.clear()
    if json { printJSON(report.json) } else { print(report.text, terminator: "") }
    guard report.conforms else { throw ExitCode(ExitStatus.internalBug.rawValue) }
  }
}

/// What `doctor` found.
struct DoctorReport {
  let conformance: [Conformance.Summary]
  let measured: MeasuredPrecision
  let threads: Int

  var conforms: Bool { conformance.allSatisfy(\.failures.isEmpty) }

  private static var libraries: [(name: String, version: String)] {
    [
      ("OpenBLAS", openBLASCoreName().map { $0 + " kernels" } ?? "none"), ("HDF5", hdf5LibraryVersion()),
      ("zlib", zlibLibraryVersion()),
      ("libdeflate", Deflate.version),
      ("libpng", pngLibraryVersion()), ("libcrypto", cryptoLibraryVersion()),
    ] + mpiLibraryVersions().map { ($0.name, $0.version ?? "none") }
  }

  private static var accelerators: [(name: String, version: String)] {
    acceleratorLibraryVersions().map { ($0.name, $0.version ?? "none") }
  }

  /// ```
  /// chexnet 0.1.0 on Debian GNU/Linux 12 (bookworm)
  /// processor     AMD EPYC, 2 processors
  /// instructions  AVX-512 with BF16 (also: plain C, AVX2, AVX-512)
  /// libraries     OpenBLAS Cooperlake kernels, HDF5 1.10.8, zlib 1.2.13, libdeflate 1.14, libpng 1.6.39, libcrypto OpenSSL 3.0.22 25 Aug 2026
  /// accelerators  NVIDIA driver none, NCCL none, Synapse none
  ///
  /// arithmetic, against the textbook in double precision (largest deviation, as a share of what rounding explains)
  ///   fp32 on plain C            29 cases  29 %  ok
  ///   …
  ///
  /// inference of DenseNet-121 at 224×224, 2 threads
  ///   fp32  53.8 images/s
  ///   bf16  100.4 images/s
  /// --precision auto takes bf16 on this machine.
  /// ```
  var text: String {
    let others = InstructionSet.available.dropLast().map(\.title).joined(separator: ", ")
    var lines = [
      "chexnet \(toolVersion) on \(ProcessInfo.processInfo.operatingSystemVersionString)",
      "processor     \(Processor.name), \(ThreadPool.availableProcessors) processors",
      "instructions  \(InstructionSet.best.title)" + (others.isEmpty ? "" : " (also: \(others))"),
      "libraries     " + Self.libraries.map { "\($0.name) \($0.version)" }.joined(separator: ", "),
      "accelerators  " + Self.accelerators.map { "\($0.name) \($0.version)" }.joined(separator: ", "), "",
      "arithmetic, against the textbook in double precision (largest deviation, as a share of what rounding explains)",
    ]
    lines += conformance.lines
    if !measured.speeds.isEmpty {
      lines += ["", "inference of DenseNet-121 at 224×224, \(threads) threads"]
      for precision in Precision.allCases {
        lines.append("  \(precision.rawValue)  \(decimals(measured.speeds[precision, default: 0], 1)) images/s")
      }
    }
    lines.append(
      conforms
        ? measured.speeds.isEmpty
          ? "Nothing was measured." : "--precision auto takes \(measured.fastest.rawValue) on this machine."
        : "The arithmetic is wrong on this machine: do not use its results, and send this report in.")
    return lines.joined(separator: "\n") + "\n"
  }

  var json: JSONValue {
    [
      "chexnet": .string(toolVersion), "system": .string(ProcessInfo.processInfo.operatingSystemVersionString),
      "processor": .string(Processor.name), "processors": JSONValue(ThreadPool.availableProcessors),
      "instructions": JSONValue(InstructionSet.available.map(\.rawValue)),
      "libraries": .object(JSONObject((Self.libraries + Self.accelerators).map { ($0.name, .string($0.version)) })),
      "conforms": .bool(conforms),
      "conformance": conformance.json, "threads": JSONValue(threads), "inference": measured.json,
    ]
  }
}
