import Testing

@testable import Engine

@Suite struct ReferenceScalarTests {
  /// Of small integers, whose sums of products are exact in any order. `c` holds no number where it must not be read.
  @Test(arguments: [false, true], [false, true])
  func `the plain product is OpenBLAS's`(transposeA: Bool, transposeB: Bool) throws {
    try #require(OpenBLAS.isThere)
    for (m, n, k) in [(1, 1, 1), (3, 5, 2), (4, 1, 7), (2, 6, 4)] {
      let a = (0..<m * k).map { Double($0 * 7 % 11 - 5) }
      let b = (0..<k * n).map { Double($0 * 5 % 13 - 6) }
      for beta in [0.0, 1, -2] {
        var expected = (0..<m * n).map { beta == 0 ? .nan : Double($0 * 3 % 7) }
        var found = expected
        Double.multiply(m, n, k, a: a, transposeA: transposeA, b: b, transposeB: transposeB, beta: beta, c: &expected)
        Double.multiplyPlainly(
          m, n, k, a: a, transposeA: transposeA, b: b, transposeB: transposeB, beta: beta, c: &found)
        #expect(found == expected, "\(m) × \(n) × \(k), beta \(beta)")
      }
    }
  }
}
