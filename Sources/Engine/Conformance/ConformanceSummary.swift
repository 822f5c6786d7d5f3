import Platform

extension Conformance {
  /// A backend's conformance over some cases.
  public struct Summary: Sendable {
    /// `bf16 on AVX2`.
    public let name: String
    public let cases: Int
    /// The largest deviation as a share of its bound; not a number where one is.
    public let worst: Double
    /// What lies outside of its bound, with the case.
    public let failures: [String]

    public init(name: String, cases: Int, worst: Double, failures: [String]) {
      (self.name, self.cases, self.worst, self.failures) = (name, cases, worst, failures)
    }
  }

  /// Cases that take milliseconds each.
  public static func quickCases(_ precision: Precision) -> [ConformanceCase] {
    cases(precision).filter { $0.architecture.blockSizes.reduce(0, +) < 50 && $0.architecture.growthRate < 48 }
  }

  /// Runs the quick cases on every precision and instruction set that the fused engine has on this machine.
  public static func summaries(pool: ThreadPool) throws(BackendError) -> [Summary] {
    var results: [Summary] = []
    let expectations = try quickExpectations(pool: pool)
    for level in InstructionSet.available {
      for precision in Precision.allCases {
        let backend = CPUBackend(threads: pool.threads, precision, level: level)
        results.append(
          try summary(of: backend, named: "\(precision.rawValue) on \(level.title)", over: expectations))
      }
    }
    return results
  }

  /// What the textbook says of the quick cases that `isWanted`.
  public static func quickExpectations(
    pool: ThreadPool, _ isWanted: (ConformanceCase) -> Bool = { _ in true }
  ) throws(BackendError) -> [Expectation] {
    try quickCases(.fp32).filter(isWanted)
      .map { case_ throws(BackendError) in try Expectation(case_, pool: pool) }
  }

  /// Runs those of the cases on `backend` that are for its precision.
  public static func summary(
    of backend: some Backend, named name: String, over expectations: [Expectation]
  ) throws(BackendError) -> Summary {
    let wanted = Set(quickCases(backend.precision).map(\.description))
    var (count, worst, failures) = (0, 0.0, [String]())
    for expected in expectations where wanted.contains(expected.conformanceCase.description) {
      count += 1
      for deviation in try deviations(of: backend, from: expected) {
        let share = deviation.value / deviation.bound
        if !worst.isNaN && !(share <= worst) { worst = share }
        if !deviation.isWithinBound { failures.append("\(expected.conformanceCase): \(deviation)") }
      }
    }
    return Summary(name: name, cases: count, worst: worst, failures: failures)
  }

  /// Images/s of inference by DenseNet-121 at 224 in batches of `batch` of noise, the median of some batches after two.
  public static func inferenceSpeed(_ backend: some Backend, batch: Int = 4) throws(BackendError) -> Double {
    var speed = ConformanceCase.published(ConformanceCase.densenet121, 224, batch)
    speed.mode = .inference
    let (session, images) = (try backend.makeSession(try speed.plan()), try speed.images())
    try session.load(speed.weights())
    var times: [Double] = []
    let clock = ContinuousClock()
    for _ in 0..<9 {
      let start = clock.now
      _ = try session.infer(images, keepingFeatures: false)
      times.append((clock.now - start) / .seconds(1))
    }
    return Double(batch) / times.dropFirst(2).sorted()[3]
  }
}
