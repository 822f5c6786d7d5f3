import ArgumentParser
import ChestXray
import Platform

struct DemoDataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo-data", abstract: "Make a synthetic chest X-ray set in the layout of ChestX-ray14.",
    discussion: """
      Schematic chests with a texture planted for each finding: a network can learn
      and localise them, brightness and thumbnails cannot tell them. Nothing in it
      resembles a disease. The same seed gives the same bytes.

      Example:
        chexnet demo-data --output demo
      """)

  @Option(help: ArgumentHelp("The folder to make.", valueName: "folder"))
  var output: String

  @Option(help: ArgumentHelp("How many images: 70 % to train, 10 % to validate, 20 % to test.", valueName: "n"))
  var images = 1000

  @Option(help: "Decides every pixel.")
  var seed = SyntheticRadiographs.defaultSeed

  @Option(help: ArgumentHelp("Threads; by default as many as this process may run on.", valueName: "n"))
  var threads: Int?

  @Flag(help: "Print one JSON document instead of text.")
  var json = false

  func validate() throws {
    let possible = SyntheticRadiographs.possibleImages
    if !possible.contains(images) {
      throw ValidationError("--images needs \(possible.lowerBound) to \(possible.upperBound), found \(images).")
    }
    if let threads, threads < 1 { throw ValidationError("--threads needs at least 1, found \(threads).") }
  }

  func run() throws {
    let progress = ProgressLine()
    let summary = try SyntheticRadiographs(images: images, seed: seed).write(
      to: output, pool: ThreadPool(threads: threads)
    ) { written in
      progress.show(written, of: images, "drawing")
    }
    progress.clear()
    if json { printJSON(summary.json(folder: output)) } else { print(summary.text(folder: output), terminator: "") }
  }
}
