import Checkpoints
import ChestXray
import Engine
import Platform

/// What a network says about one radiograph.
public struct ImagePrediction: Sendable {
  /// One a class, in the checkpoint's order.
  public let logits: [Float]
  /// `[C, H, W]`: the classifier's feature maps; empty unless asked for.
  public let features: ArraySlice<Float>
  /// What the network saw of the radiograph.
  public let view: ImageView

  /// 0 … 1, one a class: sigmoid of the logit, computed in Double.
  public var probabilities: [Double] { logits.map { sigmoid(Double($0)) } }
}

/// Runs a checkpoint over radiographs.
public final class Predictor {
  public let checkpoint: Checkpoint
  /// The shape of the classifier's feature maps.
  public let featureShape: FeatureShape
  private let session: any Session
  private let pool: ThreadPool

  /// `batchSize` images are decoded, and given to the network, together; it does not change a result.
  public init(
    _ checkpoint: Checkpoint, backend: any Backend, batchSize: Int, pool: ThreadPool
  ) throws(EvaluationError) {
    let size = checkpoint.metadata.preprocessing.imageSize
    do {
      let plan = try Plan(
        checkpoint.weights.layout.architecture, mode: .inference, batchSize: batchSize, height: size, width: size)
      session = try backend.makeSession(plan)
      featureShape = plan.features
    } catch let error as any DiagnosedError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of these floors is diagnosed: \(error)")
    }
    session.load(checkpoint.weights)
    self.checkpoint = checkpoint
    self.pool = pool
  }

  /// Replaces the weights by others of the same architecture.
  public func load(_ weights: Weights) { session.load(weights) }

  /// Calls `body` with the index and the prediction of each image of `dataset`, in order. The next batch is decoded while the
  /// network runs.
  ///
  /// The first radiograph that cannot be read ends the run with an error that names it; where `dataset` lets it be skipped, `skipped` is
  /// told instead.
  public func predict(
    _ dataset: Dataset, keepingFeatures: Bool = false, skipped: (SkippedImage) -> Void = { _ in },
    _ body: (Int, ImagePrediction) throws(EvaluationError) -> Void
  ) throws(EvaluationError) {
    precondition(
      dataset.preparation.preprocessing == checkpoint.metadata.preprocessing, "images prepared for another network")
    let loader = BatchLoader(dataset, batchSize: session.plan.batchSize, pool: pool)
    let classes = session.plan.architecture.classCount
    while let batch = try next(loader) {
      batch.skipped.forEach(skipped)
      if batch.count == 0 { continue }
      let inference: Inference
      do {
        inference = try session.infer(
          ImageBatch(batch.images, shape: session.plan.image, tables: dataset.preparation.tables),
          keepingFeatures: keepingFeatures)
      } catch {
        throw .cause(error)
      }
      for (place, sample) in batch.samples.enumerated() {
        let logits = Array(inference.logits[place * classes..<(place + 1) * classes])
        guard logits.allSatisfy(\.isFinite) else { throw .notFinite(image: dataset.paths[sample]) }
        let features = keepingFeatures ? place * featureShape.count..<(place + 1) * featureShape.count : 0..<0
        try body(
          sample,
          ImagePrediction(logits: logits, features: inference.features[features], view: batch.views[place]))
      }
    }
  }

  private func next(_ loader: BatchLoader) throws(EvaluationError) -> Batch? {
    do {
      return try loader.next()
    } catch {
      throw .cause(error)
    }
  }
}
