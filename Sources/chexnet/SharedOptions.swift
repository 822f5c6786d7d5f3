import ArgumentParser
import Checkpoints
import ChestXray
import Engine
import Evaluation
import Platform

/// Where a network runs, and how much of it at a time.
struct DeviceOptions: ParsableArguments {
  @Option(help: deviceHelp)
  var device = "auto"

  @Option(
    help: ArgumentHelp(
      "Of the activations: fp32, bf16 (faster, with some 3 digits), or auto: what doctor found faster here.",
      valueName: "name"))
  var precision = PrecisionChoice.fp32

  @Option(help: ArgumentHelp("Images that the network is given at a time.", valueName: "n"))
  var batchSize = 16

  @Option(help: ArgumentHelp("Threads; by default as many as this process may run on.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if batchSize < 1 { throw ValidationError("--batch-size needs at least 1, found \(batchSize).") }
    if let threads, threads < 1 { throw ValidationError("--threads needs at least 1, found \(threads).") }
  }

  var pool: ThreadPool { ThreadPool(threads: threads) }

  /// `local`: this process among those of its machine.
  func backend(
    _ pool: ThreadPool? = nil, local: (rank: Int, size: Int) = (0, 1)
  ) throws(BackendError) -> any Backend {
    try chexnet.backend(
      named: device, pool: pool ?? self.pool, precision: precision.resolved(device: device), local: local)
  }
}

/// A checkpoint and the radiographs that it is shown.
struct PredictorInput: ParsableArguments {
  @Argument(help: ArgumentHelp("A checkpoint (from import-weights or finetune).", valueName: "checkpoint"))
  var checkpoint: String

  @Argument(help: ArgumentHelp("Radiographs, folders of them, or lists.", valueName: "image, folder or list"))
  var images: [String]

  @Option(
    help: ArgumentHelp("Where the images of a list are; by default in the list's own folder.", valueName: "folder"))
  var data: String?

  @Option(help: "Show the network each radiograph once, or in ten crops of which the mean is taken: 1 or 10.")
  var crops = CropCount.one

  /// Reads the checkpoint and finds the images.
  func load(_ device: DeviceOptions) throws -> (Predictor, Dataset) {
    let checkpoint = try Checkpoint.load(path: checkpoint)
    let dataset = try Dataset(images: images, data: data, preprocessing: checkpoint.metadata.preprocessing)
    let predictor = try Predictor(
      checkpoint, backend: try device.backend(), batchSize: device.batchSize, crops: crops, pool: device.pool)
    return (predictor, dataset)
  }
}

/// What a command may do to files that are already there, and in which form it answers.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Replace outputs that exist.")
  var force = false

  @Flag(help: "Print one JSON document instead of text.")
  var json = false
}

/// Prints one JSON document.
func printJSON(_ value: JSONValue) { print(value.text(pretty: true)) }

extension CropCount: ExpressibleByArgument {}
