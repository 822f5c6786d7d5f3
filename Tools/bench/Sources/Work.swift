/// What a row measures, prepared: its input is there, and `call` can be repeated.
struct Work {
  let unit: Unit
  /// What it is done on: `8 images of 1024×1024`.
  let subject: String
  let call: () throws -> Void

  /// What is counted, and how many of it one call does.
  enum Unit {
    case imagesPerSecond(count: Int)
    case millisecondsPerImage(count: Int)
    case seconds
    case milliseconds
    case scoresPerSecond(count: Int)
    /// Floating-point operations, of which a multiplication and an addition are two.
    case gigaflops(operations: Double)
    case gigabytesPerSecond(bytes: Int)

    var text: String {
      switch self {
      case .imagesPerSecond: "images/s"
      case .millisecondsPerImage: "ms/image"
      case .seconds: "s"
      case .milliseconds: "ms"
      case .scoresPerSecond: "scores/s"
      case .gigaflops: "GFLOP/s"
      case .gigabytesPerSecond: "GB/s"
      }
    }

    /// The value of one call that took `seconds`.
    func value(ofCall seconds: Double) -> Double {
      switch self {
      case .imagesPerSecond(let count), .scoresPerSecond(let count): Double(count) / seconds
      case .millisecondsPerImage(let count): 1000 * seconds / Double(count)
      case .seconds: seconds
      case .milliseconds: 1000 * seconds
      case .gigaflops(let operations): operations / seconds / 1e9
      case .gigabytesPerSecond(let bytes): Double(bytes) / seconds / 1e9
      }
    }
  }
}
