import ArgumentParser
import Checkpoints
import Platform

struct ImportWeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import-weights",
    abstract: "Turn a weight file of another tool into a checkpoint, every tensor accounted for.",
    discussion: """
      Reads PyTorch zip archives (torch.save), Keras HDF5 files and safetensors, told
      by their content. Nothing in the file is executed.

      Examples:
        chexnet import-weights densenet121.pt --output densenet.safetensors
        chexnet import-weights imagenet.h5 --output start.safetensors --head new
        chexnet import-weights unknown.pth --inspect
      """)

  @Argument(help: ArgumentHelp("The weight file.", valueName: "source"))
  var source: String

  @Option(help: ArgumentHelp("The checkpoint to write.", valueName: "out.safetensors"))
  var output: String?

  @Option(
    help: ArgumentHelp(
      "chestxray14, imagenet, xrv, a number, or names with commas between; by default by the number of outputs.",
      valueName: "classes"))
  var classes: String?

  @Option(help: "keep the file's classifier, or begin with a new one.")
  var head = ImportOptions.Head.keep

  @Option(
    help: ArgumentHelp(
      "How images are prepared: center-crop (256 to 224), resize (to 224) or xrv (the central square to 224, as torchxrayvision)."
    ))
  var preprocessing: ImportOptions.PreprocessingChoice?

  @Option(help: "Whether a ReLU follows the last batch norm; auto: as the tool that wrote the file has it.")
  var finalRelu = ImportOptions.FinalReLU.automatic

  @Option(help: "Of a new head's random weights.")
  var seed: UInt64 = 123

  @Flag(help: "List what is in the file and import nothing.")
  var inspect = false

  @Flag(help: "Take members of a zip archive whose checksum is wrong.")
  var ignoreCrc = false

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if output == nil && !inspect { throw ValidationError("Give the checkpoint to write with --output, or --inspect.") }
  }

  func run() throws {
    if inspect {
      let listing = try WeightImport.inspect(path: source, ignoreCRC: ignoreCrc)
      if outputOptions.json { printJSON(listing.json) } else { print(listing.text, terminator: "") }
      return
    }
    guard let output else { return }
    if !outputOptions.force { try refuseExisting(output) }
    let result = try WeightImport.run(
      path: source,
      options: ImportOptions(
        classes: classes, head: head, preprocessing: preprocessing, finalReLU: finalRelu, ignoreCRC: ignoreCrc,
        seed: seed))
    try result.checkpoint.save(to: output, overwriting: outputOptions.force)
    if outputOptions.json {
      printJSON(result.report.json)
    } else {
      print(result.report.text, terminator: "")
      print("wrote \(output)")
    }
  }
}

extension ImportOptions.Head: ExpressibleByArgument {}
extension ImportOptions.FinalReLU: ExpressibleByArgument {}
extension ImportOptions.PreprocessingChoice: ExpressibleByArgument {}
