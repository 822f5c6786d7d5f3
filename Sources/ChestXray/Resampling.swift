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

  /// Whether it has pixels, and all of them in an image of this size.
  func isWithin(width: Int, height: Int) -> Bool {
    x >= 0 && y >= 0 && self.width > 0 && self.height > 0 && x + self.width <= width && y + self.height <= height
  }
}

/// Pillow's antialiased bilinear resize of 8-bit pixels, bit for bit (Pillow 13, `Image.resize(size, BILINEAR)`).
///
/// A triangle filter as wide as the reduction, in 22-bit fixed point, one axis after the other with 8-bit pixels
/// between them. The order matters for the bits: Pillow 13 takes the vertical pass first where it drops more rows than
/// twice the columns, else the horizontal one.
///
/// Why nothing is clamped: a pixel has at most 16384 weights (`Radiograph.largestSide`), each rounded by at most ½, so
/// they add up to at most 2²² + 8192, and 255 · (2²² + 8192) + 2²¹ < 256 · 2²²: the result is a byte, and fits in 32
/// bits.
enum Resampling {
  /// The part `box` of `image`, cut out and then resized to `width` × `height`: pixels outside of the box have no
  /// weight.
  ///
  /// `part`: the part of the result that is wanted, and all that is computed; nil for the whole. The long side of a
  /// resized strip can be far larger than any image that is worth making.
  static func resize(
    _ image: Radiograph, box: PixelBox, width: Int, height: Int, part: PixelBox? = nil
  ) -> Radiograph {
    let part = part ?? PixelBox(x: 0, y: 0, width: width, height: height)
    precondition(box.isWithin(width: image.width, height: image.height), "no box \(box) in the image")
    precondition(part.isWithin(width: width, height: height), "no part \(part) in the result")
    let channels = image.channels
    let columns = Weights(from: box.width, to: width, wanted: part.x..<part.x + part.width)
    let rows = Weights(from: box.height, to: height, wanted: part.y..<part.y + part.height)
    let isVerticalFirst = isVerticalFirst(from: box, width: width, height: height)
    let pixels = [UInt8](unsafeUninitializedCapacity: part.width * part.height * channels) { output, initialized in
      image.pixels.withUnsafeBufferPointer { input in
        let corner = (box.y + rows.firstInput) * image.width + box.x + columns.firstInput
        let source = Plane(input, offset: corner * channels, stride: image.width * channels)
        if isVerticalFirst {
          let stride = columns.inputCount * channels
          withBytes(stride * rows.count) { between in
            vertical(source, rows, into: between, columns: stride)
            let plane = Plane(UnsafeBufferPointer(between), offset: 0, stride: stride)
            horizontal(plane, columns, into: output, rows: rows.count, channels: channels)
          }
        } else {
          let stride = columns.count * channels
          withBytes(stride * rows.inputCount) { between in
            horizontal(source, columns, into: between, rows: rows.inputCount, channels: channels)
            let plane = Plane(UnsafeBufferPointer(between), offset: 0, stride: stride)
            vertical(plane, rows, into: output, columns: stride)
          }
        }
      }
      initialized = part.width * part.height * channels
    }
    return Radiograph(width: part.width, height: part.height, channels: channels, pixels: pixels)
  }

  /// Whether Pillow 13 takes the vertical pass first.
  static func isVerticalFirst(from box: PixelBox, width: Int, height: Int) -> Bool {
    box.height > height && box.height - height > 2 * (box.width - width)
  }

  /// Resizes each of `rows` rows. Overwrites `output`: rows of `weights.count · channels`.
  ///
  /// Four sums at a time share the weights: of four rows of gray, or of the channels of one row. Where there are fewer,
  /// the last one is made, and written, again.
  private static func horizontal(
    _ input: Plane, _ weights: Weights, into output: UnsafeMutableBufferPointer<UInt8>, rows: Int, channels: Int
  ) {
    guard let output = output.baseAddress else { return }
    let stride = weights.count * channels
    weights.withPointers { starts, counts, values in
      for y in Swift.stride(from: 0, to: rows, by: channels == 1 ? 4 : 1) {
        let lane = { (index: Int) in channels == 1 ? (min(y + index, rows - 1), 0) : (y, min(index, channels - 1)) }
        let (l0, l1, l2, l3) = (lane(0), lane(1), lane(2), lane(3))
        let (p0, p1) = (input.row(l0.0) + l0.1, input.row(l1.0) + l1.1)
        let (p2, p3) = (input.row(l2.0) + l2.1, input.row(l3.0) + l3.1)
        let (t0, t1) = (output + l0.0 * stride + l0.1, output + l1.0 * stride + l1.1)
        let (t2, t3) = (output + l2.0 * stride + l2.1, output + l3.0 * stride + l3.1)
        for x in 0..<weights.count {
          let weight = values + x &* weights.width
          var place = starts[x] &* channels
          var (s0, s1, s2, s3) = (half, half, half, half)
          for i in 0..<counts[x] {
            s0 &+= Int32(p0[place]) &* weight[i]
            s1 &+= Int32(p1[place]) &* weight[i]
            s2 &+= Int32(p2[place]) &* weight[i]
            s3 &+= Int32(p3[place]) &* weight[i]
            place &+= channels
          }
          t0[x &* channels] = UInt8(truncatingIfNeeded: s0 >> fractionBits)
          t1[x &* channels] = UInt8(truncatingIfNeeded: s1 >> fractionBits)
          t2[x &* channels] = UInt8(truncatingIfNeeded: s2 >> fractionBits)
          t3[x &* channels] = UInt8(truncatingIfNeeded: s3 >> fractionBits)
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

/// For each wanted output pixel of an axis: the input pixels it is made of, and their weights.
private struct Weights {
  /// Wanted output pixels.
  let count: Int
  /// The room for one output's weights.
  let width: Int
  /// The input pixels that have a weight: `inputCount` from `firstInput`.
  let firstInput: Int
  let inputCount: Int
  /// The first input of each output, counted from `firstInput`.
  let starts: [Int]
  /// The inputs of each output.
  let counts: [Int]
  /// `count · width` weights, in units of 2⁻²².
  let values: [Int32]

  /// The triangle filter from `input` to `output` pixels. Double throughout, in Pillow's order of operations: the last
  /// bit of a weight depends on it.
  init(from input: Int, to output: Int, wanted: Range<Int>) {
    let scale = Double(input) / Double(output)
    let support = max(scale, 1)
    let inverse = 1 / support
    let width = Int(support.rounded(.up)) * 2 + 1
    var values = [Int32](repeating: 0, count: wanted.count * width)
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(wanted.count)
    var shares = [Double](repeating: 0, count: width)
    for (place, x) in wanted.enumerated() {
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
        values[place * width + i] = Int32(0.5 + share * Double(1 << fractionBits))
      }
      ranges.append(start..<end)
    }
    let first = ranges.first?.lowerBound ?? 0
    count = wanted.count
    self.width = width
    firstInput = first
    inputCount = (ranges.last?.upperBound ?? first) - first
    starts = ranges.map { $0.lowerBound - first }
    counts = ranges.map(\.count)
    self.values = values
  }

  /// Calls `body` with `starts`, `counts` and `values`, without the checks of arrays.
  func withPointers(_ body: (UnsafePointer<Int>, UnsafePointer<Int>, UnsafePointer<Int32>) -> Void) {
    starts.withUnsafeBufferPointer { starts in
      counts.withUnsafeBufferPointer { counts in
        values.withUnsafeBufferPointer { values in
          guard let starts = starts.baseAddress, let counts = counts.baseAddress, let values = values.baseAddress
          else { return }
          body(starts, counts, values)
        }
      }
    }
  }
}
