import Testing

@testable import Platform

@Suite struct CounterRandomTests {
  struct KnownAnswer {
    let counter: (UInt32, UInt32, UInt32, UInt32)
    let key: (UInt32, UInt32)
    let output: (UInt32, UInt32, UInt32, UInt32)
  }

  /// Random123's own known-answer vectors for philox4x32 with ten rounds (`tests/kat_vectors`).
  static let knownAnswers = [
    KnownAnswer(counter: (0, 0, 0, 0), key: (0, 0), output: (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)),
    KnownAnswer(
      counter: (.max, .max, .max, .max), key: (.max, .max),
      output: (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)),
    KnownAnswer(
      counter: (0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: (0xa409_3822, 0x299f_31d0),
      output: (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)),
  ]

  @Test(arguments: 0..<3) func `Philox gives the authors' numbers`(index: Int) {
    let answer = Self.knownAnswers[index]
    #expect(CounterRandom.philox(counter: answer.counter, key: answer.key) == answer.output)
  }

  @Test func `another seed, purpose, epoch or sample gives another stream`() {
    var streams = [
      CounterRandom(seed: 1, purpose: .shuffle), CounterRandom(seed: 2, purpose: .shuffle),
      CounterRandom(seed: 1 << 32 | 1, purpose: .shuffle), CounterRandom(seed: 1, purpose: .augmentation),
      CounterRandom(seed: 1, purpose: .shuffle, epoch: 1), CounterRandom(seed: 1, purpose: .shuffle, sample: 1),
    ]
    let first = streams.indices.map { streams[$0].next() }
    #expect(Set(first).count == streams.count)
    var again = CounterRandom(seed: 1, purpose: .shuffle)
    #expect(again.next() == first[0])
  }

  @Test func `a permutation holds every index once`() {
    var random = CounterRandom(seed: 7, purpose: .shuffle)
    let order = random.permutation(1000)
    #expect(order.sorted() == Array(0..<1000))
    #expect(order != Array(0..<1000))
  }

  /// 10⁵ draws: the mean of n draws of deviation σ is within 5σ/√n but for one in 2 million seeds, and this seed is fixed.
  @Test func `uniform and normal numbers have their moments`() {
    var random = CounterRandom(seed: 3, purpose: .augmentation)
    let n = 100_000
    let uniform = (0..<n).map { _ in random.uniform() }
    #expect(uniform.allSatisfy { $0 >= 0 && $0 < 1 })
    #expect(abs(uniform.reduce(0, +) / Double(n) - 0.5) < 5 * (1.0 / 12).squareRoot() / Double(n).squareRoot())
    let normal = (0..<n).map { _ in random.normal() }
    #expect(abs(normal.reduce(0, +) / Double(n)) < 5 / Double(n).squareRoot())
    // The variance of a squared normal is 2.
    #expect(abs(normal.reduce(0) { $0 + $1 * $1 } / Double(n) - 1) < 5 * (2 / Double(n)).squareRoot())
  }
}
