import Checkpoints
import ChestXray
import Engine
import Foundation
import Platform

/// Draws the class activation maps of radiographs into files.
public struct HeatmapWriter {
  /// Which findings of an image are drawn.
  public enum Selection: Equatable, Sendable {
    /// The one of the highest probability.
    case top
    case all
    case named([String])

    /// `top`, `all`, or names with commas between.
    public init(_ text: String) {
      self = text == "top" ? .top : text == "all" ? .all : .named(text.split(separator: ",").map(String.init))
    }
  }

  public struct Options: Sendable {
    public var selection = Selection.top
    public var size = HeatmapImage.Size.original
    public var scale = HeatmapImage.Scale.map
    /// 8 or 16 bits.
    public var depth = 8
    /// Only findings of at least this probability are drawn.
    public var minimumProbability = 0.0
    public var overwriting = false

    public init() {}
  }

  /// One map that was written.
  public struct Heatmap: Sendable {
    /// The radiograph.
    public let image: String
    public let finding: String
    /// Of the finding, 0 … 1.
    public let probability: Double
    public let logit: Float
    /// Smallest and largest value of the map, without the bias.
    public let minimum: Float
    public let maximum: Float
    public let bias: Float
    /// What is drawn.
    public let map: ClassActivationMap
    /// The radiograph's sides, and what the network saw of it.
    public let view: ImageView
    /// What the network saw, in pixels of the radiograph.
    public let window: CropWindow
    /// The centre of the largest cell, in pixels of the radiograph.
    public let peak: (x: Double, y: Double)
    /// Where the picture is.
    public let path: String

    /// What stands beside the picture.
    public var json: JSONValue {
      [
        "image": .string(image), "finding": .string(finding), "probability": JSONValue(probability),
        "logit": JSONValue(logit), "bias": JSONValue(bias), "minimum": JSONValue(minimum),
        "maximum": JSONValue(maximum),
        "crop_window": [
          "x": JSONValue(window.x), "y": JSONValue(window.y), "width": JSONValue(window.width),
          "height": JSONValue(window.height),
        ],
        "peak": ["x": JSONValue(peak.x), "y": JSONValue(peak.y)], "file": .string(path),
      ]
    }
  }

  let predictor: Predictor
  let options: Options
  /// Indices of the named findings among the classes.
  private let named: [Int]

  /// Throws `unknownFinding` where a named finding is none of the checkpoint's.
  public init(_ predictor: Predictor, options: Options) throws(EvaluationError) {
    self.predictor = predictor
    self.options = options
    guard case .named(let names) = options.selection else {
      named = []
      return
    }
    let classes = predictor.checkpoint.metadata.classes
    let canonical = classes.map(canonicalClassName)
    var indices: [Int] = []
    for name in names {
      guard let index = canonical.firstIndex(of: canonicalClassName(name)) else {
        throw .unknownFinding(name, nearest: nearestName(to: name, among: classes), known: classes)
      }
      indices.append(index)
    }
    named = indices
  }

  /// Writes `<image name without extension>.<Finding>.pgm`, with a `.json` of the same name beside it, for each image and
  /// finding, into `folder`, which is made where it does not exist. `written` is told of each.
  ///
  /// Throws `inconsistentMap` where a map and its logit disagree, before that map is written; `sameName`, before any, where
  /// two images have the same name.
  public func write(
    _ dataset: Dataset, to folder: String, written: (Heatmap) -> Void
  ) throws(EvaluationError) {
    let paths = dataset.paths
    var names: [String: String] = [:]
    for path in paths {
      if let other = names.updateValue(path, forKey: stem(path)) { throw .sameName(other, path) }
    }
    do {
      try createFolder(folder)
    } catch {
      throw .cause(error)
    }
    try predictor.predict(dataset, keepingFeatures: true) { (index, prediction) throws(EvaluationError) in
      for label in labels(of: prediction) {
        written(try write(prediction, of: paths[index], label: label, to: folder))
      }
    }
  }

  private func labels(of prediction: ImagePrediction) -> [Int] {
    let logits = prediction.logits
    let selected: [Int] =
      switch options.selection {
      case .top: logits.indices.max { logits[$0] < logits[$1] }.map { [$0] } ?? []
      case .all: Array(logits.indices)
      case .named: named
      }
    return selected.filter { sigmoid(Double(logits[$0])) >= options.minimumProbability }
  }

  private func write(
    _ prediction: ImagePrediction, of path: String, label: Int, to folder: String
  ) throws(EvaluationError) -> Heatmap {
    let checkpoint = predictor.checkpoint
    let finding = checkpoint.metadata.classes[label]
    let map = ClassActivationMap(
      features: prediction.features, shape: predictor.featureShape, weights: checkpoint.weights, index: label,
      logit: prediction.logits[label])
    guard map.isConsistent else {
      throw .inconsistentMap(image: path, finding: finding, discrepancy: map.discrepancy)
    }
    let picture = HeatmapImage(
      map, view: prediction.view,
      input: checkpoint.metadata.preprocessing.imageSize, size: options.size, scale: options.scale, depth: options.depth
    )
    let base = folder + "/" + stem(path) + "." + fileNamePart(finding)
    let heatmap = Heatmap(
      image: path, finding: finding, probability: sigmoid(Double(map.logit)), logit: map.logit, minimum: map.minimum,
      maximum: map.maximum, bias: map.bias, map: map, view: prediction.view, window: prediction.view.window,
      peak: map.peakPosition(in: prediction.view.window),
      path: base + ".pgm")
    do {
      try AtomicFile.write(picture.pgm, to: heatmap.path, overwriting: options.overwriting)
      try AtomicFile.write(
        heatmap.json.text(pretty: true) + "\n", to: base + ".json", overwriting: options.overwriting)
    } catch {
      throw .cause(error)
    }
    return heatmap
  }

  /// The name of an image without folders and extension.
  private func stem(_ path: String) -> String {
    (fileName(of: path) as NSString).deletingPathExtension
  }

  /// A class's name as part of a file's: whatever is no letter, digit, `_` or `-` becomes `_`.
  private func fileNamePart(_ finding: String) -> String {
    String(finding.map { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" ? $0 : "_" })
  }
}
