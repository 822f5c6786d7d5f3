import Platform

/// Batch norm (Ioffe and Szegedy, ICML 2015): y = γ · (x − μ)/√(σ² + ε) + β for each channel.
struct ReferenceNormalization<Scalar: ReferenceScalar> {
  /// Mean of each channel, `[C]`.
  let mean: [Scalar]
  /// 1/√(σ² + ε) of each channel, `[C]`.
  let inverseDeviation: [Scalar]

  /// By given statistics: the running ones.
  init(mean: ArraySlice<Scalar>, variance: ArraySlice<Scalar>, epsilon: Scalar) {
    self.mean = Array(mean)
    inverseDeviation = variance.map { 1 / ($0 + epsilon).squareRoot() }
  }

  /// By the batch's own statistics, where all images of `collective` are the batch. `biasedVariance`, `[C]`, is divided by N·H·W.
  init(
    batch x: FeatureMaps<Scalar>, epsilon: Scalar, pool: ThreadPool, over collective: any Collective
  ) throws(BackendError) {
    let area = x.shape.area
    // Sums are kept in Double for either format, mean first and squares about it second.
    func sums(_ term: @Sendable (Int, Double) -> Double) -> [Double] {
      pool.map(x.shape.channels) { channel in
        var total = 0.0
        for image in 0..<x.count {
          let start = x.offset(image: image, channel: channel)
          for index in start..<start + area { total += term(channel, Double(x.values[index])) }
        }
        return total
      }
    }
    let size = try collective.sum([Double(x.count * area)])[0]
    let means = try collective.sum(sums { $1 }).map { $0 / size }
    let variances = try collective.sum(sums { ($1 - means[$0]) * ($1 - means[$0]) }).map { $0 / size }
    self.size = size
    mean = means.map { Scalar($0) }
    biasedVariance = variances.map { Scalar($0) }
    inverseDeviation = variances.map { Scalar(1 / ($0 + Double(epsilon)).squareRoot()) }
  }

  /// σ² of the batch, `[C]`; empty for given statistics.
  private(set) var biasedVariance: [Scalar] = []
  /// m = N·H·W of the batch.
  private(set) var size = 0.0

  func forward(
    _ x: FeatureMaps<Scalar>, scale: ArraySlice<Scalar>, shift: ArraySlice<Scalar>, pool: ThreadPool
  ) -> FeatureMaps<Scalar> {
    var y = x
    let (channels, area) = (x.shape.channels, x.shape.area)
    y.values.withUnsafeMutableBufferPointer { values in
      let y = SharedPointer(values)
      pool.forEach(x.count * channels) { plane in
        let channel = plane % channels
        let factor = scale[scale.startIndex + channel] * inverseDeviation[channel]
        let (center, offset) = (mean[channel], shift[shift.startIndex + channel])
        let plane = y + plane * area
        for index in 0..<area { plane[index] = (plane[index] - center) * factor + offset }
      }
    }
    return y
  }

  /// The gradients of x, γ and β, from that of y, where the statistics are the batch's own:
  /// dβ = Σ dy, dγ = Σ dy·x̂, dx = γ/σ · (dy − dβ/m − x̂·dγ/m), m = N·H·W. dβ and dγ are those of this process's images; in dx they are
  /// those of all of `collective`.
  func backward(
    _ x: FeatureMaps<Scalar>, outputGradient dy: FeatureMaps<Scalar>, scale: ArraySlice<Scalar>, pool: ThreadPool,
    over collective: any Collective
  ) throws(BackendError) -> (input: FeatureMaps<Scalar>, scale: [Scalar], shift: [Scalar]) {
    let (channels, area) = (x.shape.channels, x.shape.area)
    let sums: [(shift: Double, scale: Double)] = pool.map(channels) { channel in
      let (center, factor) = (mean[channel], inverseDeviation[channel])
      var (shiftSum, scaleSum) = (0.0, 0.0)
      for image in 0..<x.count {
        let start = x.offset(image: image, channel: channel)
        for index in start..<start + area {
          let gradient = Double(dy.values[index])
          shiftSum += gradient
          scaleSum += gradient * Double((x.values[index] - center) * factor)
        }
      }
      return (shiftSum, scaleSum)
    }
    let means = try collective.sum(sums.map(\.shift) + sums.map(\.scale)).map { Scalar($0 / size) }
    var dx = dy
    dx.values.withUnsafeMutableBufferPointer { values in
      let dx = SharedPointer(values)
      pool.forEach(x.count * channels) { plane in
        let channel = plane % channels
        let (center, factor) = (mean[channel], inverseDeviation[channel])
        let outer = scale[scale.startIndex + channel] * factor
        let (gradients, start) = (dx + plane * area, plane * area)
        for index in 0..<area {
          let normalized = (x.values[start + index] - center) * factor
          gradients[index] = outer * (gradients[index] - means[channel] - normalized * means[channels + channel])
        }
      }
    }
    return (dx, sums.map { Scalar($0.scale) }, sums.map { Scalar($0.shift) })
  }
}
