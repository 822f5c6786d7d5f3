import Checkpoints
import ChestXray
import Engine
import Evaluation

extension Settings {
  /// The radiographs of a folder predicted, and every class's map of each drawn in the radiograph's own pixels and encoded as PGM; and the
  /// prediction alone. Nothing is written.
  func heatmaps() throws -> (prediction: Work, drawing: Work) {
    let folder = try imageFolder()
    let network = try network()
    let checkpoint = Checkpoint(
      weights: Weights(initializing: network, seed: 1),
      metadata: CheckpointMetadata(
        architecture: network, classes: ClassNames.chestXray14, preprocessing: .imageNet(imageSize: imageSize)))
    let dataset = try Dataset(images: folder.paths, preprocessing: checkpoint.metadata.preprocessing)
    let (backend, pool) = (try backend(), pool)
    let predictor = try Predictor(checkpoint, backend: backend, batchSize: 16, pool: pool)
    let (shape, weights) = (predictor.featureShape, checkpoint.weights)
    let unit = Work.Unit.imagesPerSecond(count: dataset.count)
    let prediction = Work(unit: unit, subject: subject(backend)) {
      try predictor.predict(dataset, keepingFeatures: true) { _, _ in }
    }
    let drawing = Work(unit: unit, subject: "\(subject(backend)), \(Self.classCount) maps each, \(folder.subject)") {
      try predictor.predict(dataset, keepingFeatures: true) { _, prediction in
        let crop = prediction.crops[0]
        let sizes = pool.map(Self.classCount) { label in
          let map = ClassActivationMap(
            features: crop.features, shape: shape, weights: weights, index: label, logit: crop.logits[label])
          let field = ActivationField(map, view: crop.view)
          return HeatmapImage(field, bias: map.bias, scale: .map, depth: 8).pgm.count
        }
        precondition(sizes.allSatisfy { $0 > crop.view.width * crop.view.height })
      }
    }
    return (prediction, drawing)
  }
}
