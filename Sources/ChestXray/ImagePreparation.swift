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
  /// `channels · size · size` values: channel, row, column.
  public var pixels: [Float]
  public var window: CropWindow
}

/// Turns radiographs into a network's input, with the bits that Pillow 13 and torchvision give, or, for a geometry of
/// torchxrayvision's, its values but for the rounding of `Float`.
public struct ImagePreparation: Sendable {
  public let preprocessing: Preprocessing
  private let normalization: Normalization

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
    normalization = Normalization(mean: preprocessing.mean, deviation: preprocessing.deviation)
  }

  /// The side of the square that the network is given, in pixels.
  public var size: Int { preprocessing.imageSize }

  /// The values of one prepared image: `channels · size · size`.
  public var valueCount: Int { preprocessing.channels * size * size }

  /// `radiograph` as the network is given it in evaluation.
  public func prepare(_ radiograph: Radiograph) -> PreparedImage {
    prepare { write(radiograph, Augmentation.Decision(box: nil, isMirrored: false), into: $0) }
  }

  /// `radiograph` as the network is given it in training; `random` decides.
  public func prepare(
    _ radiograph: Radiograph, augmentation: Augmentation, random: inout CounterRandom
  ) -> PreparedImage {
    prepare { write(radiograph, augmentation: augmentation, random: &random, into: $0) }
  }

  private func prepare(_ write: (UnsafeMutableBufferPointer<Float>) -> CropWindow) -> PreparedImage {
    var window = CropWindow(x: 0, y: 0, width: 0, height: 0)
    let pixels = [Float](unsafeUninitializedCapacity: valueCount) { buffer, initialized in
      let planes = UnsafeMutableBufferPointer(rebasing: buffer[..<valueCount])
      planes.initialize(repeating: 0)
      window = write(planes)
      initialized = valueCount
    }
    return PreparedImage(pixels: pixels, window: window)
  }

  /// As `prepare`, into memory of the caller's: `valueCount` initialized values, which are overwritten.
  func write(
    _ radiograph: Radiograph, augmentation: Augmentation, random: inout CounterRandom,
    into planes: UnsafeMutableBufferPointer<Float>
  ) -> CropWindow {
    let decision = augmentation.decide(width: radiograph.width, height: radiograph.height, random: &random)
    return write(radiograph, decision, into: planes)
  }

  private func write(
    _ radiograph: Radiograph, _ decision: Augmentation.Decision, into planes: UnsafeMutableBufferPointer<Float>
  ) -> CropWindow {
    if decision.box == nil, case .squareResize(let size) = preprocessing.geometry {
      return writeSquare(radiograph, size: size, mirrored: decision.isMirrored, into: planes)
    }
    let image = preprocessing.channels == 1 ? radiograph.gray : radiograph
    let whole = PixelBox(x: 0, y: 0, width: image.width, height: image.height)
    let source = decision.box ?? whole
    var (width, height) = (size, size)
    if decision.box == nil, case .centerCrop(let resize, _) = preprocessing.geometry {
      (width, height) = Self.resizedSides(width: image.width, height: image.height, short: resize)
    }
    let left = Self.centerOffset(of: size, in: width)
    let top = Self.centerOffset(of: size, in: height)
    let part = PixelBox(x: max(left, 0), y: max(top, 0), width: min(size, width), height: min(size, height))
    let resized = Resampling.resize(
      image, box: source, width: width, height: height, part: part, mirrored: decision.isMirrored)
    // What is black at the right of a mirrored image was at its left.
    let blackColumns = decision.isMirrored ? size - part.width + min(left, 0) : -min(left, 0)
    normalization.write(resized, left: -blackColumns, top: min(top, 0), width: size, height: size, into: planes)
    // Multiplied before divided: a whole image, or a random part, keeps its whole numbers.
    let across = { (pixels: Int) in Double(pixels * source.width) / Double(width) }
    let down = { (pixels: Int) in Double(pixels * source.height) / Double(height) }
    return CropWindow(
      x: Double(source.x) + across(left), y: Double(source.y) + down(top), width: across(size), height: down(size),
      isMirrored: decision.isMirrored)
  }

  /// The central square, as torchxrayvision prepares it. All channels show the same gray.
  private func writeSquare(
    _ radiograph: Radiograph, size: Int, mirrored: Bool, into planes: UnsafeMutableBufferPointer<Float>
  ) -> CropWindow {
    let box = SquareResampling.centralSquare(width: radiograph.width, height: radiograph.height)
    let tables = normalization.tables
    for (channel, table) in tables.enumerated() {
      let plane = UnsafeMutableBufferPointer(rebasing: planes[channel * size * size..<(channel + 1) * size * size])
      if channel > 0, table == tables[0] {
        _ = plane.update(fromContentsOf: planes[..<(size * size)])
      } else {
        SquareResampling.resize(radiograph, box: box, size: size, values: table, mirrored: mirrored, into: plane)
      }
    }
    return CropWindow(
      x: Double(box.x), y: Double(box.y), width: Double(box.width), height: Double(box.height), isMirrored: mirrored)
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
