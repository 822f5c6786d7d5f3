import Tensors

/// How images come into a data set.
public struct ImageSource: Sendable {
  /// Images are scaled down to this short side before anything else, where theirs is longer; nil: never. Decides what a network sees,
  /// whether or not it is kept.
  public var shortSide: Int?
  /// Where what was made of an image is kept.
  public var cache: RadiographCache?

  public init(shortSide: Int? = nil, cache: RadiographCache? = nil) {
    self.shortSide = shortSide
    self.cache = cache
  }

  /// The image at `path`, scaled down. Errors: those of `Radiograph.read`.
  func radiograph(at path: String) throws(ChestXrayError) -> Radiograph {
    guard let shortSide else { return try Radiograph.read(path) }
    func make() throws(ChestXrayError) -> RadiographCache.Record {
      let image = try Radiograph.read(path).withoutEqualChannels
      let scaled = image.scaledDown(shortSide: shortSide)
      return RadiographCache.Record(
        originalWidth: image.width, originalHeight: image.height, width: scaled.width, height: scaled.height,
        channels: scaled.channels, pixels: scaled.pixels)
    }
    let record: RadiographCache.Record
    if let cache {
      record = try cache.record(.scaled(shortSide: shortSide), of: path, make: make)
    } else {
      record = try make()
    }
    return Radiograph(width: record.width, height: record.height, channels: record.channels, pixels: record.pixels)
  }

  /// What `preparation` makes of the image at `path` for evaluation. Errors: those of `Radiograph.read`.
  func prepared(at path: String, _ preparation: ImagePreparation) throws(ChestXrayError) -> (PreparedImage, ImageView) {
    func view(_ image: PreparedImage, _ width: Int, _ height: Int) -> (PreparedImage, ImageView) {
      (image, ImageView(width: width, height: height, window: image.window))
    }
    let geometry = preparation.preprocessing.geometry
    // torchxrayvision's values are no bytes.
    if case .squareResize = geometry { return try read() }
    guard let cache else { return try read() }
    func read() throws(ChestXrayError) -> (PreparedImage, ImageView) {
      let image = try radiograph(at: path)
      return view(preparation.prepare(image), image.width, image.height)
    }
    let size = preparation.size
    let record = try cache.record(
      .prepared(geometry, channels: preparation.preprocessing.channels), of: path
    ) { () throws(ChestXrayError) in
      let image = try Radiograph.read(path).withoutEqualChannels
      guard case .bytes(let planes) = preparation.prepare(image).pixels else {
        preconditionFailure("only torchxrayvision's geometry makes values")
      }
      return RadiographCache.Record(
        originalWidth: image.width, originalHeight: image.height, width: size, height: size,
        channels: planes.count / (size * size), pixels: planes)
    }
    let window = preparation.window(width: record.originalWidth, height: record.originalHeight)
    return view(
      PreparedImage(pixels: .bytes(record.pixels), window: window), record.originalWidth, record.originalHeight)
  }
}

extension Radiograph {
  /// This image with one channel where its three are the same, as some gray files have them.
  var withoutEqualChannels: Radiograph {
    guard channels == 3 else { return self }
    let isGray = pixels.withUnsafeBufferPointer { pixels in
      stride(from: 0, to: pixels.count, by: 3).allSatisfy {
        pixels[$0] == pixels[$0 + 1] && pixels[$0] == pixels[$0 + 2]
      }
    }
    guard isGray else { return self }
    return Radiograph(
      width: width, height: height, channels: 1, pixels: (0..<width * height).map { pixels[3 * $0] })
  }

  /// This image with its short side scaled down to `shortSide` pixels, as torchvision's `Resize`; itself where it is no longer.
  public func scaledDown(shortSide: Int) -> Radiograph {
    guard min(width, height) > shortSide else { return self }
    let (width, height) = ImagePreparation.resizedSides(width: width, height: height, short: shortSide)
    let whole = PixelBox(x: 0, y: 0, width: self.width, height: self.height)
    return Resampling.resize(self, box: whole, width: width, height: height)
  }
}
