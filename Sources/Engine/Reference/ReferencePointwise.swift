import Platform

/// ReLU, joining and splitting of channels.
extension FeatureMaps {
  /// max(x, 0).
  func rectified(pool: ThreadPool) -> FeatureMaps {
    var output = self
    output.eachImage(pool) { plane, _, count in
      for index in 0..<count { plane[index] = max(plane[index], 0) }
    }
    return output
  }

  /// This gradient where the rectified `output` is positive, 0 elsewhere.
  func gated(by output: FeatureMaps, pool: ThreadPool) -> FeatureMaps {
    var gradient = self
    gradient.eachImage(pool) { plane, start, count in
      for index in 0..<count where output.values[start + index] <= 0 { plane[index] = 0 }
    }
    return gradient
  }

  /// These channels, then `other`'s.
  func joined(with other: FeatureMaps) -> FeatureMaps {
    var joined: [Scalar] = []
    joined.reserveCapacity(values.count + other.values.count)
    for image in 0..<count {
      joined += values[image * shape.count..<(image + 1) * shape.count]
      joined += other.values[image * other.shape.count..<(image + 1) * other.shape.count]
    }
    let shape = FeatureShape(
      channels: shape.channels + other.shape.channels, height: shape.height, width: shape.width)
    return FeatureMaps(count: count, shape: shape, values: joined)
  }

  /// The first `channels` channels, and the rest.
  func split(at channels: Int) -> (FeatureMaps, FeatureMaps) {
    var (first, second): ([Scalar], [Scalar]) = ([], [])
    let cut = channels * shape.area
    first.reserveCapacity(count * cut)
    second.reserveCapacity(values.count - count * cut)
    for image in 0..<count {
      let start = image * shape.count
      first += values[start..<start + cut]
      second += values[start + cut..<start + shape.count]
    }
    var (firstShape, secondShape) = (shape, shape)
    firstShape.channels = channels
    secondShape.channels -= channels
    return (
      FeatureMaps(count: count, shape: firstShape, values: first),
      FeatureMaps(count: count, shape: secondShape, values: second)
    )
  }

  mutating func add(_ other: FeatureMaps, pool: ThreadPool) {
    eachImage(pool) { plane, start, count in
      for index in 0..<count { plane[index] += other.values[start + index] }
    }
  }

  /// Calls `body` for each image with its elements, the index of the first, and their number.
  private mutating func eachImage(
    _ pool: ThreadPool, _ body: @Sendable (UnsafeMutablePointer<Scalar>, Int, Int) -> Void
  ) {
    let (count, size) = (count, shape.count)
    values.withUnsafeMutableBufferPointer { buffer in
      let base = SharedPointer(buffer)
      pool.forEach(count) { image in body(base + image * size, image * size, size) }
    }
  }
}
