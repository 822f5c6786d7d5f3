import Checkpoints
import ChestXray
import Engine
import Platform

/// Draws and writes the maps of one radiograph, one finding a call, from any thread.
struct HeatmapDrawing: Sendable {
  /// What became of a finding.
  struct Drawn: Sendable {
    let heatmap: Heatmap
    /// Its colours over the radiograph; nil where nobody asked.
    let overlay: Radiograph?
  }

  /// The radiograph.
  let path: String
  /// The files' names but for the finding and the extension.
  let base: String
  let prediction: ImagePrediction
  /// Nil where it is not drawn over.
  let radiograph: Radiograph?
  let checkpoint: Checkpoint
  let featureShape: FeatureShape
  let options: HeatmapWriter.Options

  /// Writes the pictures of class `label`, and the numbers beside them.
  ///
  /// Throws `inconsistentMap`, before anything is written; `cause` for what cannot be written.
  func draw(_ label: Int) throws(EvaluationError) -> Drawn {
    let finding = checkpoint.metadata.classes[label]
    let maps = try prediction.maps(of: label, checkpoint, featureShape, image: path)
    let view = prediction.crops[0].view
    let windows = prediction.crops.map(\.view.window)
    let inner = maps.map { $0.interior(options.maskedBorder) }
    func field(_ windows: [CropWindow], _ width: Int, _ height: Int) -> ActivationField {
      let inset = zip(windows, maps).map { $0.inset(options.maskedBorder, columns: $1.width, rows: $1.height) }
      return ActivationField(inner, windows: inset, width: width, height: height)
    }

    let original = field(windows, view.width, view.height)
    let shown: ActivationField
    switch options.size {
    case .original: shown = original
    case .input:
      let side = checkpoint.metadata.preprocessing.imageSize
      shown = field([.whole(width: side, height: side)], side, side)
    case .map: shown = field([.whole(width: maps[0].width, height: maps[0].height)], maps[0].width, maps[0].height)
    }
    let picture = HeatmapImage(shown, bias: maps[0].bias, scale: options.scale, depth: options.depth)
    let overlay = radiograph.map { radiograph in
      let isSame = options.size == .original && options.depth == 8
      let heat = isSame ? picture : HeatmapImage(original, bias: maps[0].bias, scale: options.scale, depth: 8)
      return HeatmapOverlay.draw(heat, over: radiograph)
    }
    let name = base + "." + fileNamePart(finding)
    let heatmap = heatmap(label, maps, around(windows), original, path: name)
    do {
      try AtomicFile.write(picture.pgm, to: heatmap.path, overwriting: options.overwriting)
      if let overlay, let path = heatmap.overlayPath {
        try AtomicFile.write(try overlay.png(path: path), to: path, overwriting: options.overwriting)
      }
      try AtomicFile.write(
        heatmap.json.text(pretty: true) + "\n", to: name + ".json", overwriting: options.overwriting)
    } catch {
      throw .cause(error)
    }
    return Drawn(heatmap: heatmap, overlay: overlay)
  }

  private func heatmap(
    _ label: Int, _ maps: [ClassActivationMap], _ window: CropWindow, _ field: ActivationField, path name: String
  ) -> Heatmap {
    // A cell in pixels of the radiograph.
    let seen = prediction.crops[0].view.window
    let (width, height) = (seen.width / Double(maps[0].width), seen.height / Double(maps[0].height))
    let peak = field.peak
    let isOnBorder =
      peak.x < window.x + width || peak.x > window.x + window.width - width || peak.y < window.y + height
      || peak.y > window.y + window.height - height
    let inside = max(1 - 2 * width / window.width, 0) * max(1 - 2 * height / window.height, 0)
    return Heatmap(
      image: path, finding: checkpoint.metadata.classes[label], probability: prediction.probabilities[label],
      logit: prediction.logits?[label], bias: maps[0].bias,
      field: field, crops: maps.count, maskedBorder: options.maskedBorder, window: window,
      isPeakOnBorder: isOnBorder,
      borderShare: 1 - inside, path: name + ".pgm", overlayPath: options.drawsOverlays ? name + ".overlay.png" : nil)
  }

  /// The rectangle around all of `windows`.
  private func around(_ windows: [CropWindow]) -> CropWindow {
    let (left, top) = (windows.map(\.x).min() ?? 0, windows.map(\.y).min() ?? 0)
    let (right, bottom) = (
      windows.map { $0.x + $0.width }.max() ?? 0, windows.map { $0.y + $0.height }.max() ?? 0
    )
    return CropWindow(x: left, y: top, width: right - left, height: bottom - top)
  }

  /// A class's name as part of a file's: whatever is no letter, digit, `_` or `-` becomes `_`.
  private func fileNamePart(_ finding: String) -> String {
    String(finding.map { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" ? $0 : "_" })
  }
}

extension ImagePrediction {
  /// The class activation maps of class `label` in each crop, whose features were kept.
  ///
  /// Throws `inconsistentMap` where one is not the logit's.
  func maps(
    of label: Int, _ checkpoint: Checkpoint, _ shape: FeatureShape, image: String
  ) throws(EvaluationError) -> [ClassActivationMap] {
    try crops.map { (crop) throws(EvaluationError) in
      let map = ClassActivationMap(
        features: crop.features, shape: shape, weights: checkpoint.weights, index: label, logit: crop.logits[label])
      guard map.isConsistent else {
        throw .inconsistentMap(
          image: image, finding: checkpoint.metadata.classes[label], discrepancy: map.discrepancy)
      }
      return map
    }
  }
}

extension ClassActivationMap {
  /// This map without its outermost `border` cells.
  func interior(_ border: Int) -> ClassActivationMap {
    if border == 0 { return self }
    precondition(2 * border < min(width, height))
    let rows = border..<height - border
    let values = rows.flatMap { self.values[$0 * width + border..<($0 + 1) * width - border] }
    return ClassActivationMap(
      height: rows.count, width: width - 2 * border, values: Array(values), bias: bias, logit: logit)
  }
}

extension CropWindow {
  /// All of a picture.
  static func whole(width: Int, height: Int) -> CropWindow {
    CropWindow(x: 0, y: 0, width: Double(width), height: Double(height))
  }

  /// This window without the outermost `border` of its `columns` × `rows` cells.
  func inset(_ border: Int, columns: Int, rows: Int) -> CropWindow {
    if border == 0 { return self }
    let (across, down) = (width / Double(columns) * Double(border), height / Double(rows) * Double(border))
    return CropWindow(
      x: x + across, y: y + down, width: width - 2 * across, height: height - 2 * down, isMirrored: isMirrored)
  }
}
