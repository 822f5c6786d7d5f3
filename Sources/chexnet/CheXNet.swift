import ArgumentParser
import Platform

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
        chexnet finetune --data demo --train demo/train_list.txt --validation demo/val_list.txt \\
          --architecture 8:2,2,2 --image-size 64 --output demo-run
        chexnet evaluate demo-run/checkpoints/best.safetensors --data demo --test demo/test_list.txt

      Exit statuses: 0 done, 64 usage, 65 bad data, 66 input missing, 69 device not available, 73 cannot create the
      output, 74 input/output error, 75 interrupted and saved; `chexnet help exit-codes` lists all.
      """,
    version: toolVersion,
    subcommands: [
      FinetuneCommand.self, EvaluateCommand.self, HeatmapCommand.self, PredictCommand.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      ErrorReport.exit(with: error)
    }
  }
}
