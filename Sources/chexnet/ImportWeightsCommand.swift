import ArgumentParser
import Checkpoints
import Platform
import WeightFormats

struct ImportWeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import-weights",
    abstract: "Turn a weight file of another tool into a checkpoint, every tensor accounted for.",
    discussion: """
      Reads files of PyTorch (zip archives, streams of before 1.6, whole pickled
      models), of Keras (.h5, .weights.h5, .keras) and safetensors, told by their
      content. Nothing in a file is executed; one that asks for it is refused (13).

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

  @Option(
    help: ArgumentHelp("Subtracted from values in 0 … 1: one number, or one for each channel.", valueName: "x,…"))
  var mean: NumberList?

  @Option(help: ArgumentHelp("Divided by, after that: one number, or one for each channel.", valueName: "x,…"))
  var deviation: NumberList?

  @Option(help: "Whether a ReLU follows the last batch norm; auto: as the tool that wrote the file has it.")
  var finalRelu = ImportOptions.FinalReLU.automatic

  @Option(help: "Of a new head's random weights.")
  var seed: UInt64 = 123

  @Flag(help: "List what is in the file, tensor by tensor, and import nothing.")
  var inspect = false

  @Flag(help: "Take members of a zip archive whose checksum is wrong.")
  var ignoreCrc = false

  @Flag(help: "Read the attributes of objects of unknown classes in a pickle as plain data.")
  var allowModulePickle = false

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if output == nil && !inspect { throw ValidationError("Give the checkpoint to write with --output, or --inspect.") }
    if let deviation, !deviation.values.allSatisfy({ $0 > 0 }) {
      throw ValidationError("--deviation needs numbers over 0.")
    }
  }

  func run() throws {
    if inspect {
      let listing = try WeightListing(path: source, ignoreCRC: ignoreCrc)
      if outputOptions.json { printJSON(listing.json) } else { print(listing.text, terminator: "") }
      return try listing.checkDanger()
    }
    guard let output else { return }
    if !outputOptions.force { try refuseExisting(output) }
    let report = try WeightImport.write(
      path: source,
      options: ImportOptions(
        classes: classes, head: head, preprocessing: preprocessing, mean: mean?.values, deviation: deviation?.values,
        finalReLU: finalRelu, reading: .init(ignoreCRC: ignoreCrc, allowModulePickle: allowModulePickle), seed: seed),
      to: output, overwriting: outputOptions.force)
    if outputOptions.json {
      printJSON(report.json)
    } else {
      print(report.text, terminator: "")
      print("wrote \(output)")
    }
  }
}

/// Numbers with commas between.
struct NumberList: ExpressibleByArgument {
  let values: [Float]

  init?(argument: String) {
    let values = argument.split(separator: ",", omittingEmptySubsequences: false).map { Float($0) }
    guard !values.isEmpty, values.allSatisfy({ $0?.isFinite == true }) else { return nil }
    self.values = values.compactMap { $0 }
  }
}

extension ImportOptions.Head: ExpressibleByArgument {}
extension ImportOptions.FinalReLU: ExpressibleByArgument {}
extension ImportOptions.PreprocessingChoice: ExpressibleByArgument {}
