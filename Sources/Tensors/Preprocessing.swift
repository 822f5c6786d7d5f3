/// How a decoded radiograph becomes the numbers that a network was trained on. It travels with the weights.
///
/// Pixels are divided by 255, and the channel's mean is subtracted and its deviation divided out. Gray is repeated over
/// three channels. Resizing is Pillow's antialiased bilinear on 8-bit values, before that, but for `squareResize`.
public struct Preprocessing: Equatable, Sendable {
  public enum Geometry: Equatable, Sendable {
    /// The short side to `resize` pixels, the aspect kept; then the central `crop` × `crop`.
    case centerCrop(resize: Int, crop: Int)
    /// Both sides to `size` pixels, the aspect not kept.
    case resize(size: Int)
    /// The central square, to `size` × `size` as scikit-image resizes it: a Gaussian against aliasing, then linear
    /// interpolation, of normalized values that are never rounded to 8 bits.
    case squareResize(size: Int)
  }

  public var geometry: Geometry
  /// Per channel, of values in 0 … 1.
  public var mean: [Float]
  /// Per channel, of values in 0 … 1.
  public var deviation: [Float]

  public init(geometry: Geometry, mean: [Float], deviation: [Float]) {
    precondition(mean.count == deviation.count)
    self.geometry = geometry
    self.mean = mean
    self.deviation = deviation
  }

  /// The side of the square that the network is given, in pixels.
  public var imageSize: Int {
    switch geometry {
    case .centerCrop(_, let crop): crop
    case .resize(let size), .squareResize(let size): size
    }
  }

  public var channels: Int { mean.count }

  /// The same for a network input of `size` pixels: the share that a central crop takes of the image stays.
  public func scaled(to size: Int) -> Preprocessing {
    var scaled = self
    switch geometry {
    case .centerCrop(let resize, let crop):
      scaled.geometry = .centerCrop(resize: (size * resize + crop / 2) / crop, crop: size)
    case .resize: scaled.geometry = .resize(size: size)
    case .squareResize: scaled.geometry = .squareResize(size: size)
    }
    return scaled
  }

  /// The same for a network of `channels` input channels: nil where none is the same.
  ///
  /// The numbers of one channel serve several, which are all given the gray image. The other way it takes channels that
  /// agree. ImageNet's do not: they make three different pictures out of a gray one, and what a network of one channel
  /// was given in their place (a mean of 0.5, the mean of the means, of the training set) its weights do not say.
  public func withChannels(_ channels: Int) -> Preprocessing? {
    if channels == self.channels { return self }
    guard let first = mean.first, let deviation = deviation.first, mean.allSatisfy({ $0 == first }),
      self.deviation.allSatisfy({ $0 == deviation })
    else { return nil }
    return Preprocessing(
      geometry: geometry, mean: [Float](repeating: first, count: channels),
      deviation: [Float](repeating: deviation, count: channels))
  }

  /// torchxrayvision's pipeline (1.5: `normalize`, `XRayCenterCrop`, `XRayResizer` with scikit-image): one channel,
  /// values −1024 … 1024. (x / 255 − ½) · 2048 has the bits of its (2 · (x / 255) − 1) · 1024: doubling, and dividing by
  /// a power of two, round nothing.
  public static func torchXRayVision(imageSize: Int = 224) -> Preprocessing {
    Preprocessing(geometry: .squareResize(size: imageSize), mean: [0.5], deviation: [1 / 2048])
  }

  /// torchvision's evaluation transform for ImageNet weights, scaled to `imageSize`: Resize(256·s/224), CenterCrop(s).
  public static func imageNet(imageSize: Int = 224) -> Preprocessing {
    Preprocessing(
      geometry: .centerCrop(resize: (imageSize * 256 + 112) / 224, crop: imageSize), mean: imageNetMean,
      deviation: imageNetDeviation)
  }

  /// The means and deviations of ImageNet's red, green and blue (torchvision, `ImageClassification` presets).
  public static let imageNetMean: [Float] = [0.485, 0.456, 0.406]
  public static let imageNetDeviation: [Float] = [0.229, 0.224, 0.225]
}
