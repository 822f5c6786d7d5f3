import ArgumentParser

/// What can be measured.
enum RowName: Equatable, CustomStringConvertible, ExpressibleByArgument {
  /// A step of finetuning: forward, backward and Adam, on a batch.
  case training(batch: Int)
  /// A forward pass with running statistics, on a batch.
  case inference(batch: Int)
  /// Reading and decoding image files.
  case decoding
  /// Decoding, resizing, cropping and normalising them.
  case preparation
  /// A weight file becoming a checkpoint in memory.
  case weightImport
  /// One finding's area under the ROC curve.
  case auroc

  /// The rows that are run when none is named.
  static let standard: [RowName] = [
    .training(batch: 16), .inference(batch: 16), .inference(batch: 1), .decoding, .preparation, .weightImport, .auroc,
  ]

  init?(argument: String) {
    switch argument {
    case "decoding": self = .decoding
    case "preparation": self = .preparation
    case "import": self = .weightImport
    case "auroc": self = .auroc
    default:
      let parts = argument.split(separator: "-b", omittingEmptySubsequences: false)
      guard parts.count == 2, let batch = Int(parts[1]), batch > 0 else { return nil }
      switch parts[0] {
      case "training": self = .training(batch: batch)
      case "inference": self = .inference(batch: batch)
      default: return nil
      }
    }
  }

  var description: String {
    switch self {
    case .training(let batch): "training-b\(batch)"
    case .inference(let batch): "inference-b\(batch)"
    case .decoding: "decoding"
    case .preparation: "preparation"
    case .weightImport: "import"
    case .auroc: "auroc"
    }
  }
}
