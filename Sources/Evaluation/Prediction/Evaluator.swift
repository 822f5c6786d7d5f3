import Checkpoints
import ChestXray
import Engine
import Platform
import Tensors

/// Lets checkpoints predict lists of radiographs.
public struct Evaluator {
  private let folder: ImageFolder
  private let backend: any Backend
  private let batchSize: Int
  private let crops: CropCount
  private let pool: ThreadPool
  private let collective: any Collective

  /// Finds what images there are in `data`. `collective`: processes that each predict a part of the images, and all have all of the predictions.
  ///
  /// Throws where it is no folder.
  public init(
    data: String, backend: any Backend, batchSize: Int, crops: CropCount = .one, pool: ThreadPool,
    collective: any Collective = SoleRank()
  ) throws(EvaluationError) {
    do {
      folder = try ImageFolder(path: data)
    } catch {
      throw .cause(error)
    }
    self.backend = backend
    self.batchSize = batchSize
    self.crops = crops
    self.pool = pool
    self.collective = collective
  }

  /// The images of a list that must have labels. Throws `noLabels` where it has none of its own and no table is given.
  public static func labelled(list: String, labels: String?) throws(EvaluationError) -> LabelTable {
    let table: LabelTable
    do {
      table = try LabelTable(list: list, labels: labels)
    } catch {
      throw .cause(error)
    }
    guard !table.findings.isEmpty else { throw .noLabels(list: list) }
    return table
  }

  /// `Collective.together`: what fails in one process fails in all.
  func together<Value>(_ body: () throws(EvaluationError) -> Value) throws(EvaluationError) -> Value {
    try collective.together(wrapped: { .cause($0) }, body)
  }

  /// Throws where an image of `table` is not there.
  public func check(_ table: LabelTable) throws(EvaluationError) {
    do {
      _ = try folder.resolve(table.samples.map(\.image))
    } catch {
      throw .cause(error)
    }
  }

  /// The predictions of each of `checkpoints` for every image of `table`, with its labels. `progress` is told how many images are done.
  ///
  /// An image is decoded once, prepared once for each preprocessing among the checkpoints, and given to all of them before the next batch is;
  /// checkpoints that are the same but for their names predict once. A session of each is in memory.
  ///
  /// Throws `noCommonFinding` where the table has no labels for any of a checkpoint's classes.
  public func predictions(
    of checkpoints: [Checkpoint], on table: LabelTable, progress: (Int) -> Void = { _ in }
  ) throws(EvaluationError) -> [Predictions] {
    precondition(!checkpoints.isEmpty)
    var all: [Predictions] = []
    for checkpoint in checkpoints {
      let predictions = Predictions(findings: checkpoint.metadata.classes, table: table)
      guard predictions.isLabelled.contains(true) else {
        throw .noCommonFinding(checkpoint: checkpoint.metadata.classes, table: table.findings)
      }
      all.append(predictions)
    }
    // The first checkpoint of which each predicts the same.
    let leaders = checkpoints.indices.map { index in
      checkpoints.firstIndex { $0.predictsAs(checkpoints[index]) } ?? index
    }
    let own = try together { () throws(EvaluationError) in
      try probabilities(of: checkpoints, Set(leaders), on: table, progress)
    }
    for (index, var found) in own {
      do {
        found = try collective.sum(found)
      } catch {
        throw .cause(error)
      }
      let classes = all[index].findings.count
      for (image, sample) in table.samples.enumerated() {
        all[index].append(sample, probabilities: Array(found[image * classes..<(image + 1) * classes]))
      }
    }
    return leaders.map { all[$0] }
  }

  /// Of each of the checkpoints `indices`, N images times L classes: the probabilities of this process's share of the images, 0 for the others.
  private func probabilities(
    of checkpoints: [Checkpoint], _ indices: Set<Int>, on table: LabelTable, _ progress: (Int) -> Void
  ) throws(EvaluationError) -> [(index: Int, values: [Double])] {
    var predictors: [Predictor] = []
    var found: [(index: Int, values: [Double])] = []
    for index in indices.sorted() {
      predictors.append(
        try Predictor(checkpoints[index], backend: backend, batchSize: batchSize, crops: crops, pool: pool))
      let classes = checkpoints[index].metadata.classes.count
      found.append((index, [Double](repeating: 0, count: table.samples.count * classes)))
    }
    var preparations: [ImagePreparation] = []
    for predictor in predictors
    where !preparations.contains(where: { $0.preprocessing == predictor.preparation.preprocessing }) {
      preparations.append(predictor.preparation)
    }
    let dataset = try dataset(table, preprocessing: preparations[0].preprocessing)
    func place(_ predictor: Predictor) -> Int {
      preparations.firstIndex { $0.preprocessing == predictor.preparation.preprocessing } ?? 0
    }
    let bringing = predictors.compactMap { $0.bringing(at: place($0)) }
    let share = collective.share(of: table.samples.count)
    let loader = BatchLoader(
      dataset, preparations: preparations, order: Array(share), batchSize: predictors[0].batchSize,
      augmentation: crops.augmentation, pool: pool,
      whenPrepared: { batches in bringing.forEach { bring in bring(batches) } })
    var done = 0
    while let batches = try next(loader) {
      for (index, predictor) in predictors.enumerated() {
        let classes = predictor.checkpoint.metadata.classes.count
        try predictor.predict(batches[place(predictor)], of: dataset) { (image, prediction) throws(EvaluationError) in
          found[index].values.replaceSubrange(
            image * classes..<(image + 1) * classes, with: prediction.probabilities)
        }
      }
      done += batches[0].count / crops.rawValue
      progress(done * collective.size)
    }
    return found
  }

  /// Calls `body` with the index, the path and the prediction of each image of `table`, feature maps and their shape included.
  func look(
    at table: LabelTable, by checkpoint: Checkpoint,
    _ body: (Int, String, ImagePrediction, FeatureShape) throws(EvaluationError) -> Void
  ) throws(EvaluationError) {
    let predictor = try Predictor(checkpoint, backend: backend, batchSize: batchSize, crops: crops, pool: pool)
    let dataset = try dataset(table, preprocessing: checkpoint.metadata.preprocessing)
    try predictor.predict(dataset, keepingFeatures: true) { (index, prediction) throws(EvaluationError) in
      try body(index, dataset.paths[index], prediction, predictor.featureShape)
    }
  }

  private func dataset(_ table: LabelTable, preprocessing: Preprocessing) throws(EvaluationError) -> Dataset {
    do {
      return try Dataset(table: table, folder: folder, preprocessing: preprocessing)
    } catch {
      throw .cause(error)
    }
  }

  private func next(_ loader: BatchLoader) throws(EvaluationError) -> [Batch]? {
    do {
      return try loader.nextOfEach()
    } catch {
      throw .cause(error)
    }
  }
}

extension Checkpoint {
  /// Whether `other` says the same of every image, whatever it is called and wherever it came from.
  fileprivate func predictsAs(_ other: Checkpoint) -> Bool {
    metadata.architecture == other.metadata.architecture && metadata.classes == other.metadata.classes
      && metadata.preprocessing == other.metadata.preprocessing && weights == other.weights
  }
}
