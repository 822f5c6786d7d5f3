import CKernels

/// For each wanted output pixel of an axis: the input pixels it is made of, and their weights, as `ck_weights` has them.
struct ResamplingWeights {
  /// Wanted output pixels.
  let count: Int
  /// The input pixels that have a weight.
  let inputs: Range<Int>
  /// Pairs of inputs, of which an output is made; counted from the first of `inputs`.
  private let pairs: Int
  private let first: [Int32]
  /// `count · pairs · 2` weights each, the upper and the lower 11 bits.
  private let high: [Int16]
  private let low: [Int16]

  /// The triangle filter from `input` to `output` pixels. Double throughout, in Pillow's order of operations: the last
  /// bit of a weight depends on it. `reversed`: the wanted pixels from the last to the first.
  init(from input: Int, to output: Int, wanted: Range<Int>, reversed: Bool = false) {
    let scale = Double(input) / Double(output)
    let support = max(scale, 1)
    let inverse = 1 / support
    let centers = wanted.map { (Double($0) + 0.5) * scale }
    let ranges = centers.map { center in
      // Int(…) cuts towards zero, as C does.
      max(Int(center - support + 0.5), 0)..<min(Int(center + support + 0.5), input)
    }
    let start = ranges.first?.lowerBound ?? 0
    let end = ranges.last?.upperBound ?? start
    // The first pair of each, and one behind its last.
    let spans = ranges.map { (first: ($0.lowerBound - start) / 2, end: ($0.upperBound - start + 1) / 2) }
    let pairs = spans.map { $0.end - $0.first }.max() ?? 0
    let all = (end - start + 1) / 2
    var first = [Int32](repeating: 0, count: wanted.count)
    var high = [Int16](repeating: 0, count: wanted.count * pairs * 2)
    var low = high
    var shares = [Double](repeating: 0, count: 2 * pairs)
    for (index, (center, range)) in zip(centers, ranges).enumerated() {
      let place = reversed ? wanted.count - 1 - index : index
      // Outputs at the end begin earlier, so that they have as many pairs as the others.
      let firstPair = min(spans[index].first, all - pairs)
      first[place] = Int32(firstPair)
      let target = place * pairs * 2 + range.lowerBound - start - 2 * firstPair
      var sum = 0.0
      for i in range {
        let share = max(1 - abs((Double(i) - center + 0.5) * inverse), 0)
        shares[i - range.lowerBound] = share
        sum += share
      }
      for i in 0..<range.count {
        let share = sum == 0 ? shares[i] : shares[i] / sum
        let weight = Int32(0.5 + share * Double(1 << 22))
        high[target + i] = Int16(weight >> 11)
        low[target + i] = Int16(weight & 2047)
      }
    }
    count = wanted.count
    inputs = start..<end
    self.pairs = pairs
    self.first = first
    self.high = high
    self.low = low
  }

  /// Calls `body` with the same as kernels take it, and a workspace.
  func withKernelWeights(_ body: (inout ck_weights, UnsafeMutablePointer<UInt8>) -> Void) {
    first.withUnsafeBufferPointer { first in
      high.withUnsafeBufferPointer { high in
        low.withUnsafeBufferPointer { low in
          withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ck_resize_workspace(inputs.count)) { workspace in
            guard let first = first.baseAddress, let high = high.baseAddress, let low = low.baseAddress,
              let workspace = workspace.baseAddress
            else { return }
            var weights = ck_weights(
              outputs: count, inputs: inputs.count, pairs: pairs, first: first, high: high, low: low)
            body(&weights, workspace)
          }
        }
      }
    }
  }
}
