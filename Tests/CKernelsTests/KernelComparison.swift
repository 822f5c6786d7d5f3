import CKernels
import Platform
import Testing

/// Arrays of random numbers between guards, for one call of a kernel.
struct GuardedArrays {
  private static let guardCount = 40
  private static let guardValue: Float = 1.5e33
  private var storage: [[Float]] = []

  /// An array a size; values are normal, times `magnitude`.
  init(_ sizes: [Int], seed: UInt64, magnitude: Float) {
    for (index, size) in sizes.enumerated() {
      var random = CounterRandom(seed: seed, purpose: .weightInitialization, sample: index)
      let guards = [Float](repeating: Self.guardValue, count: Self.guardCount)
      storage.append(guards + (0..<size).map { _ in Float(random.normal()) * magnitude } + guards)
    }
  }

  var guardsAreIntact: Bool {
    storage.allSatisfy { array in
      (array.prefix(Self.guardCount) + array.suffix(Self.guardCount)).allSatisfy { $0 == Self.guardValue }
    }
  }

  mutating func withPointers(_ body: ([UnsafeMutablePointer<Float>]) -> Void) {
    // The arrays are not resized while the pointers live.
    let pointers = storage.indices.map { index in
      let copy = UnsafeMutablePointer<Float>.allocate(capacity: storage[index].count)
      copy.initialize(from: storage[index], count: storage[index].count)
      return copy
    }
    body(pointers.map { $0 + Self.guardCount })
    for (index, pointer) in pointers.enumerated() {
      storage[index] = Array(UnsafeBufferPointer(start: pointer, count: storage[index].count))
      pointer.deallocate()
    }
  }

  /// The largest difference of any array, relative to the array's largest magnitude.
  func difference(from other: GuardedArrays) -> Float {
    zip(storage, other.storage).map { mine, theirs in
      let mine = mine.dropFirst(Self.guardCount).dropLast(Self.guardCount)
      let theirs = theirs.dropFirst(Self.guardCount).dropLast(Self.guardCount)
      let scale = theirs.reduce(0) { max($0, abs($1)) }
      let largest = zip(mine, theirs).reduce(Float(0)) { worst, pair in
        if pair.0 == pair.1 || (pair.0.isNaN && pair.1.isNaN) { return worst }
        let difference = abs(pair.0 - pair.1)
        return difference.isNaN ? .infinity : max(worst, difference)
      }
      return largest == 0 ? 0 : largest / scale
    }.max() ?? 0
  }
}

/// Calls `body` with the reference's kernels and with every other level's that this processor has, and expects the same of both.
///
/// Sums of n random terms differ by the order of their rounding: √n · 2⁻²⁴ of the largest, for n up to 1200 2·10⁻⁶; 10⁻⁵ leaves
/// a factor of five. A wrong index is off by 1.
func expectSameOfEveryLevel(
  _ sizes: [Int], seed: UInt64, magnitude: Float = 1, tolerance: Float = 1e-5, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (ck_kernels, [UnsafeMutablePointer<Float>]) -> Void
) {
  var expected = GuardedArrays(sizes, seed: seed, magnitude: magnitude)
  let start = expected
  expected.withPointers { body(ck_kernels_of(CK_REFERENCE), $0) }
  #expect(expected.guardsAreIntact, "\(what), reference", sourceLocation: sourceLocation)
  for level in [CK_AVX512] where level.rawValue <= ck_best_level().rawValue {
    var found = start
    found.withPointers { body(ck_kernels_of(level), $0) }
    #expect(found.guardsAreIntact, "\(what), level \(level.rawValue), seed \(seed)", sourceLocation: sourceLocation)
    let difference = found.difference(from: expected)
    #expect(
      difference <= tolerance, "\(what), level \(level.rawValue), seed \(seed): \(difference)",
      sourceLocation: sourceLocation)
  }
}
