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
    state.weights = session.readWeights()
    let (validationLoss, scores) = try validate()
    let summary = EpochSummary(
      epoch: state.epoch + 1, learningRate: rate, trainingLoss: state.lossSum / Double(max(state.knownCount, 1)),
      validationLoss: validationLoss, validationScores: scores, isBest: validationLoss < state.bestLoss,
      isBestAUROC: scores.mean.map { $0 > state.bestAUROC ?? -1 } ?? false)
    state.epoch += 1
    (state.step, state.lossSum, state.knownCount) = (0, 0, 0)
    state.schedule.endEpoch(validationLoss: validationLoss)
    if summary.isBest { (state.bestLoss, state.bestEpoch) = (validationLoss, state.epoch) }
    if summary.isBestAUROC { (state.bestAUROC, state.bestAUROCEpoch) = (scores.mean, state.epoch) }
    let began = ContinuousClock.now
    metrics.append(summary.metricsRow)
    try run.write(metrics: metrics, header: EpochSummary.metricsHeader(checkpoint.metadata.classes))
    if summary.isBest { try save(state.chosenWeights, to: run.bestCheckpoint) }
    if summary.isBestAUROC { try save(state.chosenWeights, to: run.bestAUROCCheckpoint) }
    try save(state.weights, to: run.lastCheckpoint)
    try log(summary.scalars)
    try run.note("epoch", state, summary.event)
    try saveState()
    jobEnd?.saved(in: ContinuousClock.now - began)
    report(.epoch(summary))
    if let failure = training.source.cache?.failure, !hasReportedCache {
      hasReportedCache = true
      report(.note("cache: nothing more is kept: \(failure.diagnosis.message)"))
    }
  }

  /// The mean loss over the known labels of the validation list, and the AUROC of each finding. A reason to stop that comes on the way
  /// leaves the epoch with all its steps done: the run goes on with its validation.
  private mutating func validate() throws(TrainingError) -> (loss: Double, scores: Scores) {
    predictor.load(state.chosenWeights)
    jobEnd?.stepped(in: .zero)
    var predictions = Predictions(findings: checkpoint.metadata.classes, table: validation.table)
    var (sum, known) = (0.0, 0)
    var reason: Interruption.Reason?
    var skipped: [SkippedImage] = []
    do {
      try predictor.predict(validation, skipped: { skipped.append($0) }) {
        (index, prediction) throws(EvaluationError) in
        reason = reasonToStop
        if let reason {
          throw .cause(TrainingError.interrupted(by: reason, run: run.path, epochs: state.epoch, step: state.step))
        }
        for (logit, label) in zip(prediction.crops[0].logits, validation.labels(of: index)) where label != .unknown {
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
    } catch {
      if let reason { try stop(reason) }
      // Of a checkpoint this is bad data; of weights in training it is divergence.
      if case .notFinite(let image) = error {
        throw try divergence(.notFinite(what: "the network's output"), step: 0, images: [image])
      }
      throw .cause(error)
    }
    try tell(skipped, of: validation)
    try checkSkipped(of: validation)
    return (sum / Double(max(known, 1)), Scores(predictions, confidence: .none))
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
