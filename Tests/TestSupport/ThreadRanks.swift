import Engine
import Foundation

/// The processes of a test: threads, whose sums are taken in the order of the ranks.
public final class ThreadGroup: @unchecked Sendable {
  private let size: Int
  private let condition = NSCondition()
  private var parts: [Int: [Double]] = [:]
  private var sums: [Double] = []
  private var taken = 0

  public init(size: Int) { self.size = size }

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

  public final class Rank: Collective {
    private let group: ThreadGroup
    public let rank: Int
    public let size: Int
    public let hosts: [String]
    public let timeout = 60.0
    public var place = ""
    public var local: (rank: Int, size: Int) { (rank, size) }

    public init(_ group: ThreadGroup, _ rank: Int) {
      (self.group, self.rank, size) = (group, rank, group.size)
      hosts = (0..<size).map { _ in "here" }
    }

    public func sum(_ values: UnsafeMutableBufferPointer<Float>) {
      for (index, sum) in group.sum(values.map { Double($0) }, rank).enumerated() { values[index] = Float(sum) }
    }
    public func sum(_ values: UnsafeMutableBufferPointer<Double>) {
      for (index, sum) in group.sum(Array(values), rank).enumerated() { values[index] = sum }
    }
    public func broadcast(_ bytes: [UInt8]) -> [UInt8] {
      group.sum(rank == 0 ? bytes.map { Double($0) } : bytes.map { _ in 0 }, rank).map { UInt8($0) }
    }
    public func barrier() { _ = group.sum([], rank) }
    public func abort(_ status: Int32) -> Never { exit(status) }
    public func finish() {}
  }

  /// `body` in a thread of its own for each rank, for they wait for each other; what each returns.
  public static func run<Value: Sendable>(
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
