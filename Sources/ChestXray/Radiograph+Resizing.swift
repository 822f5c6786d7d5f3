import Platform

extension Radiograph {
  /// This image resized, with the bits of Pillow 13's `resize((width, height), BILINEAR)`.
  ///
  /// `width` and `height`: 1 to `largestSide`.
  public func resized(width: Int, height: Int) -> Radiograph {
    Resampling.resize(self, box: wholeBox, width: width, height: height)
  }

  /// A random part of this image as a square of a side of `size` pixels, and one of two mirrored, as `Augmentation.cropFlip` decides: with
  /// the bits of Pillow 13 for that part.
  public func randomCrop(size: Int, augmentation: Augmentation = .cropFlip(), random: inout CounterRandom) -> Radiograph
  {
    let decision = augmentation.decide(width: width, height: height, random: &random)
    return Resampling.resize(
      self, box: decision.box ?? wholeBox, width: size, height: size, mirrored: decision.isMirrored)
  }

  private var wholeBox: PixelBox { PixelBox(x: 0, y: 0, width: width, height: height) }
}
