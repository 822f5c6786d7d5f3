/// The pixels of one image on their way into a network: bytes as long as they can be, for the network's first layer is the
/// first to need more.
public enum ImagePixels: Equatable, Sendable {
  /// Channel, row, column: of one channel, gray, which every channel of the network is given, or of all.
  case bytes([UInt8])
  /// A part of such bytes, which several images may share.
  case window(ImageWindow)
  /// Channel, row, column: normalized values of all channels.
  case values([Float])
}

/// A part of an image, as it is or mirrored.
public struct ImageWindow: Equatable, Sendable {
  /// Channel, row, column of the whole image, of one channel or of all.
  public let bytes: [UInt8]
  /// Of the whole image.
  public let width: Int
  public let height: Int
  /// Where the part begins.
  public let left: Int
  public let top: Int
  /// Whether its rows run from right to left.
  public let isMirrored: Bool

  public init(bytes: [UInt8], width: Int, height: Int, left: Int = 0, top: Int = 0, isMirrored: Bool = false) {
    precondition(width > 0 && height > 0 && bytes.count % (width * height) == 0 && left >= 0 && top >= 0)
    self.bytes = bytes
    (self.width, self.height, self.left, self.top, self.isMirrored) = (width, height, left, top, isMirrored)
  }

  /// Of the whole image.
  public var channels: Int { bytes.count / (width * height) }

  /// The part of `height` × `width`, by itself: channel, row, column.
  public func cut(height: Int, width: Int) -> [UInt8] {
    precondition(top + height <= self.height && left + width <= self.width, "the part leaves the image")
    return (0..<channels * height).flatMap { row in
      let start = ((row / height) * self.height + top + row % height) * self.width + left
      let line = bytes[start..<start + width]
      return isMirrored ? Array(line.reversed()) : Array(line)
    }
  }
}

/// What the 256 values of a pixel stand for: (value / 255 − mean) / deviation, in `Float`, in the order of torchvision's
/// `ToTensor` and `Normalize`, and therefore with their bits.
public struct PixelTables: Equatable, Sendable {
  /// The 256 results of each channel.
  public let tables: [[Float]]

  /// `mean`, `deviation`: per channel, of values in 0 … 1.
  public init(mean: [Float], deviation: [Float]) {
    precondition(mean.count == deviation.count)
    tables = zip(mean, deviation).map { mean, deviation in
      (0..<256).map { (Float($0) / 255 - mean) / deviation }
    }
  }

  public var channels: Int { tables.count }

  /// The values that `pixels`, an image of `height` × `width`, stand for: channel, row, column. Overwrites all of `planes`, which is of all
  /// channels.
  public func write(
    _ pixels: ImagePixels, height: Int, width: Int, into planes: UnsafeMutableBufferPointer<Float>
  ) {
    switch pixels {
    case .values(let values):
      precondition(values.count == planes.count, "\(values.count) values for \(planes.count)")
      _ = planes.update(fromContentsOf: values)
    case .window(let window):
      write(.bytes(window.cut(height: height, width: width)), height: height, width: width, into: planes)
    case .bytes(let bytes):
      let size = planes.count / channels
      precondition(size * channels == planes.count && (bytes.count == size || bytes.count == planes.count))
      bytes.withUnsafeBufferPointer { bytes in
        for (channel, table) in tables.enumerated() {
          let source =
            bytes.count == size ? bytes : UnsafeBufferPointer(rebasing: bytes[channel * size..<(channel + 1) * size])
          let plane = UnsafeMutableBufferPointer(rebasing: planes[channel * size..<(channel + 1) * size])
          table.withUnsafeBufferPointer { table in
            guard let source = source.baseAddress, let plane = plane.baseAddress, let table = table.baseAddress else {
              return
            }
            for index in 0..<size { plane[index] = table[Int(source[index])] }
          }
        }
      }
    }
  }

  /// The same, in memory of its own.
  public func values(_ pixels: ImagePixels, height: Int, width: Int) -> [Float] {
    let count = channels * height * width
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      let planes = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      write(pixels, height: height, width: width, into: planes)
      initialized = count
    }
  }
}
