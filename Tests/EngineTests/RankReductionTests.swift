import Foundation
import Platform
import Tensors
import Testing

@testable import Engine

/// The processes of a test: threads, whose sums are taken in the order of the ranks.
private final class ThreadGroup: @unchecked Sendable {
  private let size: Int
  private let condition = NSCondition()
  private var parts: [Int: [Double]] = [:]
  private var sums: [Double] = []
  private var taken = 0

  init(size: Int) { self.size = size }

  /// Each thread's `values`, summed over all.
  func sum(_ values: [Double], _ rank: Int) -> [Double] {
    condition.lock()
    defer { condition.unlock() }
    while taken > 0 { condition.wait() }
    parts[rank] = values
    if parts.count == size {
      sums = (1..<size).reduce(parts[0] ?? []) { sums, rank in zip(sums, parts[rank] ?? []).map { $0 + $1 } }
      parts = [:]
      taken = size
      condition.broadcast()
    } else {
      while taken == 0 { condition.wait() }
    }
    taken -= 1
    condition.broadcast()
    return sums
  }

  final class Rank: Collective {
    let group: ThreadGroup
    let rank: Int
    let size: Int
    let hosts: [String]
    var place = ""
    var local: (rank: Int, size: Int) { (rank, size) }

    init(_ group: ThreadGroup, _ rank: Int) {
      (self.group, self.rank, size) = (group, rank, group.size)
      hosts = (0..<size).map { _ in "here" }
    }

    func sum(_ values: UnsafeMutableBufferPointer<Float>) {
      for (index, sum) in group.sum(values.map { Double($0) }, rank).enumerated() { values[index] = Float(sum) }
    }
    func sum(_ values: UnsafeMutableBufferPointer<Double>) {
      for (index, sum) in group.sum(Array(values), rank).enumerated() { values[index] = sum }
    }
    func broadcast(_ bytes: [UInt8]) -> [UInt8] {
      group.sum(rank == 0 ? bytes.map { Double($0) } : bytes.map { _ in 0 }, rank).map { UInt8($0) }
    }
    func barrier() { _ = group.sum([], rank) }
    func abort(_ status: Int32) -> Never { exit(status) }
    func finish() {}
  }

  /// `body` in a thread of its own for each rank, for they wait for each other; what each returns.
  static func run<Value: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (any Collective) throws -> Value
  ) throws -> [Value] {
    let group = ThreadGroup(size: size)
    let results = Results<Value>(size: size)
    for rank in 0..<size {
      Thread.detachNewThread { results.set(rank, Result { try body(Rank(group, rank)) }) }
    }
    return try results.wait().map { try $0.get() }
  }

  private final class Results<Value: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var values: [Result<Value, any Error>?]

    init(size: Int) { values = [Result<Value, any Error>?](repeating: nil, count: size) }

    func set(_ rank: Int, _ value: Result<Value, any Error>) {
      condition.lock()
      values[rank] = value
      condition.broadcast()
      condition.unlock()
    }

    func wait() -> [Result<Value, any Error>] {
      condition.lock()
      defer { condition.unlock() }
      while values.contains(where: { $0 == nil }) { condition.wait() }
      return values.compactMap(\.self)
    }
  }
}

@Suite struct RankReductionTests {
  private static let network = ConformanceCase.training.first { $0.hasDecidedGates && $0.magnitude == 1 }

  /// Images and labels of a rank.
  private static func data(_ plan: Plan, rank: Int) -> (ImageBatch, LabelBatch) {
    var random = CounterRandom(seed: 3, purpose: .shuffle, sample: rank)
    let count = 2
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
      session.load(weights)
      return session
    }
    // Rank 1 has no images; alone, rank 0 has.
    func hasImages(_ rank: Int) -> Bool { rank != 1 }
    let apart = try (0..<ranks).filter(hasImages).map { rank in
      let session = try session()
      let (images, labels) = Self.data(plan, rank: rank)
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
      _ = try session.apply(step)
      return session.readWeights().values
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
      return session.readWeights().values
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
