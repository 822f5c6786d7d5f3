import Tensors

/// 8-bit pixels as the numbers that a network was trained on: (value / 255 − mean) / deviation, in `Float`, in the
/// order of torchvision's `ToTensor` and `Normalize`, and therefore with their bits.
struct Normalization: Sendable {
  /// The 256 possible results of each channel.
  let tables: [[Float]]

  init(mean: [Float], deviation: [Float]) {
    precondition(mean.count == deviation.count)
    tables = zip(mean, deviation).map { mean, deviation in
      (0..<256).map { (Float($0) / 255 - mean) / deviation }
    }
  }

  var channels: Int { tables.count }

  /// Writes a `width` × `height` part of `image`, from (`left`, `top`), into `planes`: channel, row, column.
  ///
  /// Pixels outside of the image are black, as those of torchvision's `CenterCrop`. A gray image is repeated over all
  /// channels. Overwrites `planes`, `channels · height · width` values.
  func write(
    _ image: Radiograph, left: Int, top: Int, width: Int, height: Int,
    into planes: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(planes.count == channels * width * height && (image.channels == 1 || image.channels == channels))
    let columns = max(0, -left)..<max(max(0, -left), min(width, image.width - left))
    for (channel, table) in tables.enumerated() {
      let source = image.channels == 1 ? 0 : channel
      for y in 0..<height {
        let row = UnsafeMutableBufferPointer(
          rebasing: planes[(channel * height + y) * width..<(channel * height + y + 1) * width])
        let imageY = top + y
        if imageY < 0 || imageY >= image.height {
          row.update(repeating: table[0])
          continue
        }
        for x in 0..<columns.lowerBound { row[x] = table[0] }
        for x in columns {
          let value = image.pixels[(imageY * image.width + left + x) * image.channels + source]
          row[x] = table[Int(value)]
        }
        for x in columns.upperBound..<width { row[x] = table[0] }
      }
    }
  }
}
