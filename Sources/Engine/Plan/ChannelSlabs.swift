import CKernels

/// Which channels lie in which slab of 32: every producer (a stem, a transition, a dense layer) begins a slab of its own, so that joining
/// is no more than a longer list.
public struct ChannelSlabs: Equatable, Sendable {
  /// Channels of a slab.
  public static let lanes = Int(CK_LANES)

  /// The channels of each slab, at most 32; the lanes behind them are zero.
  public private(set) var slabs: [Range<Int>] = []

  public init(_ channels: Int) { append(channels) }

  public var count: Int { slabs.count }
  public var lanes: Int { slabs.count * Self.lanes }

  public mutating func append(_ channels: Int) {
    let first = slabs.last?.upperBound ?? 0
    for start in stride(from: first, to: first + channels, by: Self.lanes) {
      slabs.append(start..<min(start + Self.lanes, first + channels))
    }
  }

  /// Calls `body` with every channel and its lane, over the first `prefix` slabs (nil: all).
  @inline(__always)
  func forEachChannel(prefix: Int? = nil, _ body: (_ channel: Int, _ lane: Int) -> Void) {
    for slab in 0..<(prefix ?? slabs.count) {
      let channels = slabs[slab]
      for channel in channels { body(channel, slab * Self.lanes + channel - channels.lowerBound) }
    }
  }
}
