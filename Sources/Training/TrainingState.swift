import Engine
import Foundation
import Platform
import Tensors
import WeightFormats

/// Everything that a run needs to go on as if it had never stopped: one file, so that its parts cannot disagree.
struct TrainingState: Equatable {
  /// Epochs finished.
  var epoch = 0
  /// Steps done of the epoch after them.
  var step = 0
  /// Images of the epoch that they have taken: so a run can go on with other processes, whose steps are larger or smaller. Nil where a state of before
  /// that does not say.
  var images: Int? = 0
  /// Sums over those steps.
  var lossSum = 0.0
  var knownCount = 0
  var schedule: LearningRateSchedule
  /// The lowest validation loss so far, and the epoch (from 1) that had it.
  var bestLoss = Double.infinity
  var bestEpoch = 0
  /// The highest mean AUROC so far, and its epoch; nil and 0 where none was defined yet.
  var bestAUROC: Double?
  var bestAUROCEpoch = 0
  var weights: Weights
  /// Bytes of TensorBoard's file when this was saved.
  var scalarBytes = 0
  /// Where the run keeps one.
  var average: WeightAverage?
  var moments: OptimizerMoments

  /// The weights that are validated and chosen from: the average, where there is one.
  var chosenWeights: Weights { average?.weights ?? weights }

  /// Epochs since the one with the lowest validation loss.
  var badEpochs: Int { epoch - bestEpoch }

  /// Writes the state to `path`, whole or not at all, over an earlier one, which gets the name `old`, if that is given.
  ///
  /// A safetensors file: the flat weights and moments as tensors, the counters as JSON in its metadata, with the SHA-256 of
  /// the tensors' bytes. Doubles are written so that they read back equal.
  func save(to path: String, keepingOldAs old: String? = nil) throws(PlatformError) {
    let blocks = [weights.values, moments.first, moments.second] + (average.map { [$0.weights.values] } ?? [])
    let tensors = zip(Self.names(withAverage: average != nil), blocks).map { name, values in
      (name, HostTensor(values, shape: [values.count]))
    }
    let counters: JSONValue = [
      "epoch": JSONValue(epoch), "step": JSONValue(step), "images": JSONValue(images), "loss_sum": JSONValue(lossSum),
      "known": JSONValue(knownCount),
      "reductions": JSONValue(schedule.reductions), "schedule_best": finite(schedule.bestLoss),
      "bad_epochs": JSONValue(schedule.badEpochs), "best_loss": finite(bestLoss), "best_epoch": JSONValue(bestEpoch),
      "best_auroc": JSONValue(bestAUROC), "best_auroc_epoch": JSONValue(bestAUROCEpoch),
      "optimizer_steps": JSONValue(moments.steps), "classifier_steps": JSONValue(moments.classifierSteps),
      "averaged_steps": JSONValue(average?.steps ?? 0), "scalar_bytes": JSONValue(scalarBytes),
    ]
    let metadata = [
      ("format", "chexnet-training-state"), ("version", "2"), ("state", counters.text()),
      ("sha256", Self.digest(tensors.map(\.1.bytes))),
    ]
    try Safetensors.write(
      tensors: tensors.map { (name: $0.0, tensor: $0.1) }, metadata: metadata.map { (key: $0.0, value: $0.1) },
      to: path, overwriting: true, keepingOldAs: old)
  }

  /// Reads the state at `path` for the run that would begin with `fresh`, whose settings, not whose progress, are taken.
  init(path: String, for fresh: TrainingState) throws(TrainingError) {
    func damaged(_ reason: String) -> TrainingError { .damagedState(path: path, reason: reason) }
    let tensors: NamedTensors
    let metadata: [String: String]
    do {
      let file = try WeightFile.open(path: path)
      metadata = Dictionary(file.metadata.map { ($0.key, $0.value) }) { first, _ in first }
      tensors = try file.tensors()
    } catch {
      throw .cause(error)
    }
    guard metadata["format"] == "chexnet-training-state", metadata["version"] == "2" else {
      throw damaged("it is another kind of file, or of another version of chexnet")
    }
    let names = Self.names(withAverage: fresh.average != nil)
    let found = names.compactMap { tensors[$0] }
    guard found.count == names.count, tensors.count == names.count else {
      throw damaged("expected the tensors \(names.joined(separator: ", "))")
    }
    guard metadata["sha256"] == Self.digest(found.map(\.bytes)) else {
      throw damaged("its bytes have not the SHA-256 that was recorded")
    }
    let layout = fresh.weights.layout
    let counts = [layout.count, layout.trainedCount, layout.trainedCount, layout.count]
    guard found.allSatisfy({ $0.elementType == .float32 }),
      found.map(\.shape.count) == Array(counts.prefix(found.count))
    else {
      throw damaged("its tensors belong to another network")
    }
    guard let text = metadata["state"], let counters = try? JSONValue.parse(text) else {
      throw damaged("its counters cannot be read")
    }
    func integer(_ key: String) throws(TrainingError) -> Int {
      guard let value = counters[key]?.integer, value >= 0 else { throw damaged("no counter “\(key)”") }
      return value
    }
    func double(_ key: String) throws(TrainingError) -> Double {
      guard let value = counters[key] else { throw damaged("no counter “\(key)”") }
      return value.double ?? .infinity
    }
    schedule = fresh.schedule
    schedule.reductions = try integer("reductions")
    schedule.bestLoss = try double("schedule_best")
    schedule.badEpochs = try integer("bad_epochs")
    epoch = try integer("epoch")
    step = try integer("step")
    images = counters["images"]?.integer.flatMap { $0 < 0 ? nil : $0 }
    lossSum = try double("loss_sum")
    knownCount = try integer("known")
    bestLoss = try double("best_loss")
    bestEpoch = try integer("best_epoch")
    bestAUROC = counters["best_auroc"]?.double
    bestAUROCEpoch = try integer("best_auroc_epoch")
    scalarBytes = try integer("scalar_bytes")
    weights = Weights(layout: layout, values: found[0].floats())
    moments = OptimizerMoments(
      steps: try integer("optimizer_steps"), classifierSteps: try integer("classifier_steps"), first: found[1].floats(),
      second: found[2].floats())
    if let average = fresh.average {
      self.average = WeightAverage(
        decay: average.decay, steps: try integer("averaged_steps"),
        weights: Weights(layout: layout, values: found[3].floats()))
    }
  }

  /// The state before the first step.
  init(weights: Weights, schedule: LearningRateSchedule, averageDecay: Double? = nil) {
    self.weights = weights
    self.schedule = schedule
    average = averageDecay.map { WeightAverage(decay: $0, weights: weights) }
    let zeros = [Float](repeating: 0, count: weights.layout.trainedCount)
    moments = OptimizerMoments(steps: 0, first: zeros, second: zeros)
  }

  private static func names(withAverage: Bool) -> [String] {
    ["weights", "moments.first", "moments.second"] + (withAverage ? ["average"] : [])
  }

  private static func digest(_ blocks: [[UInt8]]) -> String {
    var hash = MessageDigest(.sha256)
    for block in blocks { block.withUnsafeBytes { hash.update($0) } }
    return hash.finish()
  }
}

/// JSON has no infinity: it is null.
private func finite(_ value: Double) -> JSONValue { value.isFinite ? JSONValue(value) : .null }
