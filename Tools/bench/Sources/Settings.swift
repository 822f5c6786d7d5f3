import ArgumentParser
import Engine
import Platform

/// What rows are measured with.
struct Settings: ParsableArguments {
  @Option(help: ArgumentHelp("Where to run: \(backendNames.joined(separator: ", ")).", valueName: "name"))
  var device = "auto"

  @Option(help: ArgumentHelp("The activations' precision: fp32 or bf16.", valueName: "name"))
  var precision = Precision.fp32

  @Option(
    help: ArgumentHelp(
      "Instruction set of the engine: \(InstructionSet.available.map(\.rawValue).joined(separator: ", ")).",
      valueName: "name"))
  var level = InstructionSet.best

  @Flag(help: "Train as finetune --memory-efficient does.")
  var memoryEfficient = false

  @Option(help: ArgumentHelp("Threads of the engine; by default as many as this process may run on.", valueName: "n"))
  var threads = ThreadPool.availableProcessors

  @Option(
    help: ArgumentHelp("A network's name, or GROWTH:B1,B2,… such as 8:2,2,2; with 14 outputs.", valueName: "name"))
  var architecture = "densenet121"

  @Option(help: ArgumentHelp("The side of the network's input.", valueName: "pixels"))
  var imageSize = 224

  @Option(help: ArgumentHelp("Calls before the first round.", valueName: "n"))
  var warmUp = 6

  @Option(help: ArgumentHelp("Rounds of each row.", valueName: "n"))
  var rounds = 9

  @Option(help: ArgumentHelp("A round repeats its row until it has lasted this long.", valueName: "s"))
  var seconds = 0.5

  @Option(
    help: ArgumentHelp("Radiographs for decoding and preparation; by default 16 synthetic ones.", valueName: "folder"))
  var images: String?

  @Option(help: ArgumentHelp("A file for import; by default random weights as safetensors.", valueName: "file"))
  var weights: String?

  func validate() throws {
    for (name, value, least) in [
      ("--threads", threads, 1), ("--image-size", imageSize, 1), ("--warm-up", warmUp, 0), ("--rounds", rounds, 1),
    ] where value < least {
      throw ValidationError("\(name) needs at least \(least), found \(value).")
    }
    if !level.isAvailable { throw ValidationError("--level \(level.rawValue): this processor does not have it.") }
    if !(seconds >= 0) { throw ValidationError("--seconds needs 0 or more, found \(seconds).") }
    _ = try network()
  }

  /// The findings of ChestX-ray14.
  static let classCount = 14

  /// What `--architecture` names.
  func network() throws -> DenseNetArchitecture {
    guard let network = DenseNetArchitecture(parsing: architecture, classCount: Self.classCount) else {
      throw ValidationError("--architecture \(architecture) is none: densenet121, 161, 169, 201, or GROWTH:B1,B2,….")
    }
    return network
  }

  var pool: ThreadPool { ThreadPool(threads: threads) }

  /// The arguments that say the same to another process.
  var arguments: [String] {
    [
      "--device", device, "--precision", precision.rawValue, "--level", level.rawValue, "--threads", "\(threads)",
      "--architecture", architecture, "--image-size", "\(imageSize)",
      "--warm-up", "\(warmUp)", "--rounds", "\(rounds)", "--seconds", "\(seconds)",
    ] + (memoryEfficient ? ["--memory-efficient"] : []) + (images.map { ["--images", $0] } ?? [])
      + (weights.map { ["--weights", $0] } ?? [])
  }

  /// `device`: the name of the backend that `--device` found.
  func json(device: String) -> JSONValue {
    [
      "device": .string(device), "precision": .string(precision.rawValue), "level": .string(level.rawValue),
      "memory_efficient": .bool(memoryEfficient), "threads": JSONValue(threads),
      "architecture": .string(architecture),
      "image_size": JSONValue(imageSize), "warm_up": JSONValue(warmUp), "rounds": JSONValue(rounds),
      "seconds_per_round": JSONValue(seconds),
    ]
  }
}

extension Precision: ExpressibleByArgument {}
extension InstructionSet: ExpressibleByArgument {}
