/// A rectangle of whole pixels within an image.
public struct PixelBox: Equatable, Sendable {
  public var x: Int
  public var y: Int
  public var width: Int
  public var height: Int

  public init(x: Int, y: Int, width: Int, height: Int) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }
}

/// Pillow's antialiased bilinear resize of 8-bit pixels, bit for bit (Pillow 13, `Image.resize(size, BILINEAR)`).
///
/// A triangle filter as wide as the reduction, in 22-bit fixed point, one axis after the other with 8-bit pixels between
/// them. The order matters for the bits: Pillow 13 takes the vertical pass first where it drops more rows than twice
/// the columns, else the horizontal one.
///
/// Why nothing is clamped: a pixel has at most 16384 weights (`Radiograph.largestSide`), each rounded by at most ½, so they
/// add up to at most 2²² + 8192, and 255 · (2²² + 8192) + 2²¹ < 256 · 2²²: the result is a byte, and fits in 32 bits.
enum Resampling {
  /// The part `box` of `image`, cut out and then resized: pixels outside of the box have no weight.
  static func resize(_ image: Radiograph, box: PixelBox, width: Int, height: Int) -> Radiograph {
    precondition(
      box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 && box.x + box.width <= image.width
        && box.y + box.height <= image.height && width > 0 && height > 0, "no box \(box) in the image")
    let channels = image.channels
    let columns = Weights(from: box.width, to: width)
    let rows = Weights(from: box.height, to: height)
    let pixels = [UInt8](unsafeUninitializedCapacity: width * height * channels) { output, initialized in
      image.pixels.withUnsafeBufferPointer { input in
        let source = Plane(input, offset: (box.y * image.width + box.x) * channels, stride: image.width * channels)
        resize(
          source, box, into: output, width: width, height: height, channels: channels, columns: columns, rows: rows)
      }
      initialized = width * height * channels
    }
    return Radiograph(width: width, height: height, channels: channels, pixels: pixels)
  }

  /// Whether Pillow 13 takes the vertical pass first.
  static func isVerticalFirst(from box: PixelBox, width: Int, height: Int) -> Bool {
    box.height > height && box.height - height > 2 * (box.width - width)
  }

  private static func resize(
    _ source: Plane, _ box: PixelBox, into output: UnsafeMutableBufferPointer<UInt8>, width: Int, height: Int,
    channels: Int, columns: Weights, rows: Weights
  ) {
    if isVerticalFirst(from: box, width: width, height: height) {
      withBytes(box.width * height * channels) { between in
        vertical(source, rows, into: between, columns: box.width * channels)
        horizontal(
          Plane(UnsafeBufferPointer(between), offset: 0, stride: box.width * channels), columns, into: output,
          rows: height, channels: channels)
      }
    } else {
      withBytes(width * box.height * channels) { between in
        horizontal(source, columns, into: between, rows: box.height, channels: channels)
        vertical(
          Plane(UnsafeBufferPointer(between), offset: 0, stride: width * channels), rows, into: output,
          columns: width * channels)
      }
    }
  }

  /// Resizes each of `rows` rows. Overwrites `output`: rows of `weights.count · channels`.
  private static func horizontal(
    _ input: Plane, _ weights: Weights, into output: UnsafeMutableBufferPointer<UInt8>, rows: Int, channels: Int
  ) {
    guard let output = output.baseAddress else { return }
    weights.values.withUnsafeBufferPointer { values in
      guard let values = values.baseAddress else { return }
      for y in 0..<rows {
        let row = input.row(y)
        var target = output + y * weights.count * channels
        for x in 0..<weights.count {
          let count = weights.counts[x]
          let weight = values + x * weights.width
          let first = row + weights.starts[x] * channels
          for channel in 0..<channels {
            var sum: Int32 = half
            for i in 0..<count { sum &+= Int32(first[i &* channels &+ channel]) &* weight[i] }
            target[channel] = UInt8(truncatingIfNeeded: sum >> fractionBits)
          }
          target += channels
        }
      }
    }
  }

  /// Makes `weights.count` rows. `columns`: bytes in a row, of all channels. Overwrites `output`.
  private static func vertical(
    _ input: Plane, _ weights: Weights, into output: UnsafeMutableBufferPointer<UInt8>, columns: Int
  ) {
    guard let output = output.baseAddress else { return }
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: columns) { buffer in
      guard let sums = buffer.baseAddress else { return }
      for y in 0..<weights.count {
        for x in 0..<columns { sums[x] = half }
        for i in 0..<weights.counts[y] {
          let weight = weights.values[y * weights.width + i]
          let row = input.row(weights.starts[y] + i)
          for x in 0..<columns { sums[x] &+= Int32(row[x]) &* weight }
        }
        let target = output + y * columns
        for x in 0..<columns { target[x] = UInt8(truncatingIfNeeded: sums[x] >> fractionBits) }
      }
    }
  }

  private static func withBytes(_ count: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) -> Void) {
    let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: count)
    defer { buffer.deallocate() }
    body(buffer)
  }
}

/// Bits behind the point of a weight (Pillow's `PRECISION_BITS`: 32 − 8 − 2).
private let fractionBits: Int32 = 22
/// One half, for rounding.
private let half: Int32 = 1 << 21

/// Rows of bytes that belong to someone else.
private struct Plane {
  private let base: UnsafePointer<UInt8>
  private let stride: Int

  init(_ buffer: UnsafeBufferPointer<UInt8>, offset: Int, stride: Int) {
    guard let base = buffer.baseAddress else { preconditionFailure("no pixels") }
    self.base = base + offset
    self.stride = stride
  }

  func row(_ y: Int) -> UnsafePointer<UInt8> { base + y * stride }
}

/// For each output pixel of an axis: the input pixels it is made of, and their weights.
private struct Weights {
  /// Output pixels.
  let count: Int
  /// The room for one output's weights.
  let width: Int
  private(set) var starts: [Int] = []
  private(set) var counts: [Int] = []
  /// `count · width` weights, in units of 2⁻²².
  private(set) var values: [Int32]

  /// The triangle filter from `input` to `output` pixels. Double throughout, in Pillow's order of operations: the last
  /// bit of a weight depends on it.
  init(from input: Int, to output: Int) {
    let scale = Double(input) / Double(output)
    let support = max(scale, 1)
    let inverse = 1 / support
    count = output
    width = Int(support.rounded(.up)) * 2 + 1
    values = [Int32](repeating: 0, count: output * width)
    starts.reserveCapacity(output)
    counts.reserveCapacity(output)
    var shares = [Double](repeating: 0, count: width)
    for x in 0..<output {
      let center = (Double(x) + 0.5) * scale
      // Int(…) cuts towards zero, as C does.
      let start = max(Int(center - support + 0.5), 0)
      let end = min(Int(center + support + 0.5), input)
      var sum = 0.0
      for i in start..<end {
        let share = max(1 - abs((Double(i) - center + 0.5) * inverse), 0)
        shares[i - start] = share
        sum += share
      }
      for i in 0..<end - start {
        let share = sum == 0 ? shares[i] : shares[i] / sum
        values[x * width + i] = Int32(0.5 + share * Double(1 << fractionBits))
      }
      starts.append(start)
      counts.append(end - start)
    }
  }
}
