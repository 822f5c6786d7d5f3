import Foundation
import Platform

/// How training images are varied from epoch to epoch.
public enum Augmentation: Equatable, Sendable {
  /// A random part of the image fills the network's square, and half of the images are mirrored: torchvision's
  /// `RandomResizedCrop` (after Szegedy et al., CVPR 2015) and `RandomHorizontalFlip`. `area`: the least and the
  /// largest share of the image that is kept; torchvision's is 0.08 … 1.
  case cropFlip(area: ClosedRange<Double> = 0.08...1)
  /// Half of the images are mirrored.
  case flip
  /// Not varied, but ten views of each image: the corners and the centre, and the same of the mirrored image (torchvision's
  /// `TenCrop`). Each is a sample with the image's labels.
  case tenCrop
  /// The first five of them: the corners and the centre (torchvision's `FiveCrop`).
  case fiveCrop
  case none

  /// What a network is shown of each image: 10 crops, 5, or 1.
  public var viewCount: Int {
    switch self {
    case .tenCrop: 10
    case .fiveCrop: 5
    case .cropFlip, .flip, .none: 1
    }
  }

  /// The aspects, width by height, that a random part can have; their logarithm is uniform.
  static let aspects = 3.0 / 4...4.0 / 3

  /// What happens to one image.
  struct Decision: Equatable {
    /// The part that fills the network's square; nil for the preprocessing's own geometry.
    var box: PixelBox?
    var isMirrored: Bool
  }

  /// Decides for an image of `width` × `height` pixels. Whether it is mirrored is drawn first, so that it does not
  /// depend on the image's size.
  func decide(width: Int, height: Int, random: inout CounterRandom) -> Decision {
    switch self {
    case .tenCrop, .fiveCrop: preconditionFailure("several crops are not one decision")
    case .none:
      return Decision(box: nil, isMirrored: false)
    case .flip:
      return Decision(box: nil, isMirrored: random.uniform() < 0.5)
    case .cropFlip(let area):
      let isMirrored = random.uniform() < 0.5
      return Decision(
        box: Self.randomBox(width: width, height: height, area: area, random: &random), isMirrored: isMirrored)
    }
  }

  /// torchvision's `RandomResizedCrop.get_params`: ten tries, then the largest central part of an allowed aspect.
  static func randomBox(
    width: Int, height: Int, area: ClosedRange<Double>, random: inout CounterRandom
  ) -> PixelBox {
    for _ in 0..<10 {
      let target = Double(width * height) * random.uniform(area.lowerBound, area.upperBound)
      let aspect = exp(random.uniform(log(aspects.lowerBound), log(aspects.upperBound)))
      let w = Int((target * aspect).squareRoot().rounded(.toNearestOrEven))
      let h = Int((target / aspect).squareRoot().rounded(.toNearestOrEven))
      if w > 0, w <= width, h > 0, h <= height {
        let y = random.below(height - h + 1)
        let x = random.below(width - w + 1)
        return PixelBox(x: x, y: y, width: w, height: h)
      }
    }
    return centralBox(width: width, height: height)
  }

  /// The largest central part whose aspect is allowed.
  static func centralBox(width: Int, height: Int) -> PixelBox {
    let aspect = Double(width) / Double(height)
    var (w, h) = (width, height)
    if aspect < aspects.lowerBound {
      h = Int((Double(w) / aspects.lowerBound).rounded(.toNearestOrEven))
    } else if aspect > aspects.upperBound {
      w = Int((Double(h) * aspects.upperBound).rounded(.toNearestOrEven))
    }
    // An image of one pixel by a hundred keeps at least that pixel.
    (w, h) = (max(w, 1), max(h, 1))
    return PixelBox(x: (width - w) / 2, y: (height - h) / 2, width: w, height: h)
  }
}
