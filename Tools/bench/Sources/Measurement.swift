/// The values of a row's rounds.
struct Measurement {
  /// One for each round, sorted; at least one.
  private let values: [Double]

  /// Calls `work` `warmUp` times, then in `rounds` rounds of at least `seconds`. A round's value is its mean call's.
  ///
  /// The first calls are slow for reasons that do not last (memory is touched for the first time; PyTorch needs six
  /// steps to settle), so both sides of a comparison leave out as many.
  init(_ work: Work, warmUp: Int, rounds: Int, seconds: Double) throws {
    precondition(rounds > 0)
    for _ in 0..<warmUp { try work.call() }
    let clock = ContinuousClock()
    values = try (0..<rounds).map { _ in
      let start = clock.now
      var calls = 0
      var elapsed = 0.0
      repeat {
        try work.call()
        calls += 1
        elapsed = (clock.now - start) / .seconds(1)
      } while elapsed < seconds
      return work.unit.value(ofCall: elapsed / Double(calls))
    }.sorted()
  }

  /// How many times as fast `many` is as `one`: they take turns, call by call, so that what the machine does to one it does to the other. A
  /// round's value is the quotient of their rates.
  init(of many: Work, over one: Work, warmUp: Int, rounds: Int, seconds: Double) throws {
    precondition(rounds > 0)
    for _ in 0..<warmUp {
      try one.call()
      try many.call()
    }
    let clock = ContinuousClock()
    values = try (0..<rounds).map { _ in
      var (ofOne, ofMany, calls) = (0.0, 0.0, 0.0)
      repeat {
        ofOne += try clock.measure(one.call) / .seconds(1)
        ofMany += try clock.measure(many.call) / .seconds(1)
        calls += 1
      } while ofOne + ofMany < seconds
      return many.unit.value(ofCall: ofMany / calls) / one.unit.value(ofCall: ofOne / calls)
    }.sorted()
  }

  var minimum: Double { values[0] }
  var maximum: Double { values[values.count - 1] }
  /// Of an even number of rounds, the mean of the middle two.
  var median: Double { (values[(values.count - 1) / 2] + values[values.count / 2]) / 2 }
}
