/// How a decoded radiograph becomes the numbers that a network was trained on. It travels with the weights.
///
/// Resizing is Pillow's antialiased bilinear on 8-bit values; pixels are then divided by 255, and the channel's mean is
/// subtracted and its deviation divided out. Gray is repeated over three channels.
public struct Preprocessing: Equatable, Sendable {
  public enum Geometry: Equatable, Sendable {
    /// The short side to `resize` pixels, the aspect kept; then the central `crop` × `crop`.
    case centerCrop(resize: Int, crop: Int)
    /// Both sides to `size` pixels, the aspect not kept.
    case resize(size: Int)
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
    case .resize(let size): size
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
    }
    return scaled
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
