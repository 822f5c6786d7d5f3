import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform

extension TrainingLoop {
  /// Validates, writes what the epoch leaves, and then the state that makes it final.
  mutating func endEpoch() throws(TrainingError) {
    try checkSkipped(of: training)
    // Of the epoch's last step.
    let rate = state.schedule.rate(epoch: state.epoch, step: steps - 1, steps: steps)
    state.weights = try weights()
    let (validationLoss, scores) = try validate()
    let summary = EpochSummary(
      epoch: state.epoch + 1, learningRate: rate, trainingLoss: state.lossSum / Double(max(state.knownCount, 1)),
      validationLoss: validationLoss, validationScores: scores, isBest: validationLoss < state.bestLoss,
      isBestAUROC: scores.mean.map { $0 > state.bestAUROC ?? -1 } ?? false)
    state.epoch += 1
    (state.step, state.images, state.lossSum, state.knownCount) = (0, 0, 0, 0)
    state.schedule.endEpoch(validationLoss: validationLoss)
    if summary.isBest { (state.bestLoss, state.bestEpoch) = (validationLoss, state.epoch) }
    if summary.isBestAUROC { (state.bestAUROC, state.bestAUROCEpoch) = (scores.mean, state.epoch) }
    let began = ContinuousClock.now
    metrics.append(summary.metricsRow)
    try written { (loop) throws(TrainingError) in try loop.write(summary) }
    jobEnd?.saved(in: ContinuousClock.now - began)
    report(.epoch(summary))
    if let failure = training.source.cache?.failure, !hasReportedCache {
      hasReportedCache = true
      report(.note("cache: nothing more is kept: \(failure.diagnosis.message)"))
    }
  }

  private mutating func write(_ summary: EpochSummary) throws(TrainingError) {
    try run.write(metrics: metrics, header: EpochSummary.metricsHeader(checkpoint.metadata.classes))
    if summary.isBest { try save(state.chosenWeights, to: run.bestCheckpoint) }
    if summary.isBestAUROC { try save(state.chosenWeights, to: run.bestAUROCCheckpoint) }
    try save(state.weights, to: run.lastCheckpoint)
    try log(summary.scalars)
    var event = summary.event
    if options.isOver(state) { event["last"] = true }
    try run.note("epoch", state, event)
    try saveState()
  }

  /// The mean loss over the known labels of the validation list, and the AUROC of each finding. A reason to stop that comes on the way
  /// leaves the epoch with all its steps done: the run goes on with its validation. Of several processes each predicts a part, and all stop only
  /// behind it; what is made of the logits is one process's arithmetic.
  private mutating func validate() throws(TrainingError) -> (loss: Double, scores: Scores) {
    do { try predictor.load(state.chosenWeights) } catch { throw .cause(error) }
    jobEnd?.stepped(in: .zero)
    let classes = checkpoint.metadata.classes.count
    // Of each image its logits, and whether it was seen; what others predict is 0 until all is summed.
    var found = [Double](repeating: 0, count: validation.count * (classes + 1))
    let share = ranks.collective.share(of: validation.count)
    let skipped = try ranks.together { () throws(TrainingError) in
      try predict(share) { index, logits in
        for (place, logit) in logits.enumerated() { found[index * (classes + 1) + place] = Double(logit) }
        found[index * (classes + 1) + classes] = 1
      }
    }
    found = try ranks.sum(found)
    var predictions = Predictions(findings: checkpoint.metadata.classes, table: validation.table)
    var (sum, known) = (0.0, 0)
    for index in 0..<validation.count where found[index * (classes + 1) + classes] == 1 {
      let logits = found[index * (classes + 1)..<(index + 1) * (classes + 1) - 1]
      for (logit, label) in zip(logits, validation.labels(of: index)) where label != .unknown {
        // −log σ(±z), as softplus: neither overflows.
        let z = label == .positive ? -logit : logit
        sum += max(z, 0) + log1p(exp(-abs(z)))
        known += 1
      }
      let sample = validation.table.samples[index]
      predictions.append(
        image: sample.image, patient: sample.patient, probabilities: logits.map { sigmoid($0) }, labels: sample.labels)
    }
    try tell(try ranks.all(skipped), of: validation)
    try checkSkipped(of: validation)
    return (sum / Double(max(known, 1)), Scores(predictions, confidence: .none))
  }

  /// Predicts the validation images of `share`; those that are skipped. `body` is told of each of the others.
  private mutating func predict(
    _ share: Range<Int>, _ body: (Int, [Float]) -> Void
  ) throws(TrainingError) -> [SkippedImage] {
    var reason: Interruption.Reason?
    var skipped: [SkippedImage] = []
    do {
      try predictor.predict(validation, order: Array(share), skipped: { skipped.append($0) }) {
        (index, prediction) throws(EvaluationError) in
        reason = ranks.areSeveral ? nil : reasonToStop
        if let reason {
          throw .cause(TrainingError.interrupted(by: reason, run: run.path, epochs: state.epoch, step: state.step))
        }
        body(index, prediction.crops[0].logits)
        report(.validating(epoch: state.epoch + 1, done: index + 1 - share.lowerBound, images: share.count))
      }
    } catch {
      if let reason { try stop(reason) }
      // Of a checkpoint this is bad data; of weights in training it is divergence.
      if case .notFinite(let image) = error {
        throw try divergence(.notFinite(what: "the network's output"), step: 0, images: [image])
      }
      throw .cause(error)
    }
    return skipped
  }
}

extension EpochSummary {
  static func metricsHeader(_ classes: [String]) -> String {
    (["epoch", "learning_rate", "train_loss", "validation_loss", "validation_auroc"] + classes.map { "auroc_\($0)" })
      .joined(separator: ",")
  }

  /// Undefined AUROCs are empty fields.
  var metricsRow: String {
    let values = [learningRate, trainingLoss, validationLoss, validationScores.mean]
    return ([String(epoch)] + (values + validationScores.findings.map(\.auroc)).map { $0.map { "\($0)" } ?? "" })
      .joined(separator: ",")
  }

  /// What TensorBoard is given of it: `epoch/train_loss`, `epoch/validation_loss`, `epoch/validation_auroc`, and `auroc/<finding>` where
  /// that is defined.
  var scalars: [(tag: String, value: Double)] {
    let losses = [("epoch/train_loss", trainingLoss), ("epoch/validation_loss", validationLoss)]
    let mean = validationScores.mean.map { [("epoch/validation_auroc", $0)] } ?? []
    return losses + mean
      + validationScores.findings.compactMap { finding in finding.auroc.map { ("auroc/\(finding.name)", $0) } }
  }

  /// What `events.jsonl` says of it.
  var event: JSONObject {
    [
      "validation_loss": JSONValue(validationLoss), "validation_auroc": JSONValue(validationScores.mean),
      "best": JSONValue(isBest), "best_auroc": JSONValue(isBestAUROC),
    ]
  }
}
