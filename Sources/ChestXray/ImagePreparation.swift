import Platform
import Tensors

/// The part of an original image that a network was shown, in the image's own pixels, from its upper left corner.
///
/// A network's input pixel (column, row) of a side S covers the image from x + column · width / S, y + row · height /
/// S. A window can reach beyond the image where a crop is larger than the resized image.
public struct CropWindow: Equatable, Sendable {
  public var x: Double
  public var y: Double
  public var width: Double
  public var height: Double
  /// Whether the network saw the window mirrored, left for right.
  public var isMirrored: Bool

  public init(x: Double, y: Double, width: Double, height: Double, isMirrored: Bool = false) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
    self.isMirrored = isMirrored
  }
}

/// A radiograph's own size, and what of it a network was shown.
public struct ImageView: Equatable, Sendable {
  /// Pixels.
  public var width: Int
  /// Pixels.
  public var height: Int
  public var window: CropWindow

  public init(width: Int, height: Int, window: CropWindow) {
    self.width = width
    self.height = height
    self.window = window
  }
}

/// One image as a network takes it.
public struct PreparedImage: Equatable, Sendable {
  /// Channel, row, column; rows and columns are `size`.
  public var pixels: ImagePixels
  public var window: CropWindow
}

/// Turns radiographs into a network's input, with the bits that Pillow 13 and torchvision give, or, for a geometry of
/// torchxrayvision's, its values but for the rounding of `Float`.
public struct ImagePreparation: Sendable {
  public let preprocessing: Preprocessing
  /// What bytes of prepared images stand for.
  public let tables: PixelTables

  /// Errors: `preprocessing`, where a checkpoint's numbers fit no image.
  public init(_ preprocessing: Preprocessing) throws(ChestXrayError) {
    guard preprocessing.channels == 1 || preprocessing.channels == 3 else {
      throw .preprocessing(reason: "expected 1 or 3 channels, found \(preprocessing.channels)")
    }
    let sides: [Int] =
      switch preprocessing.geometry {
      case .centerCrop(let resize, let crop): [resize, crop]
      case .resize(let size), .squareResize(let size): [size]
      }
    for side in sides where side < 1 || side > Radiograph.largestSide {
      throw .preprocessing(reason: "expected sides of 1 to \(Radiograph.largestSide) pixels, found \(side)")
    }
    for value in preprocessing.mean + preprocessing.deviation where !value.isFinite {
      throw .preprocessing(reason: "expected finite means and deviations, found \(value)")
    }
    if preprocessing.deviation.contains(0) { throw .preprocessing(reason: "a deviation is 0") }
    self.preprocessing = preprocessing
    tables = PixelTables(mean: preprocessing.mean, deviation: preprocessing.deviation)
  }

  /// The side of the square that the network is given, in pixels.
  public var size: Int { preprocessing.imageSize }

  /// The values of one prepared image: `channels · size · size`.
  public var valueCount: Int { preprocessing.channels * size * size }

  /// `radiograph` as the network is given it in evaluation.
  public func prepare(_ radiograph: Radiograph) -> PreparedImage {
    prepare(radiograph, Augmentation.Decision(box: nil, isMirrored: false))
  }

  /// `radiograph` as the network is given it in training; `random` decides.
  public func prepare(
    _ radiograph: Radiograph, augmentation: Augmentation, random: inout CounterRandom
  ) -> PreparedImage {
    prepare(
      radiograph, augmentation.decide(width: radiograph.width, height: radiograph.height, random: &random))
  }

  /// The values of `image`, which this prepared, as the network's first layer makes them: `valueCount`, channel, row, column.
  public func values(_ image: PreparedImage) -> [Float] {
    tables.values(image.pixels, height: size, width: size)
  }

  private func prepare(_ radiograph: Radiograph, _ decision: Augmentation.Decision) -> PreparedImage {
    let cut = cut(width: radiograph.width, height: radiograph.height, decision)
    if decision.box == nil, case .squareResize = preprocessing.geometry {
      return PreparedImage(pixels: .values(square(radiograph, cut)), window: cut.window)
    }
    let image = preprocessing.channels == 1 ? radiograph.gray : radiograph
    let part = PixelBox(
      x: max(cut.left, 0), y: max(cut.top, 0), width: min(size, cut.width), height: min(size, cut.height))
    let resized = Resampling.resize(
      image, box: cut.source, width: cut.width, height: cut.height, part: part, mirrored: cut.isMirrored)
    // What is black at the right of a mirrored image was at its left.
    let blackColumns = cut.isMirrored ? size - part.width + min(cut.left, 0) : -min(cut.left, 0)
    let planes = resized.planes(left: -blackColumns, top: min(cut.top, 0), width: size, height: size)
    return PreparedImage(pixels: .bytes(planes), window: cut.window)
  }

  /// What a network is shown in evaluation of an image of `width` × `height` pixels.
  func window(width: Int, height: Int) -> CropWindow {
    cut(width: width, height: height, Augmentation.Decision(box: nil, isMirrored: false)).window
  }

  /// How an image is cut: `source` of it is resized to `width` × `height`, and the square from (`left`, `top`) of that is shown.
  private struct Cut {
    var source: PixelBox
    var width: Int
    var height: Int
    var left = 0
    var top = 0
    var size: Int
    var isMirrored: Bool

    /// Multiplied before divided: a whole image, or a random part, keeps its whole numbers.
    var window: CropWindow {
      func across(_ pixels: Int) -> Double { Double(pixels * source.width) / Double(width) }
      func down(_ pixels: Int) -> Double { Double(pixels * source.height) / Double(height) }
      return CropWindow(
        x: Double(source.x) + across(left), y: Double(source.y) + down(top), width: across(size), height: down(size),
        isMirrored: isMirrored)
    }
  }

  private func cut(width: Int, height: Int, _ decision: Augmentation.Decision) -> Cut {
    let whole = PixelBox(x: 0, y: 0, width: width, height: height)
    var cut = Cut(
      source: decision.box ?? whole, width: size, height: size, size: size, isMirrored: decision.isMirrored)
    if decision.box != nil { return cut }
    switch preprocessing.geometry {
    case .resize: break
    case .squareResize: cut.source = SquareResampling.centralSquare(width: width, height: height)
    case .centerCrop(let resize, _):
      (cut.width, cut.height) = Self.resizedSides(width: width, height: height, short: resize)
      cut.left = Self.centerOffset(of: size, in: cut.width)
      cut.top = Self.centerOffset(of: size, in: cut.height)
    }
    return cut
  }

  /// The central square, as torchxrayvision prepares it: `valueCount` values. All channels show the same gray.
  private func square(_ radiograph: Radiograph, _ cut: Cut) -> [Float] {
    let tables = tables.tables
    return [Float](unsafeUninitializedCapacity: valueCount) { planes, count in
      planes.initialize(repeating: 0)
      for (channel, table) in tables.enumerated() {
        let plane = UnsafeMutableBufferPointer(rebasing: planes[channel * size * size..<(channel + 1) * size * size])
        if channel > 0, table == tables[0] {
          _ = plane.update(fromContentsOf: planes[..<(size * size)])
        } else {
          SquareResampling.resize(
            radiograph, box: cut.source, size: size, values: table, mirrored: cut.isMirrored, into: plane)
        }
      }
      count = valueCount
    }
  }

  /// The sides that torchvision's `Resize(short)` gives an image: the long one is cut, not rounded.
  static func resizedSides(width: Int, height: Int, short: Int) -> (width: Int, height: Int) {
    let long = Int(Double(short * max(width, height)) / Double(min(width, height)))
    return width <= height ? (short, long) : (long, short)
  }

  /// Where torchvision's `CenterCrop(crop)` begins in a side: halves go to the even pixel, as Python rounds; negative
  /// where the crop is larger and black is added, the smaller half of it first.
  static func centerOffset(of crop: Int, in side: Int) -> Int {
    if crop > side { return -((crop - side) / 2) }
    return Int((Double(side - crop) / 2).rounded(.toNearestOrEven))
  }
}
