import Tensors

extension ImagePreparation {
  /// Throws `preprocessing` where a radiograph cannot be shown as `augmentation` wants it: several crops are cut out of an image whose short
  /// side was resized, and are no larger than it.
  public func check(_ augmentation: Augmentation) throws(ChestXrayError) {
    guard augmentation.viewCount > 1 else { return }
    guard case .centerCrop(let resize, let crop) = preprocessing.geometry, crop <= resize else {
      throw .preprocessing(
        reason:
          "\(augmentation.viewCount) crops need a preprocessing that resizes the short side and crops no more than that"
      )
    }
  }

  /// The first `count` crops of torchvision's `TenCrop` behind `Resize`, with its bits and in its order: upper left, upper right, lower left,
  /// lower right and centre, which are `FiveCrop`'s, then the same of the mirrored image.
  ///
  /// `check` must have passed.
  func crops(of radiograph: Radiograph, count: Int) -> [PreparedImage] {
    guard case .centerCrop(let resize, _) = preprocessing.geometry else { preconditionFailure("no crops") }
    let image = preprocessing.channels == 1 ? radiograph.gray : radiograph
    let (width, height) = Self.resizedSides(width: image.width, height: image.height, short: resize)
    let whole = PixelBox(x: 0, y: 0, width: image.width, height: image.height)
    var parts: [(box: PixelBox, planes: [UInt8])] = []
    return Self.tenCrops(width: width, height: height, size: size).prefix(count).map { crop in
      // Only the parts are resized: a strip's long side can be far larger than any image that is worth making.
      // A crop and its mirror image share them.
      let planes =
        parts.first { $0.box == crop.box }?.planes
        ?? Resampling.resize(image, box: whole, width: width, height: height, part: crop.box)
        .planes(left: 0, top: 0, width: size, height: size)
      parts.append((crop.box, planes))
      func across(_ pixels: Int) -> Double { Double(pixels * image.width) / Double(width) }
      func down(_ pixels: Int) -> Double { Double(pixels * image.height) / Double(height) }
      let window = CropWindow(
        x: across(crop.box.x), y: down(crop.box.y), width: across(size), height: down(size),
        isMirrored: crop.isMirrored)
      let mirrored = ImageWindow(bytes: planes, width: size, height: size, isMirrored: true)
      return PreparedImage(pixels: crop.isMirrored ? .window(mirrored) : .bytes(planes), window: window)
    }
  }

  /// Where the crops lie in the image that is not mirrored.
  private static func tenCrops(width: Int, height: Int, size: Int) -> [(box: PixelBox, isMirrored: Bool)] {
    let (right, bottom) = (width - size, height - size)
    let corners = [(0, 0), (right, 0), (0, bottom), (right, bottom)]
    let five = corners + [(centerOffset(of: size, in: width), centerOffset(of: size, in: height))]
    return [false, true].flatMap { isMirrored in
      five.map { x, y in
        (PixelBox(x: isMirrored ? right - x : x, y: y, width: size, height: size), isMirrored)
      }
    }
  }
}
