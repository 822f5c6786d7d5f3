import Platform
import Tensors
import TestSupport
import Testing

@testable import Engine

@Suite struct RankReductionTests {
  private static let network = ConformanceCase.training.first { $0.hasDecidedGates && $0.magnitude == 1 }

  /// Images and labels of a rank.
  private static func data(_ plan: Plan, rank: Int, count: Int = 2) -> (ImageBatch, LabelBatch) {
    var random = CounterRandom(seed: 3, purpose: .shuffle, sample: rank)
    let pixels = (0..<count * plan.image.count).map { _ in Float(random.normal()) }
    let labels = (0..<count * plan.architecture.classCount).map { _ in
      random.uniform() < 0.5 ? Label.positive : .negative
    }
    return (ImageBatch(count: count, shape: plan.image, pixels: pixels), LabelBatch(labels))
  }

  /// SGD with rate 1 and no decay leaves weights less gradient: the gradients are seen without asking for them.
  @Test(arguments: ["cpu", "reference"], [1, 2, 3])
  func `gradients are summed, and running statistics averaged over those that had images`(name: String, ranks: Int)
    throws
  {
    let network = try #require(Self.network)
    let plan = try network.plan()
    let weights = network.weights()
    let step = OptimizerStep(optimizer: .sgd(momentum: 0, nesterov: false), learningRate: 1, weightDecay: 0)
    let trained = plan.layout.trainedCount
    @Sendable func session() throws -> any Session {
      let session = try backend(named: name, pool: ThreadPool(threads: 1)).makeSession(plan)
      try session.load(weights)
      return session
    }
    // Rank 1 has no images; alone, rank 0 has.
    func hasImages(_ rank: Int) -> Bool { rank != 1 }
    let apart = try (0..<ranks).filter(hasImages).map { rank in
      let session = try session()
      let (images, labels) = Self.data(plan, rank: rank)
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
      _ = try session.apply(step)
      return try session.readWeights().values
    }
    let found = try ThreadGroup.run(ranks) { collective in
      let session = try session()
      let hasImages = collective.rank != 1
      if hasImages {
        let (images, labels) = Self.data(plan, rank: collective.rank)
        _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
      }
      try session.reduce(over: collective, hasImages: hasImages)
      _ = try session.apply(step)
      return try session.readWeights().values
    }
    #expect(found.allSatisfy { $0 == found[0] })
    // Of a weight, a difference to it, and a sum of at most two: three roundings.
    for index in 0..<plan.layout.count {
      let before = Double(weights.values[index])
      let expected =
        index < trained
        ? before + apart.reduce(0) { $0 + (Double($1[index]) - before) }
        : apart.reduce(0) { $0 + Double($1[index]) } / Double(apart.count)
      let largest = max(abs(expected), abs(before), apart.map { abs(Double($0[index])) }.max() ?? 0)
      #expect(abs(Double(found[0][index]) - expected) <= 4 * largest * 0x1p-24 + 1e-30, "\(index)")
    }
  }

  /// How the images of a step are shared out: evenly, unevenly, and with nothing for the first or another rank.
  static let shares = [[2, 2], [3, 1], [0, 4], [1, 1, 0, 2]]

  /// The textbook in Double, so that only the order of sums differs: ten steps of SGD, to 10⁻⁹ as `PyTorchReferenceTests` derives it.
  @Test(arguments: shares) func `in Double, synchronised ranks are one process on the joined batch`(shares: [Int])
    throws
  {
    let found = try Self.tenSteps(shares, Self.textbook, values: Self.doubles)
    let alone = try Self.tenSteps([4], Self.textbook, values: Self.doubles)
    for values in found { expectClose(values, alone[0], 1e-9) }
  }

  private static let textbook: @Sendable (Plan) -> any Session = {
    ReferenceSession<Double>($0, pool: ThreadPool(threads: 1))
  }

  private static let doubles: @Sendable (any Session) -> [Double] = { ($0 as? ReferenceSession<Double>)?.values ?? [] }

  /// In Float ten steps differ by the order of sums alone: 10⁻⁵, as the executable under `mpirun` is held to.
  @Test(arguments: shares, ["cpu", "reference"])
  func `in Float, synchronised ranks are one process on the joined batch`(shares: [Int], name: String) throws {
    func values(_ shares: [Int]) throws -> [[Double]] {
      try Self.tenSteps(shares) {
        try backend(named: name, pool: ThreadPool(threads: 1)).makeSession($0)
      } values: {
        try $0.readWeights().values.map { Double($0) }
      }
    }
    let (found, alone) = (try values(shares), try values([4]))
    // Every rank has the same bits, the running statistics too.
    for values in found.dropFirst() { #expect(values == found[0]) }
    expectClose(found[0], alone[0], 1e-5)
  }

  /// The network's values in each rank after ten steps of SGD on four images, of which rank r takes the next `shares[r]`.
  private static func tenSteps(
    _ shares: [Int], _ make: @escaping @Sendable (Plan) throws -> any Session,
    values: @escaping @Sendable (any Session) throws -> [Double]
  ) throws -> [[Double]] {
    let network = try #require(Self.network)
    let plan = try Plan(
      network.architecture, mode: .training, batchSize: 4, height: network.height, width: network.width)
    let (weights, batch) = (network.weights(), data(plan, rank: 0, count: 4))
    let (pixels, labels) = (batch.0.pixels, batch.1.labels)
    return try ThreadGroup.run(shares.count) { collective in
      let session = try make(plan)
      try session.load(weights)
      try session.synchronizeBatchNorm(over: collective)
      let first = shares[..<collective.rank].reduce(0, +)
      let own = first..<first + shares[collective.rank]
      let classes = plan.architecture.classCount
      for _ in 0..<10 {
        _ = try session.accumulateGradients(
          ImageBatch(
            count: own.count, shape: plan.image,
            pixels: Array(pixels[own.lowerBound * plan.image.count..<own.upperBound * plan.image.count])),
          labels: LabelBatch(Array(labels[own.lowerBound * classes..<own.upperBound * classes])), weights: nil,
          lossScale: 1 / Double(labels.count))
        try session.reduce(over: collective, hasImages: !own.isEmpty)
        _ = try session.apply(
          OptimizerStep(optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 0.05, weightDecay: 1e-4))
      }
      return try values(session)
    }
  }

  /// Each value to `tolerance` of itself, or of a hundredth of the largest: what is near zero is a difference of larger ones.
  private func expectClose(_ found: [Double], _ expected: [Double], _ tolerance: Double) {
    let floor = 1e-2 * (expected.map(abs).max() ?? 0)
    #expect(found.count == expected.count)
    // What is not a number is close to none.
    let far = zip(found, expected).filter { !(abs($0 - $1) <= tolerance * max(abs($1), floor)) }
    #expect(far.isEmpty, "\(far.count) of \(expected.count): \(far.prefix(3))")
  }

  @Test func `shares cover everything once, in order`() {
    for size in 1...5 {
      let group = ThreadGroup(size: size)
      for count in [0, 1, 2, 7, 20] {
        let shares = (0..<size).map { ThreadGroup.Rank(group, $0).share(of: count) }
        #expect(shares.flatMap(Array.init) == Array(0..<count))
        #expect((shares.map(\.count).max() ?? 0) - (shares.map(\.count).min() ?? 0) <= 1)
      }
    }
  }

  @Test func `what fails in one rank fails in all, and is told by one`() throws {
    let ids = try ThreadGroup.run(3) { collective -> String in
      do throws(BackendError) {
        try collective.together(wrapped: { _ in .ranks(.call("told", reason: "")) }) { () throws(BackendError) in
          if collective.rank > 0 { throw .notFinite(what: "a number") }
        }
        return "went on"
      } catch {
        return error.diagnosis.id
      }
    }
    // The test wraps both kinds as `told`: rank 1's own error with its rank, and what the others learn.
    #expect(ids == ["ranks.mpi", "ranks.mpi", "ranks.mpi"])
    let common = try ThreadGroup.run(2) { collective -> Platform.ExitStatus in
      do throws(BackendError) {
        try collective.together(wrapped: { _ in .ranks(.elsewhere(rank: 0, host: "here", .diverged)) }) {
          () throws(BackendError) in throw .notFinite(what: "a number")
        }
        return .done
      } catch {
        return error.diagnosis.exit
      }
    }
    #expect(common == [.diverged, .diverged])
  }
}
