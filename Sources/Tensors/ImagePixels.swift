/// The pixels of one image on their way into a network: bytes as long as they can be, for the network's first layer is the
/// first to need more.
public enum ImagePixels: Equatable, Sendable {
  /// Channel, row, column: of one channel, gray, which every channel of the network is given, or of all.
  case bytes([UInt8])
  /// Channel, row, column: normalized values of all channels.
  case values([Float])
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

  /// The values that `pixels` stand for: channel, row, column. Overwrites all of `planes`, which is of all channels.
  public func write(_ pixels: ImagePixels, into planes: UnsafeMutableBufferPointer<Float>) {
    switch pixels {
    case .values(let values):
      precondition(values.count == planes.count, "\(values.count) values for \(planes.count)")
      _ = planes.update(fromContentsOf: values)
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

  /// The same, in memory of its own. `count`: of the values, channels · height · width.
  public func values(_ pixels: ImagePixels, count: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      let planes = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      write(pixels, into: planes)
      initialized = count
    }
  }
}
