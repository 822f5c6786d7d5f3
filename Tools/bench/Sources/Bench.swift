import ArgumentParser
import Engine
import Foundation
import Platform
import WeightFormats

/// Measures chexnet, row by row.
@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure the engine, decoding, import and AUROC, row by row.",
    discussion: """
      Rows: training-bN, ten-crop-bN, inference-bN and feeding-bN (any batch size N), decoding, preparation, thumbnails, random-crops, import, auroc, peak, kernel-NAME, \
      scaling-ROW (training, inference or peak on all threads over one), epoch-cached and epoch-decoding (over batches in memory), \
      heatmaps (over predicting alone), ranks-bN and ranks-sum (under mpirun, with --seconds 0), evaluation-cN (N checkpoints over one decoding and N forward passes), scores-bootstrap. \
      Without --row: \
      \(RowName.standard.map(\.description).joined(separator: ", ")).

      Each row is run to warm up, then for rounds of at least --seconds; its value is the median of the rounds.
      Peak memory is a process's, so a row has one only where it is alone in its process: with one --row, or --memory.

      Examples:
        bench
        bench --row training-b16 --row inference-b1 --memory --threads 2 --json
        bench --kernels
        bench --row import --weights densenet121.pt
      """,
    version: toolVersion)

  @OptionGroup var settings: Settings

  @Option(name: .customLong("row"), help: ArgumentHelp("A row to run; may be repeated.", valueName: "name"))
  var rows: [RowName] = []

  @Flag(help: "Run the rows of all kernels, and the peak that they are shares of.")
  var kernels = false

  @Option(
    help: ArgumentHelp(
      "Instead of measuring: compare the gradients of a step on N images with the textbook's in double precision.",
      valueName: "n"))
  var gradientErrors: Int?

  @Flag(help: "Run each row in a process of its own, and say its peak memory.")
  var memory = false

  @Flag(help: "Print one JSON document instead of the table.")
  var json = false

  static func main() {
    HDF5Worker.serveIfAsked()
    main(nil)
  }

  func validate() throws {
    if let gradientErrors, gradientErrors < 1 {
      throw ValidationError("--gradient-errors needs at least 1, found \(gradientErrors).")
    }
  }

  func run() throws {
    if let gradientErrors {
      let report = try GradientReport(settings, count: gradientErrors)
      return print(json ? report.json.text(pretty: true) : report.text)
    }
    Machine.warnOfOpenBLASVariables()
    // Asked for before the rows, whose threads are our load, not the others'.
    let machine = Machine()
    let device = try backend(named: settings.device, pool: settings.pool).name
    let chosen = rows + (kernels ? [.peak] + RowName.kernels : [])
    let names = chosen.isEmpty ? RowName.standard : chosen
    var results: [RowResult] = []
    for name in names {
      if names.count > 1 { standardError("\(name) …\n") }
      if memory && names.count > 1 {
        results.append(try OwnProcess.run(name, settings))
      } else {
        results.append(try settings.measure(name, isAlone: names.count == 1))
      }
    }
    let report = Report(machine: machine, device: device, settings: settings, results: results)
    if BenchRanks.isMain { print(json ? report.json.text(pretty: true) : report.text) }
    BenchRanks.leave()
  }
}

/// Writes to standard error, at once.
func standardError(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
