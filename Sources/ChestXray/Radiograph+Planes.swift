import Tensors

extension Radiograph {
  /// The `width` × `height` part from (`left`, `top`), as planes: channel, row, column.
  ///
  /// Pixels outside of the image are black, as those of torchvision's `CenterCrop`. `mirrored`: columns from right to left.
  func planes(left: Int, top: Int, width: Int, height: Int, mirrored: Bool = false) -> [UInt8] {
    if channels == 1, !mirrored, left == 0, top == 0, width == self.width, height == self.height { return pixels }
    let columns = max(0, -left)..<max(max(0, -left), min(width, self.width - left))
    return [UInt8](unsafeUninitializedCapacity: channels * width * height) { planes, count in
      planes.initialize(repeating: 0)
      pixels.withUnsafeBufferPointer { pixels in
        for channel in 0..<channels {
          for y in max(0, -top)..<max(max(0, -top), min(height, self.height - top)) {
            let row = (channel * height + y) * width
            var source = ((top + y) * self.width + left + columns.lowerBound) * channels + channel
            var target = row + (mirrored ? width - 1 - columns.lowerBound : columns.lowerBound)
            for _ in columns {
              planes[target] = pixels[source]
              source += channels
              target += mirrored ? -1 : 1
            }
          }
        }
      }
      count = channels * width * height
    }
  }
}
