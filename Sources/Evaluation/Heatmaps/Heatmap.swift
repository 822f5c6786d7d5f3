import ChestXray
import Platform

/// One class activation map that was written.
public struct Heatmap: Sendable {
  /// The radiograph.
  public let image: String
  public let finding: String
  /// Of the finding, 0 … 1; the mean of the crops'.
  public let probability: Double
  /// Nil where the radiograph was shown in several crops, which have one each.
  public let logit: Float?
  /// The classifier's, of this finding.
  public let bias: Float
  /// The map in the radiograph's own pixels, without what is masked.
  public let field: ActivationField
  public let crops: Int
  /// How many of the outermost cells of each crop's map are left out.
  public let maskedBorder: Int
  /// What the network saw, in pixels of the radiograph: the rectangle around all crops.
  public let window: CropWindow
  /// Whether the peak is in an outermost cell of what the network saw; these are a share `borderShare` of it, 0 … 1.
  public let isPeakOnBorder: Bool
  public let borderShare: Double
  /// Where the picture is.
  public let path: String
  /// Where its colours over the radiograph are, if they were asked for.
  public let overlayPath: String?

  /// Where the activation is largest, in pixels of the radiograph: the centre of the largest cell, or, of several crops, of the largest pixel.
  public var peak: (x: Double, y: Double) { field.peak }

  /// What stands beside the picture. The smallest and largest activation are without the bias, and without what is masked.
  public var json: JSONValue {
    [
      "image": .string(image), "finding": .string(finding), "probability": JSONValue(probability),
      "logit": JSONValue(logit), "bias": JSONValue(bias), "minimum": JSONValue(field.minimum),
      "maximum": JSONValue(field.maximum), "crops": JSONValue(crops), "masked_border": JSONValue(maskedBorder),
      "crop_window": [
        "x": JSONValue(window.x), "y": JSONValue(window.y), "width": JSONValue(window.width),
        "height": JSONValue(window.height),
      ],
      "peak": ["x": JSONValue(peak.x), "y": JSONValue(peak.y)], "file": .string(path),
      "overlay": JSONValue(overlayPath),
    ]
  }
}

/// How many peaks lie at the border of what the network saw: burned-in markers and black borders draw them there.
public struct BorderPeaks: Sendable {
  private var maps = 0
  private var onBorder = 0
  private var borderShare = 0.0

  public init() {}

  public mutating func add(_ heatmap: Heatmap) {
    // Where the border is masked no peak can lie on it.
    guard heatmap.maskedBorder == 0 else { return }
    maps += 1
    onBorder += heatmap.isPeakOnBorder ? 1 : 0
    borderShare += heatmap.borderShare
  }

  /// Nil where there are few maps, or not many more peaks on the border than there would be by chance: half of the way from that to all.
  public var warning: String? {
    let byChance = borderShare / Double(max(maps, 1))
    guard maps >= 10, Double(onBorder) / Double(maps) > (1 + byChance) / 2 else { return nil }
    return
      "\(onBorder) of \(maps) peaks lie in the outermost cells of their maps, where \(decimals(100 * byChance, 0)) % would by chance: "
      + "markers or borders of the images may have drawn them. Look at the pictures; --mask-border leaves those cells out"
  }
}
