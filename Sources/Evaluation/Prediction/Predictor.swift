import Checkpoints
import ChestXray
import Engine
import Platform

/// What a network says about one crop of a radiograph.
public struct CropPrediction: Sendable {
  /// One a class, in the checkpoint's order.
  public let logits: [Float]
  /// `[C, H, W]`: the classifier's feature maps; empty unless asked for.
  public let features: ArraySlice<Float>
  /// What the network saw of the radiograph.
  public let view: ImageView
}

/// What a network says about one radiograph.
public struct ImagePrediction: Sendable {
  /// One, or five or ten in torchvision's order.
  public let crops: [CropPrediction]

  /// 0 … 1, one a class: the mean of the crops' sigmoids, computed in Double.
  public var probabilities: [Double] {
    crops[0].logits.indices.map { label in
      crops.reduce(0) { $0 + sigmoid(Double($1.logits[label])) } / Double(crops.count)
    }
  }

  /// One a class, where the radiograph was shown once.
  public var logits: [Float]? { crops.count == 1 ? crops[0].logits : nil }
}

/// How often a network is shown a radiograph.
public enum CropCount: Int, CaseIterable, Sendable {
  /// As its preprocessing says.
  case one = 1
  /// The corners and the centre of the resized image (torchvision's `FiveCrop`).
  case five = 5
  /// And the same of the mirrored image (`TenCrop`).
  case ten = 10

  var augmentation: Augmentation {
    switch self {
    case .one: .none
    case .five: .fiveCrop
    case .ten: .tenCrop
    }
  }
}

/// Runs a checkpoint over radiographs.
public final class Predictor {
  public let checkpoint: Checkpoint
  /// The shape of the classifier's feature maps.
  public let featureShape: FeatureShape
  public let crops: CropCount
  /// What its images are prepared by.
  let preparation: ImagePreparation
  /// Images of a batch.
  let batchSize: Int
  private let session: any Session
  private let pool: ThreadPool

  /// `batchSize` crops, at least those of one image, are decoded, and given to the network, together; it does not change a result.
  ///
  /// Throws `cause` where several crops are asked for and the checkpoint's preprocessing has none (`ImagePreparation.check`).
  public init(
    _ checkpoint: Checkpoint, backend: any Backend, batchSize: Int, crops: CropCount = .one, pool: ThreadPool
  ) throws(EvaluationError) {
    let size = checkpoint.metadata.preprocessing.imageSize
    self.batchSize = max(batchSize / crops.rawValue, 1)
    self.crops = crops
    do {
      preparation = try ImagePreparation(checkpoint.metadata.preprocessing)
      try preparation.check(crops.augmentation)
      let plan = try Plan(
        checkpoint.weights.layout.architecture, mode: .inference, batchSize: self.batchSize * crops.rawValue,
        height: size, width: size)
      session = try backend.makeSession(plan)
      featureShape = plan.features
    } catch let error as any DiagnosedError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of these floors is diagnosed: \(error)")
    }
    self.checkpoint = checkpoint
    self.pool = pool
    try load(checkpoint.weights)
  }

  /// Replaces the weights by others of the same architecture.
  public func load(_ weights: Weights) throws(EvaluationError) {
    do { try session.load(weights) } catch { throw .cause(error) }
  }

  /// Calls `body` with the index and the prediction of each image of `dataset`, in order. The next batch is decoded while the
  /// network runs.
  ///
  /// The first radiograph that cannot be read ends the run with an error that names it; where `dataset` lets it be skipped, `skipped` is
  /// told instead. `order`: the images to predict, nil for all.
  public func predict(
    _ dataset: Dataset, order: [Int]? = nil, keepingFeatures: Bool = false, skipped: (SkippedImage) -> Void = { _ in },
    _ body: (Int, ImagePrediction) throws(EvaluationError) -> Void
  ) throws(EvaluationError) {
    precondition(
      dataset.preparation.preprocessing == checkpoint.metadata.preprocessing, "images prepared for another network")
    let loader = BatchLoader(
      dataset, order: order, batchSize: batchSize, augmentation: crops.augmentation, pool: pool,
      whenPrepared: session.bringing(by: preparation))
    while let batch = try next(loader) {
      batch.skipped.forEach(skipped)
      try predict(batch, of: dataset, keepingFeatures: keepingFeatures, body)
    }
  }

  /// What brings a loader's batches, this predictor's at `place`, to the device while it works on others; nil where that is of no use.
  func bringing(at place: Int) -> (@Sendable ([Batch]) -> Void)? { session.bringing(by: preparation, at: place) }

  /// Calls `body` with the index and the prediction of each image of `batch`, which this predictor's preparation made of images of `dataset`.
  func predict(
    _ batch: Batch, of dataset: Dataset, keepingFeatures: Bool = false,
    _ body: (Int, ImagePrediction) throws(EvaluationError) -> Void
  ) throws(EvaluationError) {
    if batch.count == 0 { return }
    let inference: Inference
    do {
      inference = try session.infer(
        session.images(of: batch, by: preparation), keepingFeatures: keepingFeatures)
    } catch {
      throw .cause(error)
    }
    for first in stride(from: 0, to: batch.count, by: crops.rawValue) {
      let prediction = ImagePrediction(
        crops: (first..<first + crops.rawValue).map { crop(at: $0, of: batch, inference, keepingFeatures) })
      guard prediction.crops.allSatisfy({ $0.logits.allSatisfy(\.isFinite) }) else {
        throw .notFinite(image: dataset.paths[batch.samples[first]])
      }
      try body(batch.samples[first], prediction)
    }
  }

  private func crop(
    at place: Int, of batch: Batch, _ inference: Inference, _ keepingFeatures: Bool
  ) -> CropPrediction {
    let classes = session.plan.architecture.classCount
    let features = keepingFeatures ? place * featureShape.count..<(place + 1) * featureShape.count : 0..<0
    return CropPrediction(
      logits: Array(inference.logits[place * classes..<(place + 1) * classes]),
      features: inference.features[features], view: batch.views[place])
  }

  private func next(_ loader: BatchLoader) throws(EvaluationError) -> Batch? {
    do {
      return try loader.next()
    } catch {
      throw .cause(error)
    }
  }
}
