import Platform

/// Max pool 3×3 of stride 2 and padding 1.
enum ReferenceMaxPool {
  /// The output, and for each of its elements the index in the input's values that it came from: the first of equals, as in
  /// PyTorch.
  static func forward<Scalar>(
    _ input: FeatureMaps<Scalar>, output shape: FeatureShape, pool: ThreadPool
  ) -> (FeatureMaps<Scalar>, sources: [Int32]) {
    var output = FeatureMaps<Scalar>(count: input.count, shape: shape)
    var sources = [Int32](repeating: 0, count: output.values.count)
    let (height, width) = (input.shape.height, input.shape.width)
    output.values.withUnsafeMutableBufferPointer { outputs in
      sources.withUnsafeMutableBufferPointer { indices in
        let (y, source) = (SharedPointer(outputs), SharedPointer(indices))
        pool.forEach(input.count * shape.channels) { plane in
          var next = plane * shape.area
          for p in 0..<shape.height {
            for q in 0..<shape.width {
              var best = -Scalar.infinity
              var bestIndex = 0
              for row in max(2 * p - 1, 0)..<min(2 * p + 2, height) {
                for column in max(2 * q - 1, 0)..<min(2 * q + 2, width) {
                  let index = (plane * height + row) * width + column
                  if input.values[index] > best || input.values[index].isNaN {
                    best = input.values[index]
                    bestIndex = index
                  }
                }
              }
              (y + next).pointee = best
              (source + next).pointee = Int32(bestIndex)
              next += 1
            }
          }
        }
      }
    }
    return (output, sources)
  }

  static func backward<Scalar>(
    _ outputGradient: FeatureMaps<Scalar>, sources: [Int32], input shape: FeatureShape
  ) -> FeatureMaps<Scalar> {
    var gradient = FeatureMaps<Scalar>(count: outputGradient.count, shape: shape)
    for (index, source) in sources.enumerated() { gradient.values[Int(source)] += outputGradient.values[index] }
    return gradient
  }
}

/// Average pool 2×2 of stride 2; an odd last row or column is left out.
enum ReferenceAveragePool {
  static func forward<Scalar>(_ input: FeatureMaps<Scalar>, output shape: FeatureShape) -> FeatureMaps<Scalar> {
    var output = FeatureMaps<Scalar>(count: input.count, shape: shape)
    let width = input.shape.width
    each(input.count, input.shape, shape) { source, target in
      let x = input.values
      output.values[target] = (x[source] + x[source + 1] + x[source + width] + x[source + width + 1]) / 4
    }
    return output
  }

  static func backward<Scalar>(_ outputGradient: FeatureMaps<Scalar>, input shape: FeatureShape) -> FeatureMaps<Scalar>
  {
    var gradient = FeatureMaps<Scalar>(count: outputGradient.count, shape: shape)
    each(outputGradient.count, shape, outputGradient.shape) { source, target in
      let share = outputGradient.values[target] / 4
      for index in [source, source + 1, source + shape.width, source + shape.width + 1] {
        gradient.values[index] = share
      }
    }
    return gradient
  }

  /// The first of the four inputs, and the output, of each window.
  private static func each(_ count: Int, _ input: FeatureShape, _ output: FeatureShape, _ body: (Int, Int) -> Void) {
    for plane in 0..<count * output.channels {
      for p in 0..<output.height {
        for q in 0..<output.width {
          body((plane * input.height + 2 * p) * input.width + 2 * q, (plane * output.height + p) * output.width + q)
        }
      }
    }
  }
}

/// The mean of each feature map.
enum ReferenceGlobalAverage {
  /// `[N, C]`.
  static func forward<Scalar>(_ input: FeatureMaps<Scalar>) -> [Scalar] {
    let area = input.shape.area
    return (0..<input.count * input.shape.channels).map { plane in
      var sum: Scalar = 0
      for index in plane * area..<(plane + 1) * area { sum += input.values[index] }
      return sum / Scalar(area)
    }
  }

  static func backward<Scalar>(
    _ outputGradient: [Scalar], count: Int, input shape: FeatureShape
  ) -> FeatureMaps<Scalar> {
    let share = 1 / Scalar(shape.area)
    let values = outputGradient.flatMap { [Scalar](repeating: $0 * share, count: shape.area) }
    return FeatureMaps(count: count, shape: shape, values: values)
  }
}
