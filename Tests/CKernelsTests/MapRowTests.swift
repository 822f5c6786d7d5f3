import CKernels
import Platform
import Testing

/// Rows of pictures of maps, at every level of this machine.
@Suite struct MapRowTests {
  private static let levels: [ck_level] = (0..<UInt32(CK_LEVELS)).map { ck_level(rawValue: $0) }.filter {
    ck_can_run($0) != 0
  }

  /// The definitions in Float, one operation at a time, which C must not contract.
  @Test func `rows are mixed and made gray with the definition's bits`() {
    var random = CounterRandom(seed: 1, purpose: .shuffle)
    for count in [1, 3, 8, 31, 64, 100] {
      func row() -> [Float] { (0..<count).map { _ in Float(random.uniform(-4, 4)) } }
      let (above, below, start) = (row(), row(), row())
      let share = Float(random.uniform())
      let mixed = start.indices.map { (index: Int) -> Float in
        let difference: Float = below[index] - above[index]
        let part: Float = share * difference
        return start[index] + (above[index] + part)
      }
      func gray(_ value: Float, _ factor: Float, _ most: Float) -> Int {
        let scaled: Float = (value - -3) * factor
        return Int(min(max(scaled + 0.5, 0), most))
      }
      for level in Self.levels {
        let kernels = ck_pixels_of(level)
        var found = start
        kernels.add_mixed(&found, above, below, share, count)
        #expect(found == mixed)
        var bytes = [UInt8](repeating: 1, count: count)
        kernels.gray8(&bytes, mixed, -3, 40, count)
        #expect(bytes.map(Int.init) == mixed.map { gray($0, 40, 255) })
        var pairs = [UInt8](repeating: 1, count: 2 * count)
        kernels.gray16(&pairs, mixed, -3, 9000, count)
        let values = (0..<count).map { Int(pairs[2 * $0]) << 8 | Int(pairs[2 * $0 + 1]) }
        #expect(values == mixed.map { gray($0, 9000, 65535) })
      }
    }
  }
}
