import Checkpoints
import ChestXray
import Engine
import Evaluation
import Tensors

extension Settings {
  private static let evaluationBatch = 16

  /// The radiographs of a folder predicted by `count` checkpoints of one preprocessing, as `evaluate` does it; and what that cannot do without: each
  /// decoded and prepared once, then `count` forward passes over all that is in memory. Making the sessions is part of both.
  func evaluation(checkpoints count: Int) throws -> (evaluated: Work, parts: Work) {
    let folder = try imageFolder()
    let network = try network()
    let preprocessing = Preprocessing.imageNet(imageSize: imageSize)
    let checkpoints = (0..<count).map { seed in
      Checkpoint(
        weights: Weights(initializing: network, seed: UInt64(seed)),
        metadata: CheckpointMetadata(
          architecture: network, classes: ClassNames.chestXray14, preprocessing: preprocessing))
    }
    let table = LabelTable(
      findings: ClassNames.chestXray14,
      samples: folder.paths.map {
        Sample(image: fileName(of: $0), labels: ClassNames.chestXray14.map { _ in .negative }, patient: nil)
      })
    let (backend, pool) = (try backend(), pool)
    let evaluator = try Evaluator(data: folder.path, backend: backend, batchSize: Self.evaluationBatch, pool: pool)
    let dataset = try Dataset(table: table, folder: try ImageFolder(path: folder.path), preprocessing: preprocessing)

    let unit = Work.Unit.imagesPerSecond(count: table.samples.count)
    let subject = "\(count) checkpoints, \(subject(backend)), \(folder.subject)"
    let evaluated = Work(unit: unit, subject: subject) { _ = try evaluator.predictions(of: checkpoints, on: table) }
    let parts = Work(unit: unit, subject: subject) {
      let loader = BatchLoader(dataset, batchSize: Self.evaluationBatch, pool: pool)
      var batches: [Batch] = []
      while let batch = try loader.next() { batches.append(batch) }
      let plan = try Plan(
        network, mode: .inference, batchSize: Self.evaluationBatch, height: imageSize, width: imageSize)
      for checkpoint in checkpoints {
        let session = try backend.makeSession(plan)
        try session.load(checkpoint.weights)
        for batch in batches {
          let images = ImageBatch(batch.images, shape: plan.image, tables: dataset.preparation.tables)
          _ = try session.infer(images, keepingFeatures: false)
        }
      }
    }
    return (evaluated, parts)
  }
}
