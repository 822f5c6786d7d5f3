/// What a batch says about the channels of some slabs, and what batch norm's backward owes them.
///
/// Statistics are the channel's, not a layer's: every layer that reads the channel shares them. So is the debt of the backward pass: a
/// consumer's gradient is s·d − (s/m)·Σd − (s/m)·x̂·Σd·x̂, of which only s·d is a tensor; the rest is linear in x, summed here
/// as a + b·(x − μ), and taken off once, when the slab's gradient is read.
struct BatchStatistics {
  let lanes: Int
  /// About which the sums were taken: some value of the batch, which keeps Σx² from swallowing the variance.
  let pivot: UnsafeMutablePointer<Float>
  let mean: UnsafeMutablePointer<Float>
  let exactMean: UnsafeMutablePointer<Double>
  /// Σ(x − μ)²/m.
  let variance: UnsafeMutablePointer<Double>
  private let owedConstant: UnsafeMutablePointer<Double>
  private let owedSlope: UnsafeMutablePointer<Double>
  /// The debt as the kernels take it: constant + slope · x.
  let constant: UnsafeMutablePointer<Float>
  let slope: UnsafeMutablePointer<Float>

  init(lanes: Int, _ arena: Arena) {
    self.lanes = lanes
    pivot = arena.floats(lanes)
    mean = arena.floats(lanes)
    exactMean = arena.doubles(lanes)
    variance = arena.doubles(lanes)
    owedConstant = arena.doubles(lanes)
    owedSlope = arena.doubles(lanes)
    constant = arena.floats(lanes)
    slope = arena.floats(lanes)
  }

  /// Takes the sums over m pixels of x − pivot and its square, of `sums.lanes` lanes from `first` on.
  func take(_ sums: ImageSums.Totals, from first: Int, pixels m: Int) {
    for lane in 0..<sums.lanes {
      set(
        first + lane, about: Double(pivot[first + lane]), offset: sums.first[lane] / Double(m),
        square: sums.second[lane] / Double(m))
    }
  }

  /// The same where other processes have others of the m pixels, and pivots of their own; here are `own` of them. In Double the sums can be moved to
  /// the pivot 0, which all have: with deviations down to 10⁻⁴ of the mean that costs 10⁻⁸ of the variance.
  func take(
    _ sums: ImageSums.Totals, from first: Int, pixels m: Int, own: Int, over collective: any Collective
  ) throws(BackendError) {
    var moved = [Double](repeating: 0, count: 2 * sums.lanes)
    // A pivot of no image can be anything.
    for lane in 0..<(own > 0 ? sums.lanes : 0) {
      let (pivot, offset) = (Double(pivot[first + lane]), sums.first[lane])
      moved[lane] = offset + Double(own) * pivot
      moved[sums.lanes + lane] = sums.second[lane] + pivot * (2 * offset + Double(own) * pivot)
    }
    moved = try collective.sum(moved)
    for lane in 0..<sums.lanes {
      set(
        first + lane, about: 0, offset: moved[lane] / Double(m), square: moved[sums.lanes + lane] / Double(m))
    }
  }

  /// By the means of x − pivot and of its square.
  private func set(_ place: Int, about pivot: Double, offset: Double, square: Double) {
    exactMean[place] = pivot + offset
    mean[place] = Float(exactMean[place])
    // Rounding may leave a constant channel a trifle below zero; what is not a number stays one.
    let difference = square - offset * offset
    variance[place] = difference < 0 ? 0 : difference
  }

  func forgetDebts() {
    for lane in 0..<lanes {
      owedConstant[lane] = 0
      owedSlope[lane] = 0
    }
  }

  func owe(lane: Int, constant: Double, slope: Double) {
    owedConstant[lane] += constant
    owedSlope[lane] += slope
  }

  /// Makes `constant` and `slope` of `count` lanes from `first` on.
  func settle(from first: Int, count: Int) {
    for lane in first..<first + count {
      constant[lane] = Float(owedConstant[lane] - owedSlope[lane] * exactMean[lane])
      slope[lane] = Float(owedSlope[lane])
    }
  }
}

/// Two sums a lane: in Float within a tile, in Double over an image's tiles, in order; then over the images, in order. So they are the
/// same for any number of threads.
struct ImageSums {
  struct Totals {
    let lanes: Int
    let first: UnsafeMutablePointer<Double>
    let second: UnsafeMutablePointer<Double>
  }

  /// A tile's sums.
  struct Tile {
    let first: UnsafeMutablePointer<Float>
    let second: UnsafeMutablePointer<Float>

    init(lanes: Int, _ arena: Arena) {
      first = arena.floats(lanes)
      second = arena.floats(lanes)
    }
  }

  private let capacity: Int
  private let images: UnsafeMutablePointer<Double>
  private let totals: UnsafeMutablePointer<Double>

  init(lanes: Int, images count: Int, _ arena: Arena) {
    capacity = lanes
    images = arena.doubles(2 * lanes * count)
    totals = arena.doubles(2 * lanes)
  }

  func begin(image: Int, lanes: Range<Int>) {
    let sums = images + 2 * capacity * image + lanes.lowerBound
    sums.update(repeating: 0, count: lanes.count)
    (sums + capacity).update(repeating: 0, count: lanes.count)
  }

  /// Adds a tile's sums of `lanes`, and zeroes them there.
  func flush(_ tile: Tile, lanes: Range<Int>, image: Int) {
    let sums = images + 2 * capacity * image
    for lane in lanes {
      sums[lane] += Double(tile.first[lane])
      sums[capacity + lane] += Double(tile.second[lane])
      tile.first[lane] = 0
      tile.second[lane] = 0
    }
  }

  /// The sums over `count` images of lanes 0 ..< `lanes`.
  func total(lanes: Int, images count: Int) -> Totals {
    for start in [0, capacity] {
      let total = totals + start
      if count > 0 {
        total.update(from: images + start, count: lanes)
      } else {
        total.update(repeating: 0, count: lanes)
      }
      for image in 1..<max(count, 1) {
        let sums = images + 2 * capacity * image + start
        for lane in 0..<lanes { total[lane] += sums[lane] }
      }
    }
    return Totals(lanes: lanes, first: totals, second: totals + capacity)
  }
}

/// One batch norm over the first slabs of a map: y = scale · x + shift.
struct TrainingNormalization {
  let parameters: NormalizationParameters
  let slabs: ChannelSlabs
  /// How many of the slabs.
  let prefix: Int
  let scale: UnsafeMutablePointer<Float>
  let shift: UnsafeMutablePointer<Float>

  init(_ parameters: NormalizationParameters, _ slabs: ChannelSlabs, prefix: Int? = nil, _ arena: Arena) {
    self.parameters = parameters
    self.slabs = slabs
    self.prefix = prefix ?? slabs.count
    scale = arena.floats(self.prefix * ChannelSlabs.lanes)
    shift = arena.floats(self.prefix * ChannelSlabs.lanes)
  }

  /// Sets scale and shift by the batch's statistics over m values, and moves the running ones: running ← (1 − momentum) · running +
  /// momentum · batch, the variance unbiased, ·m/(m − 1), as in PyTorch.
  func prepare(
    _ statistics: BatchStatistics, pixels m: Int, architecture: DenseNetArchitecture,
    _ values: UnsafeMutablePointer<Float>
  ) {
    let momentum = architecture.batchNormMomentum
    let unbiased = Double(m) / Double(max(m - 1, 1))
    slabs.forEachChannel(prefix: prefix) { channel, lane in
      let inverse = 1 / (statistics.variance[lane] + architecture.batchNormEpsilon).squareRoot()
      let factor = Double(values[parameters.scale.lowerBound + channel]) * inverse
      scale[lane] = Float(factor)
      shift[lane] = Float(
        Double(values[parameters.shift.lowerBound + channel]) - statistics.exactMean[lane] * factor)
      let mean = values + parameters.runningMean.lowerBound + channel
      let variance = values + parameters.runningVariance.lowerBound + channel
      mean.pointee = Float((1 - momentum) * Double(mean.pointee) + momentum * statistics.exactMean[lane])
      variance.pointee = Float(
        (1 - momentum) * Double(variance.pointee) + momentum * statistics.variance[lane] * unbiased)
    }
  }

  /// Takes Σd and Σd·(x − μ): adds dβ = Σd and dγ = Σd·(x − μ)/σ to the gradients, and what is owed to the statistics.
  /// `whole`: the same sums over all m pixels, where other processes have some of them.
  func takeGradients(
    _ sums: ImageSums.Totals, whole: (first: [Double], second: [Double])? = nil, _ statistics: BatchStatistics,
    pixels m: Int, epsilon: Double, values: UnsafePointer<Float>, gradients: UnsafeMutablePointer<Float>
  ) {
    slabs.forEachChannel(prefix: prefix) { channel, lane in
      let inverse = 1 / (statistics.variance[lane] + epsilon).squareRoot()
      let factor = Double(values[parameters.scale.lowerBound + channel]) * inverse / Double(m)
      gradients[parameters.shift.lowerBound + channel] += Float(sums.first[lane])
      gradients[parameters.scale.lowerBound + channel] += Float(sums.second[lane] * inverse)
      statistics.owe(
        lane: lane, constant: factor * (whole?.first[lane] ?? sums.first[lane]),
        slope: factor * inverse * inverse * (whole?.second[lane] ?? sums.second[lane]))
    }
  }
}
