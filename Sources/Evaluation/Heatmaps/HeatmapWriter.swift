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
    /// Several crops have the radiograph's own pixels only.
    public var size = HeatmapImage.Size.original
    public var scale = HeatmapImage.Scale.map
    /// 8 or 16 bits.
    public var depth = 8
    /// Only findings of at least this probability are drawn.
    public var minimumProbability = 0.0
    /// How many of the outermost cells of each crop's map are left out of picture, range and peak.
    public var maskedBorder = 0
    /// Also draw the colours of each map over its radiograph.
    public var drawsOverlays = false
    /// Also make a page of all images, `sheet.html`.
    public var makesSheet = false
    /// Drawn on the page, in pixels of the radiographs.
    public var boxes: [FindingBox] = []
    public var overwriting = false

    public init() {}
  }

  let predictor: Predictor
  let options: Options
  /// Indices of the named findings among the classes.
  private let named: [Int]
  private let pool: ThreadPool

  /// Throws `unknownFinding` where a named finding is none of the checkpoint's; `maskTooLarge` where no cell would be left.
  public init(_ predictor: Predictor, options: Options, pool: ThreadPool) throws(EvaluationError) {
    precondition(predictor.crops == .one || options.size == .original, "crops have no picture of their own")
    self.predictor = predictor
    self.options = options
    self.pool = pool
    let shape = predictor.featureShape
    guard 2 * options.maskedBorder < min(shape.width, shape.height) else {
      throw .maskTooLarge(options.maskedBorder, cells: min(shape.width, shape.height))
    }
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
  /// finding, into `folder`, which is made where it does not exist; with overlays also `….overlay.png`. `written` is told of each, and
  /// `progress` how many images are done.
  ///
  /// Throws `inconsistentMap` where a map and its logit disagree, before that map is written; `sameName`, before any, where
  /// two images have the same name.
  public func write(
    _ dataset: Dataset, to folder: String, progress: (Int) -> Void = { _ in }, written: (Heatmap) -> Void
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
    var sheet = try options.makesSheet ? HeatmapSheet(in: folder, predictor, options) : nil
    let (options, pool) = (options, pool)
    let checkpoint = predictor.checkpoint
    try predictor.predict(dataset, keepingFeatures: true) { (index, prediction) throws(EvaluationError) in
      let labels = labels(of: prediction)
      let radiograph = try options.drawsOverlays || sheet != nil ? read(paths[index]) : nil
      let drawing = HeatmapDrawing(
        path: paths[index], base: folder + "/" + stem(paths[index]), prediction: prediction, radiograph: radiograph,
        checkpoint: checkpoint, featureShape: predictor.featureShape, options: options)
      let results = pool.map(labels.count) { place -> Result<HeatmapDrawing.Drawn, EvaluationError> in
        do throws(EvaluationError) {
          return .success(try drawing.draw(labels[place]))
        } catch {
          return .failure(error)
        }
      }
      var drawn: [HeatmapDrawing.Drawn] = []
      for result in results {
        let one = try result.get()
        drawn.append(one)
        written(one.heatmap)
      }
      if let radiograph { try sheet?.add(paths[index], radiograph, prediction.probabilities, drawn) }
      progress(index + 1)
    }
    try sheet?.finish()
  }

  private func read(_ path: String) throws(EvaluationError) -> Radiograph {
    do {
      return try Radiograph.read(path)
    } catch {
      throw .cause(error)
    }
  }

  private func labels(of prediction: ImagePrediction) -> [Int] {
    let probabilities = prediction.probabilities
    let selected: [Int] =
      switch options.selection {
      case .top: probabilities.indices.max { probabilities[$0] < probabilities[$1] }.map { [$0] } ?? []
      case .all: Array(probabilities.indices)
      case .named: named
      }
    return selected.filter { probabilities[$0] >= options.minimumProbability }
  }

  /// The name of an image without folders and extension.
  private func stem(_ path: String) -> String {
    (fileName(of: path) as NSString).deletingPathExtension
  }
}
