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

  /// By the batch's own statistics. `biasedVariance`, `[C]`, is divided by N·H·W.
  init(batch x: FeatureMaps<Scalar>, epsilon: Scalar, pool: ThreadPool) {
    let area = x.shape.area
    let size = Double(x.count * area)
    // Sums are kept in Double for either format, mean first and squares about it second.
    let statistics: [(mean: Double, variance: Double)] = pool.map(x.shape.channels) { channel in
      func sum(_ term: (Double) -> Double) -> Double {
        var total = 0.0
        for image in 0..<x.count {
          let start = x.offset(image: image, channel: channel)
          for index in start..<start + area { total += term(Double(x.values[index])) }
        }
        return total
      }
      let mean = sum { $0 } / size
      return (mean, sum { ($0 - mean) * ($0 - mean) } / size)
    }
    mean = statistics.map { Scalar($0.mean) }
    biasedVariance = statistics.map { Scalar($0.variance) }
    inverseDeviation = statistics.map { Scalar(1 / ($0.variance + Double(epsilon)).squareRoot()) }
  }

  /// σ² of the batch, `[C]`; empty for given statistics.
  private(set) var biasedVariance: [Scalar] = []

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
  /// dβ = Σ dy, dγ = Σ dy·x̂, dx = γ/σ · (dy − dβ/m − x̂·dγ/m), m = N·H·W.
  func backward(
    _ x: FeatureMaps<Scalar>, outputGradient dy: FeatureMaps<Scalar>, scale: ArraySlice<Scalar>, pool: ThreadPool
  ) -> (input: FeatureMaps<Scalar>, scale: [Scalar], shift: [Scalar]) {
    var dx = dy
    let area = x.shape.area
    let size = Double(x.count * area)
    let sums: [(shift: Double, scale: Double)] = dx.values.withUnsafeMutableBufferPointer { values in
      let dx = SharedPointer(values)
      return pool.map(x.shape.channels) { channel in
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
        let outer = scale[scale.startIndex + channel] * factor
        let (shiftMean, scaleMean) = (Scalar(shiftSum / size), Scalar(scaleSum / size))
        for image in 0..<x.count {
          let start = x.offset(image: image, channel: channel)
          let plane = dx + start
          for index in 0..<area {
            let normalized = (x.values[start + index] - center) * factor
            plane[index] = outer * (plane[index] - shiftMean - normalized * scaleMean)
          }
        }
        return (shiftSum, scaleSum)
      }
    }
    return (dx, sums.map { Scalar($0.scale) }, sums.map { Scalar($0.shift) })
  }
}
