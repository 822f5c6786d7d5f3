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
    case scoresPerSecond(count: Int)

    var text: String {
      switch self {
      case .imagesPerSecond: "images/s"
      case .millisecondsPerImage: "ms/image"
      case .seconds: "s"
      case .scoresPerSecond: "scores/s"
      }
    }

    /// The value of one call that took `seconds`.
    func value(ofCall seconds: Double) -> Double {
      switch self {
      case .imagesPerSecond(let count), .scoresPerSecond(let count): Double(count) / seconds
      case .millisecondsPerImage(let count): 1000 * seconds / Double(count)
      case .seconds: seconds
      }
    }
  }
}
