import ArgumentParser
import Evaluation

/// What can be measured.
indirect enum RowName: Equatable, Sendable, CustomStringConvertible, ExpressibleByArgument {
  /// A step of finetuning: forward, backward and Adam, on a batch.
  case training(batch: Int)
  /// A step of finetuning on ten crops of each image, which are read and decoded for it: what the reference implementation does.
  case tenCrop(batch: Int)
  /// How many times as fast the processes that `mpirun` has started take a step with a thread each as one of them with as many threads.
  case ranks(batch: Int)
  /// The sum of the network's gradients over those.
  case ranksSum
  /// A forward pass with running statistics, on a batch.
  case inference(batch: Int)
  /// Reading and decoding image files.
  case decoding
  /// Decoding, resizing, cropping and normalising them.
  case preparation
  /// Decoding image files that are in memory, and resizing them to 256 × 256.
  case thumbnails
  /// Resizing random parts of images in memory to 224 × 224, half of them mirrored.
  case randomCrops
  /// Random parts of images from the cache, in batches, in one run of memory each: what a GPU is fed with.
  case feeding(batch: Int)
  /// How many times as long the steps of an epoch of training take as the same on batches that are in memory.
  case epoch(Epoch)
  /// How many times as long drawing every class's map of each radiograph takes as predicting them alone.
  case heatmaps
  /// A weight file becoming a checkpoint.
  case weightImport
  /// One finding's area under the ROC curve.
  case auroc
  /// Everything that is said of fourteen findings, with DeLong's intervals, or the bootstrap's.
  case scores(ConfidenceMethod)
  /// How many times as long predicting by some checkpoints at once takes as one decoding and as many forward passes.
  case evaluation(checkpoints: Int)
  /// Multiplications and additions in registers: the processor's peak.
  case peak
  /// One of the engine's kernels on one thread, with everything in the caches.
  case kernel(Kernel)
  /// How many times as fast training, inference or the peak is on all threads as on one.
  case scaling(RowName)

  enum Epoch: String, CaseIterable {
    /// The images come from the cache of decoded ones.
    case cached
    /// They are decoded, and kept: a first epoch.
    case decoding
  }

  enum Kernel: String, CaseIterable {
    case pointwise, pointwiseGradient = "pointwise-gradient", weightGradient = "weight-gradient", normalize
    case winogradTransform = "winograd-transform", winogradProducts = "winograd-products"
    case winogradGather = "winograd-gather", adam
    /// Whole layers on tiles that are in the caches: what Winograd's filtering and int8 bring.
    case bottleneck, bottleneckInt8 = "bottleneck-int8", growth, growthDirect = "growth-direct"
  }

  /// The rows that are run when none is named.
  static let standard: [RowName] =
    [
      .training(batch: 16), .inference(batch: 16), .inference(batch: 1), .decoding, .preparation, .thumbnails,
      .randomCrops, .weightImport, .auroc, .scores(.delong), .peak,
    ] + kernels

  /// Those that `kernels` stands for: all but the experiment in int8, which not every processor can run.
  static let kernels = Kernel.allCases.filter { $0 != .bottleneckInt8 }.map { RowName.kernel($0) }

  init?(argument: String) {
    switch argument {
    case "decoding": self = .decoding
    case "preparation": self = .preparation
    case "thumbnails": self = .thumbnails
    case "random-crops": self = .randomCrops
    case "heatmaps": self = .heatmaps
    case "ranks-sum": self = .ranksSum
    case "import": self = .weightImport
    case "auroc": self = .auroc
    case "scores": self = .scores(.delong)
    case "scores-bootstrap": self = .scores(.bootstrap)
    case "peak": self = .peak
    default:
      if argument.hasPrefix("scaling-") {
        switch RowName(argument: String(argument.dropFirst("scaling-".count))) {
        case .some(let row) where row.takesThreads: self = .scaling(row)
        default: return nil
        }
        return
      }
      if argument.hasPrefix("epoch-") {
        guard let epoch = Epoch(rawValue: String(argument.dropFirst("epoch-".count))) else { return nil }
        self = .epoch(epoch)
        return
      }
      if argument.hasPrefix("evaluation-c") {
        guard let count = Int(argument.dropFirst("evaluation-c".count)), count > 0 else { return nil }
        self = .evaluation(checkpoints: count)
        return
      }
      if argument.hasPrefix("kernel-") {
        guard let kernel = Kernel(rawValue: String(argument.dropFirst("kernel-".count))) else { return nil }
        self = .kernel(kernel)
        return
      }
      let parts = argument.split(separator: "-b", omittingEmptySubsequences: false)
      guard parts.count == 2, let batch = Int(parts[1]), batch > 0 else { return nil }
      switch parts[0] {
      case "training": self = .training(batch: batch)
      case "ranks": self = .ranks(batch: batch)
      case "ten-crop": self = .tenCrop(batch: batch)
      case "inference": self = .inference(batch: batch)
      case "feeding": self = .feeding(batch: batch)
      default: return nil
      }
    }
  }

  /// Whether it runs on as many threads as it is told.
  private var takesThreads: Bool {
    switch self {
    case .training, .inference, .peak: true
    case .tenCrop, .ranks, .ranksSum, .decoding, .preparation, .thumbnails, .randomCrops, .feeding, .epoch, .heatmaps,
      .weightImport, .auroc,
      .scores, .evaluation, .kernel, .scaling:
      false
    }
  }

  var description: String {
    switch self {
    case .training(let batch): "training-b\(batch)"
    case .tenCrop(let batch): "ten-crop-b\(batch)"
    case .ranks(let batch): "ranks-b\(batch)"
    case .ranksSum: "ranks-sum"
    case .inference(let batch): "inference-b\(batch)"
    case .decoding: "decoding"
    case .preparation: "preparation"
    case .thumbnails: "thumbnails"
    case .randomCrops: "random-crops"
    case .feeding(let batch): "feeding-b\(batch)"
    case .epoch(let epoch): "epoch-\(epoch.rawValue)"
    case .heatmaps: "heatmaps"
    case .weightImport: "import"
    case .auroc: "auroc"
    case .scores(let confidence): confidence == .bootstrap ? "scores-bootstrap" : "scores"
    case .evaluation(let count): "evaluation-c\(count)"
    case .peak: "peak"
    case .kernel(let kernel): "kernel-\(kernel.rawValue)"
    case .scaling(let row): "scaling-\(row)"
    }
  }
}
