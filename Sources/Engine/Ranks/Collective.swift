import Foundation

/// Processes that work on one thing together: each calls the same functions in the same order.
///
/// Sums have the same bits in every process, and the same in every run of the same processes.
public protocol Collective: AnyObject {
  /// This process, from 0.
  var rank: Int { get }
  /// How many there are.
  var size: Int { get }
  /// This process among those of its host, from 0, and how many they are.
  var local: (rank: Int, size: Int) { get }
  /// The host of each process.
  var hosts: [String] { get }

  /// Seconds that another process is waited for.
  var timeout: Double { get }

  /// What is done next, for the message that names who did not come: `step 1204`.
  var place: String { get set }

  /// Replaces the values by their sums over all processes.
  func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(BackendError)
  func sum(_ values: UnsafeMutableBufferPointer<Double>) throws(BackendError)

  /// What process 0 has.
  func broadcast(_ bytes: [UInt8]) throws(BackendError) -> [UInt8]

  /// Waits until all have come here.
  func barrier() throws(BackendError)

  /// Ends all processes with `status`.
  func abort(_ status: Int32) -> Never

  /// Leaves; nothing may be called behind it.
  func finish()
}

extension Collective {
  /// The sums of `values` over all processes.
  public func sum(_ values: [Double]) throws(BackendError) -> [Double] {
    var values = values
    if size > 1 {
      // A closure that throws a typed error through `withUnsafeMutableBufferPointer` is no closure of its own.
      var result: Result<Void, BackendError> = .success(())
      values.withUnsafeMutableBufferPointer { buffer in
        do throws(BackendError) {
          try sum(buffer)
        } catch {
          result = .failure(error)
        }
      }
      try result.get()
    }
    return values
  }

  /// Replaces the values by their mean over those processes that take part.
  public func average(_ values: UnsafeMutableBufferPointer<Float>, takesPart: Bool) throws(BackendError) {
    if !takesPart { values.update(repeating: 0) }
    let parts = Float(try sum([takesPart ? 1 : 0])[0])
    try sum(values)
    for index in values.indices { values[index] /= max(parts, 1) }
  }

  /// What each process has, in their order. For little: bytes travel as sums of Doubles.
  public func gather(_ bytes: [UInt8]) throws(BackendError) -> [[UInt8]] {
    var counts = [Double](repeating: 0, count: size)
    counts[rank] = Double(bytes.count)
    let lengths = try sum(counts).map { Int($0) }
    let start = lengths[..<rank].reduce(0, +)
    var all = [Double](repeating: 0, count: lengths.reduce(0, +))
    for (place, byte) in bytes.enumerated() { all[start + place] = Double(byte) }
    all = try sum(all)
    var end = 0
    return lengths.map { length in
      end += length
      return all[end - length..<end].map { UInt8($0) }
    }
  }

  /// `8 ranks on 2 hosts, 4 threads each`
  public func text(threads: Int) -> String {
    func counted(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }
    return "\(counted(size, "rank")) on \(counted(Set(hosts).count, "host")), \(counted(threads, "thread")) each"
  }

  /// The part of `count` things that this process takes: near equal, in order, none twice.
  public func share(of count: Int) -> Range<Int> { Share(part: rank, parts: size).range(count) }
}

/// One process alone.
public final class SoleRank: Collective {
  public let (rank, size) = (0, 1)
  public let local = (rank: 0, size: 1)
  public let hosts = ["localhost"]
  public let timeout = Double.infinity
  public var place = ""

  public init() {}

  public func sum(_ values: UnsafeMutableBufferPointer<Float>) {}
  public func sum(_ values: UnsafeMutableBufferPointer<Double>) {}
  public func broadcast(_ bytes: [UInt8]) -> [UInt8] { bytes }
  public func barrier() {}
  public func abort(_ status: Int32) -> Never { exit(status) }
  public func finish() {}
}
