import ArgumentParser
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
        chexnet heatmap best.safetensors images --output heatmaps \\
          --finding Mass,Nodule --scale probability --depth 16
      """)

  @OptionGroup var input: PredictorInput

  @Option(help: ArgumentHelp("The folder to write to.", valueName: "folder"))
  var output: String

  @Option(help: ArgumentHelp("top (the most probable), all, or names with commas between.", valueName: "finding"))
  var finding = "top"

  @Option(help: ArgumentHelp("Draw only findings of at least this probability.", valueName: "0…1"))
  var minimumProbability = 0.0

  @Option(
    help: ArgumentHelp(
      "Say how well the maps find these boxes (BBox_List_2017.csv); goes with --finding all.", valueName: "file.csv"))
  var boxes: String?

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
    if !(0...1).contains(minimumProbability) {
      throw ValidationError("--minimum-probability needs 0 to 1, found \(minimumProbability).")
    }
    if depth != 8 && depth != 16 { throw ValidationError("--depth is 8 or 16, found \(depth).") }
  }

  func run() throws {
    let (predictor, dataset) = try input.load(deviceOptions)
    var options = HeatmapWriter.Options()
    options.selection = HeatmapWriter.Selection(finding)
    (options.size, options.scale, options.depth) = (size, scale, depth)
    options.minimumProbability = minimumProbability
    options.overwriting = outputOptions.force
    let boxes = try boxes.map(FindingBox.read)
    var game = boxes.map { PointingGame($0) }
    var localization = boxes.map {
      Localization($0, classes: predictor.checkpoint.metadata.classes, images: dataset.paths)
    }
    let writer = try HeatmapWriter(predictor, options: options)
    let progress = ProgressLine()
    var (drawn, heatmaps): (Int, [JSONValue]) = (0, [])
    try writer.write(dataset, to: output) { heatmap in
      drawn += 1
      game?.add(heatmap)
      localization?.add(heatmap)
      if outputOptions.json { heatmaps.append(heatmap.json) } else { print(heatmap.path) }
      progress.show(drawn, of: max(dataset.count, drawn), "drawing")
    }
    progress.clear()
    if outputOptions.json {
      printJSON([
        "heatmaps": .array(heatmaps), "pointing_game": game?.json ?? .null, "localization": localization?.json ?? .null,
      ])
    } else if let game, let localization {
      print(localization.text + game.text, terminator: "")
    }
  }
}

extension HeatmapImage.Size: ExpressibleByArgument {}
extension HeatmapImage.Scale: ExpressibleByArgument {}
