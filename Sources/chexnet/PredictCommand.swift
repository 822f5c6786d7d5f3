import ArgumentParser
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

  @OptionGroup var input: PredictorInput

  @Option(help: ArgumentHelp("Write a CSV file instead of printing.", valueName: "file.csv"))
  var output: String?

  @OptionGroup var deviceOptions: DeviceOptions
  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if output != nil && outputOptions.json { throw ValidationError("Give --output or --json, not both.") }
  }

  func run() throws {
    let (predictor, dataset) = try input.load(deviceOptions)
    if let output, !outputOptions.force { try refuseExisting(output) }
    let progress = ProgressLine()
    var predictions = Predictions(findings: predictor.checkpoint.metadata.classes, table: nil)
    var logits: [[Float]?] = []
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
