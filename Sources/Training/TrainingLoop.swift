import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform
import Tensors

/// The epochs of a run: steps, validation, checkpoints.
///
/// Invariant: data order, augmentation and arithmetic are functions of the settings, the epoch and the step. So a run that goes on
/// from its state writes the same bytes as one that was never stopped.
struct TrainingLoop {
  private let finetuner: Finetuner
  private let training: Dataset
  private let validation: Dataset
  private let checkpoint: Checkpoint
  private let session: any Session
  private let classWeights: ClassWeights?
  private let predictor: Predictor
  /// Before `train`: that of a run that begins.
  private(set) var state: TrainingState
  private var metrics: [String] = []
  private let report: (TrainingEvent) -> Void

  private var options: TrainingOptions { finetuner.options }
  private var run: RunDirectory { finetuner.run }

  init(
    _ finetuner: Finetuner, data: TrainingData, start: Checkpoint, report: @escaping (TrainingEvent) -> Void
  ) throws(TrainingError) {
    self.finetuner = finetuner
    self.report = report
    checkpoint = start
    let settings = finetuner.options
    state = TrainingState(
      weights: start.weights,
      schedule: LearningRateSchedule(
        settings.schedule, base: settings.learningRate, epochs: settings.epochs, patience: settings.plateauPatience))
    (training, validation) = try data.datasets(start.metadata.preprocessing)
    let size = start.metadata.preprocessing.imageSize
    do {
      let plan = try Plan(
        start.weights.layout.architecture, mode: .training, batchSize: settings.batchSize, height: size, width: size)
      session = try finetuner.backend.makeSession(plan)
      predictor = try Predictor(
        start, backend: finetuner.backend, batchSize: settings.batchSize, pool: finetuner.pool)
    } catch let error as any DiagnosedError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of these floors is diagnosed: \(error)")
    }
    classWeights = settings.loss == .weightedBCE ? Self.classWeights(training) : nil
  }

  /// Runs the epochs that `state` leaves; returns the last state.
  mutating func train(from state: TrainingState) throws(TrainingError) -> TrainingState {
    self.state = state
    session.load(state.weights)
    session.load(state.moments)
    metrics = try run.metrics(epochs: state.epoch)
    return try trainEpochs()
  }

  private mutating func trainEpochs() throws(TrainingError) -> TrainingState {
    while state.epoch < options.epochs {
      try trainEpoch()
      try endEpoch()
    }
    return state
  }

  private mutating func trainEpoch() throws(TrainingError) {
    let epoch = state.epoch
    let order = BatchLoader.shuffledOrder(count: training.count, seed: options.seed, epoch: epoch)
    let stepSize = options.batchSize * options.gradientAccumulation
    let steps = (order.count + stepSize - 1) / stepSize
    let loader = BatchLoader(
      training, order: Array(order[min(state.step * stepSize, order.count)...]), batchSize: options.batchSize,
      augmentation: options.imageAugmentation, seed: options.seed, epoch: epoch, pool: finetuner.pool)
    let step = options.step(learningRate: state.schedule.rate(epoch: epoch))
    while state.step < steps {
      if let signal = Interruption.received { try stop(signal) }
      let images = order[state.step * stepSize..<min((state.step + 1) * stepSize, order.count)]
      let known = images.reduce(0) { $0 + labels(of: $1).knownCount }
      var taken = 0
      while taken < images.count {
        guard let batch = try next(loader) else { preconditionFailure("the loader has fewer images than the order") }
        taken += batch.count
        let outcome = try accumulate(batch, known: known)
        state.lossSum += outcome.lossSum
      }
      do {
        _ = try session.apply(step)
      } catch {
        throw .cause(error)
      }
      state.knownCount += known
      state.step += 1
      report(
        .step(
          epoch: epoch + 1, step: state.step, steps: steps, loss: state.lossSum / Double(max(state.knownCount, 1)),
          images: images.count))
    }
  }

  private func next(_ loader: BatchLoader) throws(TrainingError) -> Batch? {
    do {
      return try loader.next()
    } catch {
      throw .cause(error)
    }
  }

  private func accumulate(_ batch: Batch, known: Int) throws(TrainingError) -> TrainingOutcome {
    do {
      return try session.accumulateGradients(
        ImageBatch(batch.images, shape: session.plan.image, tables: training.preparation.tables),
        labels: LabelBatch(batch.samples.flatMap { labels(of: $0).labels }), weights: classWeights,
        lossScale: 1 / Double(max(known, 1)))
    } catch {
      throw .cause(error)
    }
  }

  /// The labels of one sample as the loss is to see them.
  private func labels(of sample: Int) -> LabelBatch {
    LabelBatch(
      training.labels(of: sample).map { label in
        switch (label, options.uncertain) {
        case (.unknown, .zero): .negative
        case (.unknown, .one): .positive
        default: label
        }
      })
  }

  /// Validates, writes what the epoch leaves, and then the state that makes it final.
  private mutating func endEpoch() throws(TrainingError) {
    let rate = state.schedule.rate(epoch: state.epoch)
    state.weights = session.readWeights()
    let (validationLoss, scores) = try validate()
    let isBest = validationLoss < state.bestLoss
    let summary = EpochSummary(
      epoch: state.epoch + 1, learningRate: rate, trainingLoss: state.lossSum / Double(max(state.knownCount, 1)),
      validationLoss: validationLoss, validationScores: scores, isBest: isBest)
    state.epoch += 1
    (state.step, state.lossSum, state.knownCount) = (0, 0, 0)
    state.schedule.endEpoch(validationLoss: validationLoss)
    if isBest { (state.bestLoss, state.bestEpoch) = (validationLoss, state.epoch) }
    metrics.append(Self.metricsRow(summary))
    try run.write(metrics: metrics, header: Self.metricsHeader(checkpoint.metadata.classes))
    let trained = Checkpoint(weights: state.weights, metadata: checkpoint.metadata)
    do {
      if isBest { try trained.save(to: run.bestCheckpoint, overwriting: true) }
      try trained.save(to: run.lastCheckpoint, overwriting: true)
    } catch {
      throw .cause(error)
    }
    try saveState()
    try run.note(
      "epoch",
      ["epoch": JSONValue(summary.epoch), "validation_loss": JSONValue(validationLoss), "best": JSONValue(isBest)])
    report(.epoch(summary))
  }

  /// The mean loss over the known labels of the validation list, and the AUROC of each finding.
  private func validate() throws(TrainingError) -> (loss: Double, scores: Scores) {
    predictor.load(state.weights)
    var predictions = Predictions(findings: checkpoint.metadata.classes, table: validation.table)
    var (sum, known) = (0.0, 0)
    do {
      try predictor.predict(validation) { (index, prediction) throws(EvaluationError) in
        for (logit, label) in zip(prediction.logits, validation.labels(of: index)) where label != .unknown {
          // −log σ(±z), as softplus: neither overflows.
          let z = label == .positive ? -Double(logit) : Double(logit)
          sum += max(z, 0) + log1p(exp(-abs(z)))
          known += 1
        }
        let sample = validation.table.samples[index]
        predictions.append(
          image: sample.image, patient: sample.patient, probabilities: prediction.probabilities, labels: sample.labels)
        report(.validating(epoch: state.epoch + 1, done: index + 1, images: validation.count))
      }
    } catch .notFinite(let image) {
      // Of a checkpoint this is bad data; of weights in training it is divergence.
      throw .cause(BackendError.notFinite(what: "the network's output for \(image.printable)"))
    } catch {
      throw .cause(error)
    }
    return (sum / Double(max(known, 1)), Scores(predictions))
  }

  private mutating func stop(_ signal: Int32) throws(TrainingError) -> Never {
    state.weights = session.readWeights()
    try saveState()
    try run.note(
      "interrupted", ["signal": JSONValue(Int(signal)), "epoch": JSONValue(state.epoch), "step": JSONValue(state.step)])
    throw .interrupted(signal: signal, run: run.path, epochs: state.epoch, step: state.step)
  }

  private mutating func saveState() throws(TrainingError) {
    state.moments = session.readMoments()
    do {
      try state.save(to: run.state)
    } catch {
      throw .cause(error)
    }
  }

  private static func metricsHeader(_ classes: [String]) -> String {
    (["epoch", "learning_rate", "train_loss", "validation_loss", "validation_auroc"] + classes.map { "auroc_\($0)" })
      .joined(separator: ",")
  }

  /// Undefined AUROCs are empty fields.
  private static func metricsRow(_ summary: EpochSummary) -> String {
    let scores = summary.validationScores
    let values = [summary.learningRate, summary.trainingLoss, summary.validationLoss, scores.mean]
    return ([String(summary.epoch)] + (values + scores.findings.map(\.auroc)).map { $0.map { "\($0)" } ?? "" })
      .joined(separator: ",")
  }

  /// w₊ = n₋/n and w₋ = n₊/n over the known labels of each finding.
  private static func classWeights(_ dataset: Dataset) -> ClassWeights {
    var positives = [Float](repeating: 0, count: dataset.classes.count)
    var negatives = positives
    for sample in 0..<dataset.count {
      for (index, label) in dataset.labels(of: sample).enumerated() {
        if label == .positive { positives[index] += 1 }
        if label == .negative { negatives[index] += 1 }
      }
    }
    func share(_ part: [Float]) -> [Float] {
      part.indices.map { part[$0] / max(positives[$0] + negatives[$0], 1) }
    }
    return ClassWeights(positive: share(negatives), negative: share(positives))
  }
}
