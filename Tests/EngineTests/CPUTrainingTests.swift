import Platform
import TestSupport
import Tensors
import Testing

@testable import Engine

private func doubles(_ values: some Sequence<Float>) -> [Double] { values.map { Double($0) } }

private func cpuSession(_ plan: Plan, threads: Int = 2, level: InstructionSet = .best) throws -> CPUSession {
  try #require(CPUBackend(threads: threads, level: level).makeSession(plan) as? CPUSession)
}

@Suite struct CPUTrainingTests {
  private static let networks = ConformanceCase.training.filter { $0.hasDecidedGates && $0.magnitude == 1 }

  /// Nine threads are more than two for each group of images, whose slabs they share then.
  @Test(arguments: Precision.allCases, networks)
  func `training has the same bits on any number of threads, and in less memory`(
    precision: Precision, network: ConformanceCase
  ) throws {
    let plan = try network.plan()
    let (weights, images, labels) = (network.weights(), try network.images(), network.labels)
    let isSmall = network.architecture.blockSizes.reduce(0, +) < 50
    let runs = isSmall ? [(1, false), (2, true), (3, false), (4, true), (9, false)] : [(1, false), (2, true)]
    let results = try runs.map { threads, isMemoryEfficient in
      let backend = CPUBackend(threads: threads, precision, isMemoryEfficient: isMemoryEfficient)
      let session = backend.makeSession(plan)
      try session.load(weights)
      for _ in 0..<2 {
        _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
        _ = try session.apply(
          OptimizerStep(optimizer: .adamW, learningRate: 1e-3, weightDecay: 1e-2, clipNorm: 1))
      }
      return try session.readWeights()
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
    var network = ConformanceCase.small(4, [2, 1], stem: 8, 40, 40, 3)
    network.mode = .training
    let (weights, images, labels) = (network.weights(), try network.images(), network.labels)
    let gradients = try [3, 8].map { batchSize in
      let session = try cpuSession(try network.plan(batchSize: batchSize))
      session.load(weights)
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 1)
      return session.accumulatedGradients
    }
    #expect(gradients[0] == gradients[1])
  }
}
