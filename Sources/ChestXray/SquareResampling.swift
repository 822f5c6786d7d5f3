import Foundation

/// The central square of an image, resized as torchxrayvision 1.5 does it: `XRayCenterCrop` and `XRayResizer`, which
/// is scikit-image 0.26's `resize(mode="constant", preserve_range=True)` on normalized `Float` values.
///
/// Along each axis: a Gaussian of (reduction − 1) / 2 pixels, cut at four of them, then linear interpolation between
/// the centres of pixels; an enlargement is interpolated only. Both are linear, so that one table of weights has them
/// both, for the rows and for the columns. Beyond the square all is 0 *after* normalization: torchxrayvision's pictures
/// have a frame that is drawn towards middle gray, at 1024 → 224 by a tenth in the outermost pixel. At last, values
/// are cut at the square's own least and largest.
///
/// scikit-image also spares a 0 that is among the results and not in the input's range. There never is one: where all
/// input is on one side of 0, so is every result, for no weight is negative and the nearest pixel has one.
///
/// Rounding, with values within ±v, T weights a pixel and u = 2⁻²⁴: here the sums down the columns are `Float`
/// (weights, products, sums: at most (T + 1) u v), and those along the rows `Double`, rounded once (u v); scikit-image
/// rounds to `Float` after the Gaussian of each axis and after the interpolation (3 u v). So (T + 5) u v apart at most.
enum SquareResampling {
  /// Where torchxrayvision's `XRayCenterCrop` cuts. Both halves are rounded down before they are subtracted: of an odd
  /// rest, the larger part goes first where the image's side is even, the smaller one where it is odd.
  static func centralSquare(width: Int, height: Int) -> PixelBox {
    let side = min(width, height)
    return PixelBox(x: width / 2 - side / 2, y: height / 2 - side / 2, width: side, height: side)
  }

  /// Resizes the square `box` of `image` to `size` × `size`. Of colours the red is taken, as torchxrayvision does.
  ///
  /// `values`: the normalized value of each of the 256 levels, rising or falling. `mirrored`: columns from right to
  /// left. Overwrites `plane`, `size · size` values, row by row.
  static func resize(
    _ image: Radiograph, box: PixelBox, size: Int, values: [Float], mirrored: Bool,
    into plane: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(box.isWithin(width: image.width, height: image.height), "no box \(box) in the image")
    precondition(box.width == box.height && values.count == 256 && plane.count == size * size)
    let weights = SquareWeights(from: box.width, to: size)
    let between = UnsafeMutableBufferPointer<Float>.allocate(capacity: size * box.width)
    defer { between.deallocate() }
    between.initialize(repeating: 0)
    let levels = vertical(image, box, weights, values, into: between)
    let ends = (values[Int(levels.lowerBound)], values[Int(levels.upperBound)])
    horizontal(
      between, weights, side: box.width, range: min(ends.0, ends.1)...max(ends.0, ends.1), mirrored: mirrored,
      into: plane)
  }

  /// Adds to `between`, `weights.count` rows of a side of the box, and returns the least and the largest level. A row of
  /// the image is normalized once, and added to each row that it has a weight in.
  private static func vertical(
    _ image: Radiograph, _ box: PixelBox, _ weights: SquareWeights, _ values: [Float],
    into between: UnsafeMutableBufferPointer<Float>
  ) -> ClosedRange<UInt8> {
    var (least, largest) = (UInt8.max, UInt8.min)
    let (side, channels) = (box.width, image.channels)
    image.pixels.withUnsafeBufferPointer { pixels in
      values.withUnsafeBufferPointer { values in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: side) { buffer in
          guard let pixels = pixels.baseAddress, let row = buffer.baseAddress, let between = between.baseAddress,
            let values = values.baseAddress
          else { return }
          var first = 0
          for y in 0..<side {
            let source = pixels + ((box.y + y) * image.width + box.x) * channels
            let levels = normalize(source, stride: channels, values, into: row, count: side)
            (least, largest) = (min(least, levels.lowerBound), max(largest, levels.upperBound))
            while first < weights.count, weights.inputs[first].upperBound <= y { first += 1 }
            var output = first
            while output < weights.count, weights.inputs[output].lowerBound <= y {
              let weight = Float(weights[output, y])
              let target = between + output * side
              for x in 0..<side { target[x] += weight * row[x] }
              output += 1
            }
          }
        }
      }
    }
    return least...largest
  }

  /// Writes the values of `count` pixels, `stride` bytes apart, and returns their least and largest level.
  private static func normalize(
    _ source: UnsafePointer<UInt8>, stride: Int, _ values: UnsafePointer<Float>, into row: UnsafeMutablePointer<Float>,
    count: Int
  ) -> ClosedRange<UInt8> {
    // In registers: in the variables of a closure, this was most of the time of a resize.
    var (least, largest) = (UInt8.max, UInt8.min)
    for x in 0..<count {
      let level = source[x &* stride]
      least = min(least, level)
      largest = max(largest, level)
      row[x] = values[Int(level)]
    }
    return least...largest
  }

  /// Makes each row of `plane` of one of `between`, whose rows have `side` values.
  private static func horizontal(
    _ between: UnsafeMutableBufferPointer<Float>, _ weights: SquareWeights, side: Int, range: ClosedRange<Float>,
    mirrored: Bool, into plane: UnsafeMutableBufferPointer<Float>
  ) {
    let size = weights.count
    weights.values.withUnsafeBufferPointer { values in
      weights.inputs.withUnsafeBufferPointer { inputs in
        guard let between = between.baseAddress, let values = values.baseAddress, let inputs = inputs.baseAddress,
          let plane = plane.baseAddress
        else { return }
        for y in 0..<size {
          for x in 0..<size {
            let (start, count) = (inputs[x].lowerBound, inputs[x].count)
            let source = between + (y &* side &+ start)
            let weight = values + x &* weights.width
            var sum = 0.0
            for i in 0..<count { sum += weight[i] * Double(source[i]) }
            let value = min(max(Float(sum), range.lowerBound), range.upperBound)
            plane[y &* size &+ (mirrored ? size &- 1 &- x : x)] = value
          }
        }
      }
    }
  }
}

/// For each output pixel of an axis: the input pixels that it is made of, and their weights.
struct SquareWeights {
  /// The inputs of each output. Both ends rise, or stay, from output to output.
  let inputs: [Range<Int>]
  /// The room for one output's weights.
  let width: Int
  /// `count · width` weights. Those of one output add up to less than 1 where it reaches beyond the image.
  let values: [Double]

  /// Output pixels.
  var count: Int { inputs.count }

  /// The weight that the pixel `input`, one of `inputs[output]`, has in `output`.
  subscript(output: Int, input: Int) -> Double { values[output * width + input - inputs[output].lowerBound] }

  /// Of a resize from `input` to `size` pixels.
  init(from input: Int, to size: Int) {
    let reduction = Double(input) / Double(size)
    let kernel = Self.gaussian(deviation: max(0, (reduction - 1) / 2))
    let radius = kernel.count / 2
    width = kernel.count + 1
    var inputs: [Range<Int>] = []
    inputs.reserveCapacity(size)
    var values = [Double](repeating: 0, count: size * width)
    for output in 0..<size {
      let center = (Double(output) + 0.5) * reduction - 0.5
      let left = Int(center.rounded(.down))
      let share = center - Double(left)
      let range = max(left - radius, 0)..<min(left + radius + 2, input)
      for i in range {
        // A neighbour beyond the image is 0 whatever the Gaussian would make of it.
        var weight = 0.0
        if left >= 0, abs(i - left) <= radius { weight += (1 - share) * kernel[i - left + radius] }
        if left + 1 < input, abs(i - left - 1) <= radius { weight += share * kernel[i - left - 1 + radius] }
        values[output * width + i - range.lowerBound] = weight
      }
      inputs.append(range)
    }
    self.inputs = inputs
    self.values = values
  }

  /// SciPy's `gaussian_filter1d`: cut at four deviations, made to add up to 1. An odd number of weights; one, where the
  /// cut leaves no neighbour.
  private static func gaussian(deviation: Double) -> [Double] {
    let radius = Int(4 * deviation + 0.5)
    if radius == 0 { return [1] }
    let shares = (-radius...radius).map { exp(-0.5 / (deviation * deviation) * Double($0 * $0)) }
    let sum = shares.reduce(0, +)
    return shares.map { $0 / sum }
  }
}
