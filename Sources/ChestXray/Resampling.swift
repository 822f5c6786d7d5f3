import CKernels

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
  /// - Parameters:
  ///   - part: The part of the result that is wanted, and all that is computed; nil for the whole. The long side of a
  ///     resized strip can be far larger than any image that is worth making.
  ///   - mirrored: What is returned is mirrored, left for right.
  ///   - level: All give the same pixels.
  static func resize(
    _ image: Radiograph, box: PixelBox, width: Int, height: Int, part: PixelBox? = nil, mirrored: Bool = false,
    level: ck_level = ck_best_level()
  ) -> Radiograph {
    let part = part ?? PixelBox(x: 0, y: 0, width: width, height: height)
    precondition(box.isWithin(width: image.width, height: image.height), "no box \(box) in the image")
    precondition(part.isWithin(width: width, height: height), "no part \(part) in the result")
    let columns = ResamplingWeights(
      from: box.width, to: width, wanted: part.x..<part.x + part.width, reversed: mirrored)
    let rows = ResamplingWeights(from: box.height, to: height, wanted: part.y..<part.y + part.height)
    let isVerticalFirst = isVerticalFirst(from: box, width: width, height: height)
    let between = isVerticalFirst ? columns.inputs.count * part.height : part.width * rows.inputs.count
    let kernels = ck_pixels_of(level)
    let pixels = [UInt8](unsafeUninitializedCapacity: part.width * part.height * image.channels) {
      output, initialized in
      image.pixels.withUnsafeBufferPointer { input in
        let corner = (box.y + rows.inputs.lowerBound) * image.width + box.x + columns.inputs.lowerBound
        let source = Rows(
          UnsafeBufferPointer(rebasing: input[(corner * image.channels)...]), pitch: image.width * image.channels)
        withBytes(between * image.channels) { between in
          if isVerticalFirst {
            let pitch = columns.inputs.count * image.channels
            kernels.resizeColumns(source, columns: pitch, rows, into: between)
            let middle = Rows(UnsafeBufferPointer(between), pitch: pitch)
            kernels.resizeRows(middle, rows: part.height, channels: image.channels, columns, into: output)
          } else {
            kernels.resizeRows(source, rows: rows.inputs.count, channels: image.channels, columns, into: between)
            let pitch = part.width * image.channels
            kernels.resizeColumns(
              Rows(UnsafeBufferPointer(between), pitch: pitch), columns: pitch, rows, into: output)
          }
        }
      }
      initialized = part.width * part.height * image.channels
    }
    return Radiograph(width: part.width, height: part.height, channels: image.channels, pixels: pixels)
  }

  /// Whether Pillow 13 takes the vertical pass first.
  static func isVerticalFirst(from box: PixelBox, width: Int, height: Int) -> Bool {
    box.height > height && box.height - height > 2 * (box.width - width)
  }

  private static func withBytes(_ count: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) -> Void) {
    let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: count)
    defer { buffer.deallocate() }
    body(buffer)
  }
}

/// Rows of bytes that belong to someone else, `pitch` bytes apart.
private struct Rows {
  let start: UnsafePointer<UInt8>
  let pitch: Int

  init(_ buffer: UnsafeBufferPointer<UInt8>, pitch: Int) {
    guard let start = buffer.baseAddress else { preconditionFailure("no pixels") }
    self.start = start
    self.pitch = pitch
  }
}

extension ck_pixels {
  /// Resizes each of `rows` rows of pixels. Overwrites `output`, whose rows have no gaps.
  fileprivate func resizeRows(
    _ input: Rows, rows: Int, channels: Int, _ weights: ResamplingWeights,
    into output: UnsafeMutableBufferPointer<UInt8>
  ) {
    precondition(output.count >= rows * weights.count * channels, "no room for the rows")
    weights.withKernelWeights { weights, workspace in
      guard let output = output.baseAddress else { return }
      resize_rows(
        output, weights.outputs * channels, input.start, input.pitch, rows, channels, &weights, workspace)
    }
  }

  /// Resizes each of `columns` columns of bytes. Overwrites `output`, whose rows have no gaps.
  fileprivate func resizeColumns(
    _ input: Rows, columns: Int, _ weights: ResamplingWeights, into output: UnsafeMutableBufferPointer<UInt8>
  ) {
    precondition(output.count >= weights.count * columns, "no room for the rows")
    weights.withKernelWeights { weights, workspace in
      guard let output = output.baseAddress else { return }
      resize_columns(output, columns, input.start, input.pitch, columns, &weights, workspace)
    }
  }
}
