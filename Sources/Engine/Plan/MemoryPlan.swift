/// Places for buffers that live for a while each: two may lie in the same place where their lives do not overlap.
public struct MemoryPlan {
  /// Stands for a buffer; index of its start in `starts`.
  public struct Buffer: Equatable, Sendable { fileprivate let index: Int }

  private struct Request {
    let bytes: Int
    /// Of bytes in whole lines, and a line more.
    let size: Int
    let life: ClosedRange<Int>
  }

  /// In bytes: what buffers begin at multiples of, and what lies between two of them.
  private let line: Int
  private var requests: [Request] = []

  /// `line`: a cache line by default, so that a reader that runs past a buffer's end by less (the stem's last rows) stays in the memory.
  public init(line: Int = 64) { self.line = line }

  /// Asks for `bytes` from the beginning of step `life.lowerBound` to the end of step `life.upperBound`.
  public mutating func add(_ bytes: Int, during life: ClosedRange<Int>) -> Buffer {
    requests.append(Request(bytes: bytes, size: (bytes + line - 1) / line * line + line, life: life))
    return Buffer(index: requests.count - 1)
  }

  /// Where the buffers begin, in bytes, and how many bytes they take together.
  public struct Layout: Sendable {
    fileprivate let starts: [Int]
    fileprivate let bytes: [Int]
    public let size: Int

    public subscript(_ buffer: Buffer) -> Int { starts[buffer.index] }
    /// What was asked for.
    public func bytes(of buffer: Buffer) -> Int { bytes[buffer.index] }
  }

  /// The smallest of some greedy layouts: to place buffers as well as can be is as hard as bin packing.
  public func layout() -> Layout {
    // The largest first, the longest-lived, the largest of the longest-lived, the earliest (a stack, where lives are nested).
    let orders: [(Request) -> Int] = [
      { $0.size }, { $0.life.count }, { $0.size * $0.life.count }, { -$0.life.lowerBound },
    ]
    let layouts = orders.map { rank in
      place(
        requests.indices.sorted {
          (rank(requests[$0]), requests[$0].size) > (rank(requests[$1]), requests[$1].size)
        })
    }
    return layouts.min { $0.size < $1.size } ?? Layout(starts: [], bytes: [], size: 0)
  }

  /// Places the buffers in `order`, each as low as those that live at the same time leave room.
  private func place(_ order: [Int]) -> Layout {
    var starts = [Int](repeating: 0, count: requests.count)
    var placed: [Int] = []
    var size = 0
    for index in order {
      let request = requests[index]
      var start = 0
      for other in placed where requests[other].life.overlaps(request.life) {
        // `placed` is in the order of places, so the first gap that is wide enough is the lowest.
        if starts[other] >= start + request.size { break }
        start = max(start, starts[other] + requests[other].size)
      }
      starts[index] = start
      placed.insert(index, at: placed.firstIndex { starts[$0] > start } ?? placed.count)
      size = max(size, start + request.size)
    }
    return Layout(starts: starts, bytes: requests.map(\.bytes), size: size)
  }
}
