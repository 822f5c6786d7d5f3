import ArgumentParser
import Checkpoints

struct ExportWeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export-weights",
    abstract: "Write a checkpoint as a weight file of PyTorch or Keras, bit for bit.",
    discussion: """
      torch        what torch.save writes; opens with torch.load(weights_only=True)
      keras        the legacy HDF5 weights of keras.applications' DenseNets
      safetensors  for safetensors.torch.load_file, timm and others

      --names chexnet gives the names of the reference implementation, for its
      --model_path.

      Example:
        chexnet export-weights run/checkpoints/best.safetensors \\
          --output densenet121.pt --format torch
      """)

  @Argument(help: ArgumentHelp("A checkpoint (from import-weights or finetune).", valueName: "checkpoint"))
  var checkpoint: String

  @Option(help: ArgumentHelp("The weight file to write.", valueName: "file"))
  var output: String

  @Option(help: "For which tool.")
  var format: ExportOptions.Format

  @Option(help: "Whose names the tensors have, for torch and safetensors.")
  var names: ExportOptions.Names?

  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if format == .keras {
      if names != nil { throw ValidationError("--names is for torch and safetensors; keras has Keras' names.") }
      // Keras tells its two HDF5 layouts, and HDF5 from other files, by the name alone.
      let isLegacy = [".h5", ".hdf5"].contains { output.hasSuffix($0) } && !output.hasSuffix(".weights.h5")
      if !isLegacy {
        throw ValidationError(
          "Keras loads this format only from names that end in .h5 or .hdf5 and not in .weights.h5; found \(output).")
      }
    }
    if output == checkpoint { throw ValidationError("--output is the checkpoint itself.") }
  }

  func run() throws {
    if !outputOptions.force { try refuseExisting(output) }
    let report = try WeightExport.run(
      path: checkpoint, options: ExportOptions(format: format, names: names ?? .torchvision), to: output,
      overwriting: outputOptions.force)
    for difference in report.differences { standardError("note: \(difference)\n") }
    if outputOptions.json {
      printJSON(report.json)
    } else {
      print(report.text, terminator: "")
      print("wrote \(output)")
    }
  }
}

extension ExportOptions.Format: ExpressibleByArgument {}
extension ExportOptions.Names: ExpressibleByArgument {}
