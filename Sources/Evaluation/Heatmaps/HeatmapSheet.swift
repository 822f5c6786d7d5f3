import ChestXray
import Foundation
import Mustache
import Platform

/// A page of radiographs beside their heatmaps: one file without scripts, that fetches nothing.
///
/// Written as images come, so that its size is not one of memory.
struct HeatmapSheet: ~Copyable {
  /// The short side of its pictures, in pixels.
  private static let pictureSide = 320

  private let path: String
  private var file: AtomicFile
  private let card: MustacheTemplate
  private let classes: [String]
  private let boxes: [String: [FindingBox]]

  /// Begins `sheet.html` in `folder`.
  ///
  /// Throws `cause` where it cannot be made, or is there and is not to be overwritten.
  init(in folder: String, _ predictor: Predictor, _ options: HeatmapWriter.Options) throws(EvaluationError) {
    path = folder + "/sheet.html"
    classes = predictor.checkpoint.metadata.classes
    boxes = Dictionary(grouping: options.boxes) { fileName(of: $0.image) }
    card = pageTemplate(Self.cardTemplate)
    let head = pageTemplate(Self.headTemplate).render(Self.about(predictor, options))
    file = try Self.begin(path, head, overwriting: options.overwriting)
  }

  private static func begin(
    _ path: String, _ head: String, overwriting: Bool
  ) throws(EvaluationError) -> AtomicFile {
    do {
      var file = try AtomicFile(path: path, overwriting: overwriting)
      try file.write(Array(head.utf8))
      return file
    } catch {
      throw .cause(error)
    }
  }

  /// What the page says about itself.
  private static func about(_ predictor: Predictor, _ options: HeatmapWriter.Options) -> [String: Any] {
    let scale =
      options.scale == .map
      ? "Colours go from each map's own smallest value to its largest: compare places, not images."
      : "Colours are sigmoid(activation + bias), from 0 to 1: images can be compared."
    let crops = predictor.crops == .one ? "one crop" : "\(predictor.crops.rawValue) crops"
    let source = predictor.checkpoint.metadata.source.map { "imported from \($0.name)" }
    return [
      "style": pageStyle, "scale": scale, "version": toolVersion, "hasBoxes": !options.boxes.isEmpty,
      "network": [predictor.checkpoint.weights.layout.architecture.name, crops, source].compactMap(\.self)
        .joined(separator: ", "),
    ]
  }

  /// Adds a radiograph with what was drawn over it.
  mutating func add(
    _ image: String, _ radiograph: Radiograph, _ probabilities: [Double], _ drawn: [HeatmapDrawing.Drawn]
  ) throws(EvaluationError) {
    let ofImage = boxes[fileName(of: image)] ?? []
    let order = probabilities.indices.sorted { probabilities[$0] > probabilities[$1] }
    do throws(PlatformError) {
      var pictures: [[String: Any]] = [
        try picture(radiograph, title: "radiograph", boxes: ofImage.map { ($0, $0.finding.name) })
      ]
      for one in drawn {
        guard let overlay = one.overlay else { continue }
        let finding = canonicalClassName(one.heatmap.finding)
        let title = "\(one.heatmap.finding) \(decimals(one.heatmap.probability, 3))"
        pictures.append(
          try picture(overlay, title: title, boxes: ofImage.filter { $0.finding.name == finding }.map { ($0, "") }))
      }
      let context: [String: Any] = [
        "name": fileName(of: image), "pictures": pictures,
        "findings": order.map { ["name": classes[$0], "probability": decimals(probabilities[$0], 3)] },
      ]
      try file.write(Array(card.render(context).utf8))
    } catch {
      throw .cause(error)
    }
  }

  /// Ends the page and gives it its name.
  consuming func finish() throws(EvaluationError) {
    do {
      try file.write(Array("</main>\n</html>\n".utf8))
      try file.commit()
    } catch {
      throw .cause(error)
    }
  }

  /// `boxes`: with what is written at them, in pixels of `image`.
  private func picture(
    _ image: Radiograph, title: String, boxes: [(box: FindingBox, text: String)]
  ) throws(PlatformError) -> [String: Any] {
    let small = image.scaledDown(shortSide: Self.pictureSide)
    let bytes = try small.jpeg(path: path)
    return [
      "title": title, "width": image.width, "height": image.height, "data": Data(bytes).base64EncodedString(),
      "boxes": boxes.map { box, text in
        // Text at the right of the image ends with its box.
        let isRight = box.x > 0.7 * Double(image.width)
        return [
          "x": box.x, "y": box.y, "width": box.width, "height": box.height, "text": text,
          "textX": isRight ? box.x + box.width : box.x, "anchor": isRight ? "end" : "start",
        ] as [String: Any]
      },
      // Of letters, in pixels of the image.
      "letter": image.width / 24,
    ]
  }
}

// MARK: - The page

extension HeatmapSheet {
  private static let headTemplate = """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Heatmaps</title>
    <style>
      {{{style}}}
      svg { background: #000; }
      rect { fill: none; stroke: #39c5ff; stroke-width: 3px; vector-effect: non-scaling-stroke; }
      text { fill: #39c5ff; stroke: #000; paint-order: stroke; stroke-width: 4px; vector-effect: non-scaling-stroke; }
    </style>
    <header>
      <p class="warning">This page contains patient images and identifiers.</p>
      <h1>Where the network looked</h1>
      <p>Class activation maps of {{network}}. {{scale}}</p>
      {{#hasBoxes}}<p>Blue boxes are those of the table that was given.</p>{{/hasBoxes}}
      <p>chexnet {{version}}. For research; not a medical device.</p>
    </header>
    <main>

    """

  private static let cardTemplate = """
    <section>
      <h2>{{name}}</h2>
      <div class="row">
        {{#pictures}}
        <figure>
          <svg viewBox="0 0 {{width}} {{height}}" role="img" aria-label="{{title}}">
            <image href="data:image/jpeg;base64,{{{data}}}" width="{{width}}" height="{{height}}"/>
            {{#boxes}}
            <rect x="{{x}}" y="{{y}}" width="{{width}}" height="{{height}}"/>
            <text x="{{textX}}" y="{{y}}" text-anchor="{{anchor}}" dy="-0.3em" font-size="{{letter}}">{{text}}</text>
            {{/boxes}}
          </svg>
          <figcaption>{{title}}</figcaption>
        </figure>
        {{/pictures}}
        <table>
          {{#findings}}
          <tr><td>{{name}}</td><td>{{probability}}</td></tr>
          {{/findings}}
        </table>
      </div>
    </section>

    """
}
