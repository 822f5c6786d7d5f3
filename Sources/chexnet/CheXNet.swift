import ArgumentParser
import Foundation
import Platform
import WeightFormats

/// The command line: parses it, calls one library function, prints the answer.
@main
struct CheXNet: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chexnet",
    abstract: "Imports, finetunes and evaluates DenseNets on chest X-rays, and shows where they looked.",
    discussion: """
      For research. Not a medical device: no output of this program is a diagnosis.

      A first run without any data of your own:
        chexnet demo-data --output demo
        chexnet finetune --data demo --train demo/train_list.txt \\
          --validation demo/val_list.txt --architecture 16:2,4 --image-size 64 \\
          --epochs 8 --learning-rate 4e-3 --schedule cosine --augment flip \\
          --output demo-run
        chexnet evaluate demo-run/checkpoints/best.safetensors \\
          --data demo --test demo/test_list.txt

      Exit statuses: 0 done, 10 diverged, 11 a rank lost, 12 a gate failed,
      13 unsafe file, 64 usage, 65 bad data, 66 input missing, 69 device not
      available, 70 a bug of ours, 71 out of memory, 73 cannot create the output,
      74 input/output error, 75 interrupted and saved, 130 interrupted by Ctrl-C.
      """,
    version: toolVersion,
    subcommands: [
      ImportWeightsCommand.self, FinetuneCommand.self, EvaluateCommand.self, HeatmapCommand.self, PredictCommand.self,
      ExportWeightsCommand.self, CheckCommand.self, DoctorCommand.self, DemoDataCommand.self,
    ])

  static func main() {
    // Swift reads them there; without /proc there would be none, and every command would print help and succeed.
    guard !CommandLine.arguments.isEmpty else {
      standardError(
        "error: the arguments of the command cannot be read, for /proc is not there\nhint: mount -t proc proc /proc\n")
      Foundation.exit(ExitStatus.unavailable.rawValue)
    }
    HDF5Worker.serveIfAsked()
    // A file that grows beyond a limit is an error with a message, not a signal that ends the process.
    signal(SIGXFSZ, SIG_IGN)
    HugeMemory.whenMissing = { ErrorReport.exit(with: PlatformError.outOfMemory(bytes: $0)) }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      ErrorReport.exit(with: error)
    }
  }
}
