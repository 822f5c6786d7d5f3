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

  @Option(
    help: ArgumentHelp("Leave the outermost cells of each map out of picture, range and peak.", valueName: "cells"))
  var maskBorder = 0

  @Flag(help: "Also write <image>.<Finding>.overlay.png: the map's colours over the radiograph.")
  var overlay = false

  @Flag(help: "Also write sheet.html: one page of all images, overlays and probabilities, and the boxes if given.")
  var sheet = false

  @OptionGroup var deviceOptions: DeviceOptions
  @OptionGroup var outputOptions: OutputOptions

  func validate() throws {
    if !(0...1).contains(minimumProbability) {
      throw ValidationError("--minimum-probability needs 0 to 1, found \(minimumProbability).")
    }
    if depth != 8 && depth != 16 { throw ValidationError("--depth is 8 or 16, found \(depth).") }
    if maskBorder < 0 { throw ValidationError("--mask-border needs 0 or more, found \(maskBorder).") }
    if input.crops != .one && size != .original {
      throw ValidationError(
        "Several crops are drawn in the radiograph's own pixels only: leave --size \(size.rawValue) out.")
    }
  }

  func run() throws {
    let (predictor, dataset) = try input.load(deviceOptions)
    var options = HeatmapWriter.Options()
    options.selection = HeatmapWriter.Selection(finding)
    (options.size, options.scale, options.depth) = (size, scale, depth)
    options.minimumProbability = minimumProbability
    options.maskedBorder = maskBorder
    (options.drawsOverlays, options.makesSheet) = (overlay, sheet)
    options.overwriting = outputOptions.force
    let boxes = try boxes.map { try FindingBox.read($0) }
    options.boxes = boxes ?? []
    var game = boxes.map { PointingGame($0) }
    var localization = boxes.map {
      Localization($0, classes: predictor.checkpoint.metadata.classes, images: dataset.paths)
    }
    var border = BorderPeaks()
    let writer = try HeatmapWriter(predictor, options: options, pool: deviceOptions.pool)
    let progress = ProgressLine()
    var heatmaps: [JSONValue] = []
    try writer.write(
      dataset, to: output, progress: { progress.show($0, of: dataset.count, "drawing") }
    ) { heatmap in
      game?.add(heatmap)
      localization?.add(heatmap)
      border.add(heatmap)
      if outputOptions.json { heatmaps.append(heatmap.json) } else { print(heatmap.path) }
    }
    progress.clear()
    if let warning = border.warning { standardError("warning: \(warning)\n") }
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
