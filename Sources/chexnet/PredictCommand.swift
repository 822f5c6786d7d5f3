import ArgumentParser
import Checkpoints
import ChestXray
import Evaluation
import Platform

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Say how probable each finding is in radiographs. No labels needed.",
    discussion: """
      Example:
        chexnet predict densenet.safetensors images --output predictions.csv
      """)

  @Argument(help: ArgumentHelp("A checkpoint (from import-weights or finetune).", valueName: "checkpoint"))
  var checkpoint: String

  @Argument(help: ArgumentHelp("Radiographs, folders of them, or lists.", valueName: "image, folder or list"))
  var images: [String]

  @Option(
    help: ArgumentHelp("Where the images of a list are; by default in the list's own folder.", valueName: "folder"))
  var data: String?

  @Option(help: ArgumentHelp("Write a CSV file instead of printing.", valueName: "file.csv"))
  var output: String?

  @OptionGroup var deviceOptions: DeviceOptions
  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if output != nil && outputOptions.json { throw ValidationError("Give --output or --json, not both.") }
  }

  func run() throws {
    let checkpoint = try Checkpoint.load(path: checkpoint)
    let dataset = try Dataset(
      images: images, data: data, preprocessing: checkpoint.metadata.preprocessing)
    let predictor = try Predictor(
      checkpoint, backend: try deviceOptions.backend(), batchSize: deviceOptions.batchSize, pool: deviceOptions.pool)
    if let output, !outputOptions.force { try refuseExisting(output) }
    let progress = ProgressLine()
    var predictions = Predictions(findings: checkpoint.metadata.classes, table: nil)
    var logits: [[Float]] = []
    try predictor.predict(dataset) { index, prediction in
      let sample = dataset.table.samples[index]
      predictions.append(
        image: sample.image, patient: sample.patient, probabilities: prediction.probabilities, labels: nil)
      logits.append(prediction.logits)
      progress.show(index + 1, of: dataset.count, "predicting")
    }
    progress.clear()
    if let output {
      try AtomicFile.write(predictions.csv, to: output, overwriting: outputOptions.force)
      standardError("wrote \(predictions.rows.count) predictions to \(output)\n")
    } else if outputOptions.json {
      printJSON(predictions.json(logits: logits))
    } else {
      print(predictions.text, terminator: "")
    }
  }
}

/// Throws `exists` before work is done for a file that could not be written in the end.
func refuseExisting(_ path: String) throws(PlatformError) {
  if somethingStands(at: path) { throw .exists(path: path) }
}
