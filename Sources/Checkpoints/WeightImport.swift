import Engine
import Foundation
import Platform
import Tensors
import WeightFormats

/// What an import is asked for beyond the file.
public struct ImportOptions: Sendable {
  public enum Head: String, Sendable, CaseIterable {
    /// The file's classifier.
    case keep
    /// A new one with random weights.
    case new
  }

  public enum FinalReLU: String, Sendable, CaseIterable {
    case automatic = "auto"
    case yes
    case no
  }

  /// The values of `--preprocessing`.
  public enum PreprocessingChoice: String, Sendable, CaseIterable {
    case centerCrop = "center-crop"
    case resize
    case xrv

    var preprocessing: Preprocessing {
      switch self {
      case .centerCrop: .imageNet()
      case .resize:
        Preprocessing(
          geometry: .resize(size: 224), mean: Preprocessing.imageNetMean, deviation: Preprocessing.imageNetDeviation)
      case .xrv: .torchXRayVision()
      }
    }
  }

  /// `--classes`: the name of a set, a number, or names with commas; nil for the standard classes by number of outputs (with a
  /// new head: the 14 of ChestX-ray14).
  public var classes: String?
  public var head: Head
  /// Nil for what the file or its dialect says, or else resize 256 and central crop 224.
  public var preprocessing: PreprocessingChoice?
  /// In place of the preprocessing's own, of values in 0 … 1: one number, or one for each channel.
  public var mean: [Float]?
  public var deviation: [Float]?
  public var finalReLU: FinalReLU
  public var reading: WeightFile.Options
  /// Of a new head's random weights.
  public var seed: UInt64

  public init(
    classes: String? = nil, head: Head = .keep, preprocessing: PreprocessingChoice? = nil,
    mean: [Float]? = nil, deviation: [Float]? = nil, finalReLU: FinalReLU = .automatic,
    reading: WeightFile.Options = WeightFile.Options(), seed: UInt64 = 123
  ) {
    self.classes = classes
    self.head = head
    self.preprocessing = preprocessing
    self.mean = mean
    self.deviation = deviation
    self.finalReLU = finalReLU
    self.reading = reading
    self.seed = seed
  }
}

/// A checkpoint made from a weight file, and the account of every tensor in it.
public struct ImportResult: Sendable {
  public var checkpoint: Checkpoint
  public var report: ImportReport
}

/// Makes checkpoints from the weight files of other tools.
///
/// Every tensor becomes a parameter or is left for a known reason (counters of batches, state of optimizers); one that neither
/// happens to, a parameter without a tensor, a shape that does not fit and a value that is not a number are errors.
public enum WeightImport {
  /// Imports the file at `path` into memory.
  public static func run(path: String, options: ImportOptions = ImportOptions()) throws(CheckpointError) -> ImportResult
  {
    var pending = PendingIdentity(path: path)
    defer { pending.cancel() }
    let plan = try ImportPlan(path: path, options: options)
    pending.narrow(to: plan.file)
    var weights = Weights(layout: plan.layout, values: [Float](repeating: 0, count: plan.layout.count))
    for parameter in plan.layout.parameters { weights[parameter] = try plan.tensor(for: parameter).floats() }
    let identity = try pending.value()
    let checkpoint = Checkpoint(weights: weights, metadata: plan.metadata(sourceDigest: identity.sha256))
    return ImportResult(
      checkpoint: checkpoint, report: plan.report(checkpoint.metadata, identity, tensorDigest: checkpoint.tensorDigest))
  }

  /// Imports the file at `path` into the checkpoint at `output`, which appears whole or not at all. A few tensors are in memory at
  /// a time: those that are read while another is written.
  public static func write(
    path: String, options: ImportOptions = ImportOptions(), to output: String, overwriting: Bool
  ) throws(CheckpointError) -> ImportReport {
    var pending = PendingIdentity(path: path)
    defer { pending.cancel() }
    let plan = try ImportPlan(path: path, options: options)
    pending.narrow(to: plan.file)
    var writer = try CheckpointWriter(metadata: plan.metadata(sourceDigest: CheckpointWriter.unknownDigest), to: output, overwriting: overwriting)
    let parameters = plan.layout.parameters
    try readAhead(parameters.count, threads: plan.file.isDeflated ? 2 : 1, room: 1 << 20) {
      $0.bytes.count
    } produce: { (index) throws(CheckpointError) in
      try plan.tensor(for: parameters[index])
    } consume: { (tensor) throws(CheckpointError) in
      try writer.append(tensor.bytes)
    }
    let metadata = plan.metadata(sourceDigest: try pending.sha256())
    let tensorDigest = try writer.commit(metadata)
    return plan.report(metadata, try pending.value(), tensorDigest: tensorDigest)
  }
}
