import CKernels
import Platform
import TestSupport
import Tensors
import Testing

@testable import Engine

private func doubles(_ values: some Sequence<Float>) -> [Double] { values.map { Double($0) } }

private func cpuSession(_ plan: Plan, threads: Int = 2, level: ck_level = ck_best_level()) throws -> CPUSession {
  try #require(CPUBackend(threads: threads, level: level).makeSession(plan) as? CPUSession)
}

private func labels(_ network: RandomNetwork) -> LabelBatch {
  LabelBatch(
    (0..<network.count * network.architecture.classCount).map { [.positive, .negative, .negative, .unknown][$0 % 4] })
}

@Suite struct CPUTrainingTests {
  static let networks =
    RandomNetwork.corners.filter { $0.count > 1 } + [
      // The batch norms of the last block see 12 values of one image, or 16 images of one pixel.
      .small(3, [2, 1], stem: 6, 32, 48, 1), .small(4, [1, 2, 1], stem: 8, channels: 1, 16, 16, 16),
      .small(7, [2, 2], stem: 10, 40, 41, 5), .small(33, [2, 1], stem: 34, 33, 32, 16), .densenet121(64, 4),
    ]

  /// Networks and weights in which no gate hangs on the last digit: an activation within 10⁻⁶ of zero opens in one precision and not in
  /// the other, which moves a gradient by up to 10⁻² (the textbook in Float differs from itself in Double by as much). Small networks with
  /// these seeds have none; larger ones get weights with which whole channels are open or shut.
  static let decided =
    networks.map { ($0, true) }
    + networks.filter { $0.architecture.growthRate < 12 || $0.architecture.growthRate == 33 }.map { ($0, false) }

  /// Float against Double, in the 2-norm. Some √(layers) roundings of 2⁻²⁴ and sums of random errors make 10⁻⁶ of the whole gradient, which is
  /// what the textbook in Float has too; 10⁻⁵ leaves a factor of ten. A tensor whose gradient is a difference of large terms has
  /// ten times as much. A wrong term is off by 10⁻² or more.
  @Test(arguments: decided)
  func `gradients, running statistics and loss are the reference's at Double`(
    network: RandomNetwork, hasDecidedGates: Bool
  ) throws {
    let plan = try network.plan(.training)
    let weights = network.weights(seed: 3, hasDecidedGates: hasDecidedGates)
    let (images, labels) = (try network.images(seed: 4), labels(network))
    let reference = ReferenceSession<Double>(plan, pool: ThreadPool(threads: 2))
    reference.load(weights)
    let expected = reference.accumulate(
      doubles(images.pixels), count: images.count, labels: labels, weights: nil, lossScale: 0.1)
    for level in network.height == 64 && network.count == 4 ? [ck_best_level()] : [CK_REFERENCE, CK_AVX512] {
      let session = try cpuSession(plan, level: level)
      session.load(weights)
      let outcome = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
      let what = "\(network.testDescription), level \(level.rawValue)"
      #expect(relativeDifference(doubles(outcome.logits), expected.tape.logits) < 1e-4, "\(what)")
      #expect(abs(outcome.lossSum - expected.lossSum) < 1e-4 * expected.lossSum, "\(what)")
      let (found, values) = (session.accumulatedGradients, session.readWeights().values)
      let whole = reference.accumulatedGradients.reduce(0) { $0 + $1 * $1 }
      var error = 0.0
      for parameter in plan.layout.parameters {
        guard parameter.isTrained else {
          let difference = relativeDifference(
            doubles(values[parameter.range]), Array(reference.values[parameter.range]))
          #expect(difference < 1e-4, "\(what): \(parameter.name) differs by \(difference)")
          continue
        }
        var (size, distance) = (0.0, 0.0)
        for index in parameter.range {
          let (mine, theirs) = (Double(found[index]), reference.accumulatedGradients[index])
          size += theirs * theirs
          distance += (mine - theirs) * (mine - theirs)
        }
        #expect(
          distance <= 1e-6 * size + 1e-11 * whole,
          "\(what): \(parameter.name) differs by \((distance / size).squareRoot())")
        error += distance
      }
      #expect(error < 1e-10 * whole, "\(what): the gradient differs by \((error / whole).squareRoot())")
    }
  }

  @Test(arguments: networks) func `training has the same bits on 1, 2, 3 and 4 threads`(network: RandomNetwork) throws {
    let plan = try network.plan(.training)
    let (weights, images, labels) = (network.weights(seed: 3), try network.images(seed: 4), labels(network))
    let results = try [1, 2, 3, 4].map { threads in
      let session = try cpuSession(plan, threads: threads)
      session.load(weights)
      for _ in 0..<2 {
        _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
        _ = try session.apply(
          OptimizerStep(optimizer: .adamW, learningRate: 1e-3, weightDecay: 1e-2, clipNorm: 1))
      }
      return session.readWeights()
    }
    #expect(results.allSatisfy { $0 == results[0] })
  }

  private func fixtureSession(_ network: SmallNetwork) throws -> CPUSession {
    let plan = try Plan(
      network.architecture, mode: .training, batchSize: network.count, height: network.height, width: network.width)
    let session = try cpuSession(plan)
    session.load(try network.session(Float.self, mode: .training).readWeights())
    return session
  }

  private func fixtureImages(_ network: SmallNetwork, _ session: CPUSession) throws -> ImageBatch {
    ImageBatch(count: network.count, shape: session.plan.image, pixels: try network.images(Float.self))
  }

  /// 2·10⁻⁴ is derived in `PyTorchReferenceTests`; both networks keep every gate's input over 10⁻⁴ from zero.
  @Test(arguments: [1, 2]) func `the fixtures' gradients and running statistics are PyTorch's`(which: Int) throws {
    let network = which == 1 ? try SmallNetwork.first() : try SmallNetwork.second()
    let (session, labels) = (try fixtureSession(network), try network.labels())
    let known = Double(labels.knownCount)
    let outcome = try session.accumulateGradients(
      try fixtureImages(network, session), labels: labels, weights: nil, lossScale: 1 / known)
    #expect(relativeDifference(doubles(outcome.logits), try network.recorded.values("train.logits")) < 1e-5)
    #expect(relativeDifference([outcome.lossSum / known], try network.recorded.values("train.loss")) < 1e-5)
    let values = session.readWeights().values
    for parameter in session.plan.layout.parameters {
      let name = (parameter.isTrained ? "gradient." : "running.") + parameter.name
      let found = parameter.isTrained ? session.accumulatedGradients[parameter.range] : values[parameter.range]
      let difference = relativeDifference(doubles(found), try network.recorded.values(name))
      #expect(difference < 2e-4, "\(name) differs by \(difference)")
    }
  }

  /// 10⁻⁴ is derived in `PyTorchReferenceTests`.
  @Test(arguments: OptimizerRun.all) func `the ten losses are PyTorch's to 10⁻⁴`(run: OptimizerRun) throws {
    let network = try SmallNetwork.first()
    let (session, labels) = (try fixtureSession(network), try network.labels())
    let (known, images) = (Double(labels.knownCount), try fixtureImages(network, session))
    var losses: [Double] = []
    for _ in 0..<run.steps {
      let outcome = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 1 / known)
      losses.append(outcome.lossSum / known)
      _ = try session.apply(run.step)
    }
    let difference = relativeDifference(losses, try network.recorded.values(run.name + ".losses"))
    #expect(difference < 1e-4, "\(run.name): \(difference)")
  }

  @Test func `two micro-batches add up, and moments survive a round trip`() throws {
    let network = try SmallNetwork.first()
    let (session, labels) = (try fixtureSession(network), try network.labels())
    let images = try fixtureImages(network, session)
    let start = session.readWeights()
    _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.5)
    let once = session.accumulatedGradients
    session.load(start)
    _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.5)
    // The classifier's gradients are added image by image, so that a sum of two need not be twice one to the last bit.
    #expect(relativeDifference(doubles(session.accumulatedGradients), doubles(once).map { 2 * $0 }) < 1e-6)

    let step = OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 0)
    _ = try session.apply(step)
    let other = try fixtureSession(network)
    other.load(session.readWeights())
    other.load(session.readMoments())
    for session in [session, other] {
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.5)
      _ = try session.apply(step)
    }
    #expect(session.readWeights() == other.readWeights())
    #expect(session.readMoments() == other.readMoments())
    #expect(session.readMoments().steps == 2)
  }

  @Test func `a gradient that is not finite changes nothing`() throws {
    let network = try SmallNetwork.first()
    let session = try fixtureSession(network)
    var pixels = try network.images(Float.self)
    pixels[5] = .nan
    let images = ImageBatch(count: network.count, shape: session.plan.image, pixels: pixels)
    _ = try? session.accumulateGradients(images, labels: try network.labels(), weights: nil, lossScale: 1)
    let trained = session.plan.layout.trainedCount
    let before = session.readWeights().values[..<trained]
    #expect(throws: BackendError.notFinite(what: "a gradient")) {
      try session.apply(OptimizerStep(optimizer: .adam, learningRate: 1, weightDecay: 0))
    }
    #expect(session.readWeights().values[..<trained] == before)
  }

  @Test func `a batch smaller than the plan's is trained on as it is`() throws {
    let network = RandomNetwork.small(4, [2, 1], stem: 8, 40, 40, 3)
    let (weights, images, labels) = (network.weights(seed: 3), try network.images(seed: 4), labels(network))
    let gradients = try [3, 8].map { batchSize in
      let session = try cpuSession(try network.plan(.training, batchSize: batchSize))
      session.load(weights)
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 1)
      return session.accumulatedGradients
    }
    #expect(gradients[0] == gradients[1])
  }
}
