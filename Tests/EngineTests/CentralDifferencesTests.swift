import Platform
import Testing

@testable import Engine

/// Central differences in Double against the reference backend's own backward passes: an oracle that knows no calculus.
///
/// With f of order 1, step h = 10⁻⁵ leaves a truncation error of h²/6·f‴ ≈ 10⁻¹⁰·f‴ and a rounding error of
/// 2⁻⁵³·|f|/h ≈ 10⁻¹¹·|f|. Sums of up to some hundred random terms have |f| and f‴ below 10², so 10⁻⁷ (of the larger of 1 and the
/// gradient) bounds both with room for ten; a wrong term in a backward pass is off by 10⁻² or more.
private func expectGradient(
  _ analytic: [Double], of f: ([Double]) throws -> Double, at x: [Double], _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) rethrows {
  let h = 1e-5
  #expect(analytic.count == x.count, sourceLocation: sourceLocation)
  var random = CounterRandom(seed: 99, purpose: .augmentation)
  let checked = x.count <= 60 ? Array(x.indices) : (0..<60).map { _ in random.below(x.count) }
  for index in checked {
    var (up, down) = (x, x)
    up[index] += h
    down[index] -= h
    let numeric = try (f(up) - f(down)) / (2 * h)
    let error = abs(numeric - analytic[index]) / max(1, abs(analytic[index]))
    #expect(
      error < 1e-7, "\(what) [\(index)]: \(analytic[index]), by differences \(numeric)", sourceLocation: sourceLocation)
  }
}

private func randomValues(_ count: Int, seed: UInt64) -> [Double] {
  var random = CounterRandom(seed: seed, purpose: .weightInitialization)
  return (0..<count).map { _ in random.normal() }
}

/// Σ w·y: a loss whose gradient for y is w.
private func weighted(_ y: [Double], _ w: [Double]) -> Double { zip(y, w).reduce(0) { $0 + $1.0 * $1.1 } }

private typealias Maps = FeatureMaps<Double>
private let pool = ThreadPool(threads: 2)

@Suite struct CentralDifferencesTests {
  struct Convolution: CustomTestStringConvertible {
    let convolution: ReferenceConvolution
    let input: FeatureShape
    let output: FeatureShape
    var testDescription: String {
      "\(convolution.kernel)×\(convolution.kernel)/\(convolution.stride) \(input) → \(output)"
    }
  }

  @Test(arguments: [
    Convolution(
      convolution: .init(kernel: 7, stride: 2, padding: 3), input: .init(channels: 3, height: 9, width: 6),
      output: .init(channels: 4, height: 5, width: 3)),
    Convolution(
      convolution: .init(kernel: 3, stride: 1, padding: 1), input: .init(channels: 2, height: 5, width: 1),
      output: .init(channels: 3, height: 5, width: 1)),
    Convolution(
      convolution: .init(kernel: 1, stride: 1, padding: 0), input: .init(channels: 5, height: 3, width: 4),
      output: .init(channels: 2, height: 3, width: 4)),
  ])
  func `a convolution's gradients are its slopes`(_ c: Convolution) {
    // Five images fill the four groups of the weight gradient unevenly.
    let count = 5
    let x = randomValues(count * c.input.count, seed: 1)
    let size = c.output.channels * c.input.channels * c.convolution.kernel * c.convolution.kernel
    let weights = randomValues(size, seed: 2)
    let dy = randomValues(count * c.output.count, seed: 3)
    func output(_ x: [Double], _ weights: [Double]) -> Double {
      let y = c.convolution.forward(
        Maps(count: count, shape: c.input, values: x), weights: weights[...], output: c.output, pool: pool)
      return weighted(y.values, dy)
    }
    let gradient = Maps(count: count, shape: c.output, values: dy)
    let dx = c.convolution.inputGradient(gradient, weights: weights[...], input: c.input, pool: pool)
    expectGradient(dx.values, of: { output($0, weights) }, at: x, "input")
    var dw = [Double](repeating: 0, count: size)
    c.convolution.accumulateWeightGradient(
      Maps(count: count, shape: c.input, values: x), outputGradient: gradient, into: &dw, at: 0..<size, pool: pool)
    expectGradient(dw, of: { output(x, $0) }, at: weights, "weights")
  }

  @Test func `a batch norm's gradients are its slopes`() throws {
    let shape = FeatureShape(channels: 3, height: 2, width: 5)
    let x = randomValues(2 * shape.count, seed: 1).map { 3 * $0 + 2 }
    let (scale, shift) = (randomValues(3, seed: 2), randomValues(3, seed: 3))
    let dy = randomValues(x.count, seed: 4)
    func output(_ x: [Double], _ scale: [Double], _ shift: [Double]) throws -> Double {
      let maps = Maps(count: 2, shape: shape, values: x)
      let statistics = try ReferenceNormalization(batch: maps, epsilon: 1e-5, pool: pool, over: SoleRank())
      return weighted(statistics.forward(maps, scale: scale[...], shift: shift[...], pool: pool).values, dy)
    }
    let maps = Maps(count: 2, shape: shape, values: x)
    let gradients = try ReferenceNormalization(batch: maps, epsilon: 1e-5, pool: pool, over: SoleRank()).backward(
      maps, outputGradient: Maps(count: 2, shape: shape, values: dy), scale: scale[...], pool: pool, over: SoleRank())
    try expectGradient(gradients.input.values, of: { try output($0, scale, shift) }, at: x, "input")
    try expectGradient(gradients.scale, of: { try output(x, $0, shift) }, at: scale, "scale")
    try expectGradient(gradients.shift, of: { try output(x, scale, $0) }, at: shift, "shift")
  }

  @Test func `ReLU, joining and the pools have their slopes as gradients`() {
    let shape = FeatureShape(channels: 2, height: 5, width: 7)
    let x = randomValues(2 * shape.count, seed: 5)
    let maps = Maps(count: 2, shape: shape, values: x)
    func at(_ values: [Double]) -> Maps { Maps(count: 2, shape: shape, values: values) }

    let dyRectified = randomValues(x.count, seed: 6)
    expectGradient(
      at(dyRectified).gated(by: maps.rectified(pool: pool), pool: pool).values,
      of: { weighted(at($0).rectified(pool: pool).values, dyRectified) }, at: x, "ReLU")

    let maximum = FeatureShape(channels: 2, height: 3, width: 4)
    let dyMaximum = randomValues(2 * maximum.count, seed: 7)
    let (_, sources) = ReferenceMaxPool.forward(maps, output: maximum, pool: pool)
    expectGradient(
      ReferenceMaxPool.backward(Maps(count: 2, shape: maximum, values: dyMaximum), sources: sources, input: shape)
        .values,
      of: { weighted(ReferenceMaxPool.forward(at($0), output: maximum, pool: pool).0.values, dyMaximum) }, at: x,
      "max pool")

    let average = FeatureShape(channels: 2, height: 2, width: 3)
    let dyAverage = randomValues(2 * average.count, seed: 8)
    expectGradient(
      ReferenceAveragePool.backward(Maps(count: 2, shape: average, values: dyAverage), input: shape).values,
      of: { weighted(ReferenceAveragePool.forward(at($0), output: average).values, dyAverage) }, at: x, "average pool")

    let dyGlobal = randomValues(4, seed: 9)
    expectGradient(
      ReferenceGlobalAverage.backward(dyGlobal, count: 2, input: shape).values,
      of: { weighted(ReferenceGlobalAverage.forward(at($0)), dyGlobal) }, at: x, "global average")

    let dyJoined = randomValues(2 * x.count, seed: 10)
    var joined = shape
    joined.channels *= 2
    let (first, second) = Maps(count: 2, shape: joined, values: dyJoined).split(at: 2)
    expectGradient(first.values, of: { weighted(at($0).joined(with: maps).values, dyJoined) }, at: x, "joined in front")
    expectGradient(second.values, of: { weighted(maps.joined(with: at($0)).values, dyJoined) }, at: x, "joined behind")
  }

  @Test func `the loss's gradients are its slopes, and unknown labels have none`() {
    let logits = randomValues(6, seed: 11).map { 4 * $0 }
    let labels = LabelBatch([.positive, .negative, .unknown, .negative, .positive, .positive])
    let weights = ClassWeights(positive: [2, 0.5, 1], negative: [0.25, 3, 1])
    for weights in [nil, weights] {
      let (_, gradients) = ReferenceLoss.forward(logits: logits, labels: labels, weights: weights, classCount: 3)
      expectGradient(
        gradients,
        of: { ReferenceLoss.forward(logits: $0, labels: labels, weights: weights, classCount: 3).sum }, at: logits,
        "logits")
      #expect(gradients[2] == 0)
    }
  }

  @Test func `the loss stays finite at the largest logits`() throws {
    let (sum, gradients) = ReferenceLoss.forward(
      logits: [1e4, -1e4, 1e4, -1e4] as [Float], labels: LabelBatch([.positive, .negative, .negative, .positive]),
      weights: nil, classCount: 2)
    #expect(sum == 2e4)
    #expect(gradients == [0, 0, 1, -1])
  }

  @Test(arguments: [true, false])
  func `the whole network's gradients are its slopes`(hasFinalReLU: Bool) throws {
    let architecture = DenseNetArchitecture(
      growthRate: 2, blockSizes: [2, 1], initialFeatures: 4, classCount: 3, hasFinalReLU: hasFinalReLU)
    let plan = try Plan(architecture, mode: .training, batchSize: 2, height: 20, width: 24)
    var start = Weights(initializing: architecture, seed: 5).values.map { Double($0) }
    // Shifts away from zero keep the ReLUs' kinks away from the means.
    let noise = randomValues(start.count, seed: 6)
    for index in start.indices { start[index] += 0.1 * noise[index] }
    let images = randomValues(2 * plan.image.count, seed: 7)
    let labels = LabelBatch([.positive, .negative, .unknown, .negative, .positive, .positive])

    func run(_ values: [Double], _ images: [Double]) throws -> (
      loss: Double, session: ReferenceSession<Double>, images: [Double]
    ) {
      let session = ReferenceSession<Double>(plan, pool: pool)
      session.values = values
      let result = try session.accumulate(
        images, count: 2, labels: labels, weights: nil, lossScale: 0.2, wantsImageGradients: true)
      return (result.lossSum * 0.2, session, result.imageGradients)
    }
    let trained = plan.layout.trainedCount
    let result = try run(start, images)
    try expectGradient(
      result.session.accumulatedGradients, of: { try run($0 + start[trained...], images).loss },
      at: Array(start[..<trained]),
      "parameter")
    try expectGradient(result.images, of: { try run(start, $0).loss }, at: images, "image")
  }
}
