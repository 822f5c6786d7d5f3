import Platform

/// Convolution by im2col and a matrix product (Chellapilla, Puri, Simard, "High Performance Convolutional Neural Networks for
/// Document Processing", 2006), without bias.
///
/// Letters: an image is C×H×W, its output K×P×Q, a kernel R×R. The columns of an image are the matrix [C·R·R, P·Q] whose
/// column (p, q) is the patch that output (p, q) sees, so that output = weights [K, C·R·R] × columns.
struct ReferenceConvolution {
  /// R.
  let kernel: Int
  let stride: Int
  let padding: Int

  /// `weights` is `[K, C, R, R]`. Each image is a product of its own, so its result does not depend on its batch.
  func forward<Scalar>(
    _ input: FeatureMaps<Scalar>, weights: ArraySlice<Scalar>, output shape: FeatureShape, pool: ThreadPool
  ) -> FeatureMaps<Scalar> {
    var output = FeatureMaps<Scalar>(count: input.count, shape: shape)
    let patch = input.shape.channels * kernel * kernel
    output.values.withUnsafeMutableBufferPointer { outputs in
      input.values.withUnsafeBufferPointer { inputs in
        weights.withUnsafeBufferPointer { weights in
          let (y, x, w) = (SharedPointer(outputs), SharedConstPointer(inputs), SharedConstPointer(weights))
          pool.forEach(input.count) { image in
            withColumns(of: x + image * input.shape.count, input.shape, shape) { columns in
              Scalar.multiply(
                shape.channels, shape.area, patch, a: w.base, transposeA: false, b: columns, transposeB: false, beta: 0,
                c: y + image * shape.count)
            }
          }
        }
      }
    }
    return output
  }

  /// The gradient of the input, from that of the output.
  func inputGradient<Scalar>(
    _ outputGradient: FeatureMaps<Scalar>, weights: ArraySlice<Scalar>, input shape: FeatureShape, pool: ThreadPool
  ) -> FeatureMaps<Scalar> {
    var gradient = FeatureMaps<Scalar>(count: outputGradient.count, shape: shape)
    let output = outputGradient.shape
    let patch = shape.channels * kernel * kernel
    gradient.values.withUnsafeMutableBufferPointer { gradients in
      outputGradient.values.withUnsafeBufferPointer { outputs in
        weights.withUnsafeBufferPointer { weights in
          let (dx, dy, w) = (SharedPointer(gradients), SharedConstPointer(outputs), SharedConstPointer(weights))
          pool.forEach(outputGradient.count) { image in
            if isPointwise {
              Scalar.multiply(
                patch, output.area, output.channels, a: w.base, transposeA: true, b: dy + image * output.count,
                transposeB: false, beta: 0, c: dx + image * shape.count)
              return
            }
            withUnsafeTemporaryAllocation(of: Scalar.self, capacity: patch * output.area) { columns in
              let columns = SharedPointer(columns).base
              Scalar.multiply(
                patch, output.area, output.channels, a: w.base, transposeA: true, b: dy + image * output.count,
                transposeB: false, beta: 0, c: columns)
              scatter(columns, shape, output, into: dx + image * shape.count)
            }
          }
        }
      }
    }
    return gradient
  }

  /// Adds the gradient of the weights to `gradient[range]`.
  ///
  /// Images are summed in min(N, 4) groups, each in order, and the groups in order: the sum is the same for any number of
  /// threads.
  func accumulateWeightGradient<Scalar>(
    _ input: FeatureMaps<Scalar>, outputGradient: FeatureMaps<Scalar>, into gradient: inout [Scalar],
    at range: Range<Int>, pool: ThreadPool
  ) {
    let output = outputGradient.shape
    let patch = input.shape.channels * kernel * kernel
    let size = output.channels * patch
    let groups = min(input.count, 4)
    var partial = [Scalar](repeating: 0, count: groups * size)
    partial.withUnsafeMutableBufferPointer { partials in
      input.values.withUnsafeBufferPointer { inputs in
        outputGradient.values.withUnsafeBufferPointer { outputs in
          let (dw, x, dy) = (SharedPointer(partials), SharedConstPointer(inputs), SharedConstPointer(outputs))
          pool.forEach(groups) { group in
            for image in (group * input.count / groups)..<((group + 1) * input.count / groups) {
              withColumns(of: x + image * input.shape.count, input.shape, output) { columns in
                Scalar.multiply(
                  output.channels, patch, output.area, a: dy + image * output.count, transposeA: false, b: columns,
                  transposeB: true, beta: 1, c: dw + group * size)
              }
            }
          }
        }
      }
    }
    for group in 0..<groups {
      for index in 0..<size { gradient[range.lowerBound + index] += partial[group * size + index] }
    }
  }

  /// An image is its own columns.
  private var isPointwise: Bool { kernel == 1 && stride == 1 && padding == 0 }

  private func withColumns<Scalar: ReferenceScalar>(
    of image: UnsafePointer<Scalar>, _ input: FeatureShape, _ output: FeatureShape,
    _ body: (UnsafePointer<Scalar>) -> Void
  ) {
    if isPointwise { return body(image) }
    withUnsafeTemporaryAllocation(of: Scalar.self, capacity: input.channels * kernel * kernel * output.area) {
      columns in
      let base = SharedPointer(columns).base
      eachRow(input, output) { row in
        let next = base + row.column
        guard let source = row.source else {
          for q in 0..<output.width { next[q] = 0 }
          return
        }
        for q in 0..<row.inside.lowerBound { next[q] = 0 }
        for q in row.inside { next[q] = image[source + q * stride] }
        for q in row.inside.upperBound..<output.width { next[q] = 0 }
      }
      body(base)
    }
  }

  /// Adds every patch back to where it came from.
  private func scatter<Scalar: ReferenceScalar>(
    _ columns: UnsafePointer<Scalar>, _ input: FeatureShape, _ output: FeatureShape,
    into image: UnsafeMutablePointer<Scalar>
  ) {
    eachRow(input, output) { row in
      guard let source = row.source else { return }
      let next = columns + row.column
      for q in row.inside { image[source + q * stride] += next[q] }
    }
  }

  /// One row of outputs as one element of the kernel sees it.
  private struct Row {
    /// Where its Q elements begin in the matrix of columns.
    let column: Int
    /// Where the image's element for output q = 0 is (q · stride further for the others); it may lie outside of the row, and
    /// only those of `inside` are to be used. Nil where the whole row lies above or below the image.
    let source: Int?
    /// The outputs whose element lies inside of the image.
    let inside: Range<Int>
  }

  /// Calls `body` for each row of each element of the kernel, in the order of the matrix of columns.
  @inline(__always)
  private func eachRow(_ input: FeatureShape, _ output: FeatureShape, _ body: (Row) -> Void) {
    var column = 0
    for channel in 0..<input.channels {
      for row in 0..<kernel {
        for offset in 0..<kernel {
          let shift = offset - padding
          // 0 ≤ q · stride + shift < W.
          let first = min(max(0, (-shift + stride - 1) / stride), output.width)
          let last = input.width > shift ? min(output.width, (input.width - shift - 1) / stride + 1) : 0
          let inside = first..<max(first, last)
          for p in 0..<output.height {
            let y = p * stride + row - padding
            let isInside = y >= 0 && y < input.height
            body(
              Row(
                column: column, source: isInside ? (channel * input.height + y) * input.width + shift : nil,
                inside: inside))
            column += output.width
          }
        }
      }
    }
  }
}
