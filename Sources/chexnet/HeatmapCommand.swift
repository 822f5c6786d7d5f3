import ArgumentParser
import Checkpoints
import ChestXray
import Evaluation
import Platform

struct HeatmapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "heatmap", abstract: "Draw where a network looked: class activation maps as PGM.",
    discussion: """
      Writes <image>.<Finding>.pgm, and a .json with the numbers beside it, for each image and finding.

      Examples:
        chexnet heatmap best.safetensors images/00000001_000.png --output heatmaps
        chexnet heatmap best.safetensors images --output heatmaps --finding Mass,Nodule --scale probability --depth 16
      """)

  @Argument(help: ArgumentHelp("A checkpoint.", valueName: "checkpoint"))
  var checkpoint: String

  @Argument(help: ArgumentHelp("Radiographs, or folders of them.", valueName: "image or folder"))
  var images: [String]

  @Option(help: ArgumentHelp("The folder to write to.", valueName: "folder"))
  var output: String

  @Option(help: ArgumentHelp("top (the most probable), all, or names with commas between.", valueName: "finding"))
  var finding = "top"

  @Option(help: "The pixels of the pictures: the radiograph's own, the network's input, or one a cell.")
  var size = HeatmapImage.Size.original

  @Option(
    help:
      "map: from the map's minimum to its maximum; probability: sigmoid of map plus bias, comparable between images.")
  var scale = HeatmapImage.Scale.map

  @Option(help: ArgumentHelp("Bits a pixel: 8 or 16.", valueName: "bits"))
  var depth = 8

  @OptionGroup var deviceOptions: DeviceOptions
  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if depth != 8 && depth != 16 { throw ValidationError("--depth is 8 or 16, found \(depth).") }
  }

  func run() throws {
    let checkpoint = try Checkpoint.load(path: checkpoint)
    let dataset = try Dataset(images: images, preprocessing: checkpoint.metadata.preprocessing)
    let predictor = try Predictor(
      checkpoint, backend: try deviceOptions.backend(), batchSize: deviceOptions.batchSize, pool: deviceOptions.pool)
    var options = HeatmapWriter.Options()
    options.selection = HeatmapWriter.Selection(finding)
    (options.size, options.scale, options.depth) = (size, scale, depth)
    options.overwriting = outputOptions.force
    let writer = try HeatmapWriter(predictor, options: options)
    let progress = ProgressLine()
    var heatmaps: [HeatmapWriter.Heatmap] = []
    try writer.write(dataset, to: output) { heatmap in
      heatmaps.append(heatmap)
      if !outputOptions.json { print(heatmap.path) }
      progress.show(heatmaps.count, of: max(dataset.count, heatmaps.count), "drawing")
    }
    progress.clear()
    if outputOptions.json { printJSON(["heatmaps": .array(heatmaps.map(\.json))]) }
  }
}

extension HeatmapImage.Size: ExpressibleByArgument {}
extension HeatmapImage.Scale: ExpressibleByArgument {}
