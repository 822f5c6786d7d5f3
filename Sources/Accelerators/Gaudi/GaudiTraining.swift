import Engine
import Foundation
import Tensors

/// One network in training on a Gaudi: parameters, gradients and moments stay there; the host keeps the running statistics, and says how each step goes on.
///
/// A pass is a graph for each number of images, for batch norm sees as many as there are.
final class GaudiTraining: Session {
  let plan: Plan
  let device: GaudiDevice
  private let precision: Precision
  private let layout: GaudiLayout
  private let workshop: GaudiWorkshop<Work>
  private let staging: GaudiStaging
  let features: GaudiTrainedPart
  let classifier: GaudiTrainedPart
  private let running: GaudiMemory
  private let statistics: GaudiMemory
  private let factors: GaudiMemory
  private let logits: GaudiMemory
  private let scalars: GaudiMemory
  /// What goes there and comes back: never two things at a time.
  private let host: GaudiHostMemory
  /// The running statistics, of the flat buffer from `trainedCount` on.
  private var runningStatistics: [Float]
  private var steps = 0
  private var classifierSteps = 0
  private var reduction: GaudiReduction?

  private enum Work: Hashable {
    case pass(count: Int, GaudiLowering.Input)
    case accumulation(Int), squares(Int)
    case step(GaudiUpdate.Kind, Int)
  }

  /// What a pass sends and gets back, where it lies in `host`.
  private struct Exchange {
    /// Factors of all labels, then of positive ones; logits; statistics. In bytes.
    let logits, statistics, bytes: Int

    init(_ labels: Int, statistics count: Int) {
      logits = 2 * GaudiLowering.positiveFactors(labels)
      statistics = logits + 4 * labels
      bytes = statistics + 4 * count
    }
  }

  init(_ plan: Plan, _ precision: Precision, _ device: GaudiDevice, recipes: GaudiRecipes?) throws(BackendError) {
    (self.plan, self.precision, self.device) = (plan, precision, device)
    let layout = GaudiLayout(plan.layout)
    let batch = plan.batchSize
    self.layout = layout
    func memory(_ count: Int) throws(BackendError) -> GaudiMemory {
      try GaudiMemory(4 * count, forBatch: batch, on: device)
    }
    workshop = try GaudiWorkshop(device, batch: batch, recipes: recipes)
    staging = try GaudiStaging(device, shape: plan.image, batch: batch)
    features = try GaudiTrainedPart(.features, count: layout.count(.features), device, batch: batch)
    classifier = try GaudiTrainedPart(.classifier, count: layout.count(.classifier), device, batch: batch)
    running = try memory(layout.count(.running))
    statistics = try memory(layout.count(.running))
    let labels = batch * plan.architecture.classCount
    let exchange = Exchange(labels, statistics: layout.count(.running))
    factors = try memory(exchange.logits / 4)
    logits = try memory(labels)
    scalars = try memory(GaudiUpdate.Scalar.bytes / 4)
    host = try GaudiHostMemory(
      max(exchange.bytes, 4 * layout.count(.features), 4 * GaudiTrainedPart.sums, GaudiUpdate.Scalar.bytes),
      for: device)
    runningStatistics = [Float](repeating: 0, count: plan.layout.count - plan.layout.trainedCount)
    for part in [features, classifier] { try part.clear(on: workshop.stream) }
    try workshop.stream.clear(layout.count(.running), at: running.address)
    try workshop.stream.clear(layout.count(.running), at: statistics.address)
    try workshop.stream.wait("memory for training \(plan.architecture.name)")
  }

  deinit {
    // Memory is not freed while a sum is under way, and others may never come to it: HCCL ends it.
    reduction = nil
    try? workshop.stream.wait("the end of training")
  }

  var memoryBytes: Int? {
    features.bytes + classifier.bytes + running.bytes + statistics.bytes + factors.bytes + logits.bytes
      + scalars.bytes + staging.bytes + workshop.workspaceBytes
  }
  var stage: (any ImageStage)? { staging }

  // MARK: To the device and back

  private var trainedParts: [GaudiTrainedPart] { [features, classifier] }

  private func write(
    _ values: [Float], _ part: GaudiLayout.Part, to address: UInt64, _ what: String
  ) throws(BackendError) {
    let count = layout.count(part)
    layout.pack(values, part, into: UnsafeMutableBufferPointer(rebasing: host.floats[..<count]))
    try workshop.stream.copy(4 * count, from: UnsafeRawPointer(host.pointer), to: address)
    try workshop.stream.wait(what)
  }

  private func read(
    _ part: GaudiLayout.Part, from address: UInt64, into values: inout [Float], _ what: String
  ) throws(BackendError) {
    let count = layout.count(part)
    try workshop.stream.copy(4 * count, from: address, to: host.pointer)
    try workshop.stream.wait(what)
    layout.unpack(UnsafeBufferPointer(rebasing: host.floats[..<count]), part, into: &values)
  }

  func load(_ weights: Weights) throws(BackendError) {
    precondition(weights.layout == plan.layout, "weights of another network")
    for part in trainedParts { try write(weights.values, part.part, to: part.weights.address, "loading weights") }
    try write(weights.values, .running, to: running.address, "loading running statistics")
    runningStatistics = Array(weights.values[plan.layout.trainedCount...])
  }

  func readWeights() throws(BackendError) -> Weights {
    var values = [Float](repeating: 0, count: plan.layout.count)
    for part in trainedParts { try read(part.part, from: part.weights.address, into: &values, "reading weights") }
    values.replaceSubrange(plan.layout.trainedCount..., with: runningStatistics)
    return Weights(layout: plan.layout, values: values)
  }

  func readMoments() throws(BackendError) -> OptimizerMoments {
    var first = [Float](repeating: 0, count: plan.layout.trainedCount)
    var second = first
    for part in trainedParts {
      try read(part.part, from: part.first.address, into: &first, "reading moments")
      try read(part.part, from: part.second.address, into: &second, "reading moments")
    }
    return OptimizerMoments(steps: steps, classifierSteps: classifierSteps, first: first, second: second)
  }

  func load(_ moments: OptimizerMoments) throws(BackendError) {
    precondition(moments.first.count == plan.layout.trainedCount && moments.second.count == plan.layout.trainedCount)
    for part in trainedParts {
      try write(moments.first, part.part, to: part.first.address, "loading moments")
      try write(moments.second, part.part, to: part.second.address, "loading moments")
    }
    (steps, classifierSteps) = (moments.steps, moments.classifierSteps)
  }

  // MARK: A pass

  func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome {
    precondition(images.count <= plan.batchSize, "\(images.count) images in a plan of \(plan.batchSize)")
    precondition(images.shape == plan.image, "images of \(images.shape) in a plan of \(plan.image)")
    guard images.count > 0 else { return TrainingOutcome(lossSum: 0, logits: []) }
    let classes = plan.architecture.classCount
    precondition(labels.labels.count == images.count * classes)
    let exchange = Exchange(labels.labels.count, statistics: layout.count(.running))
    let loss = GaudiLoss(labels, weights, classCount: classes)
    loss.write(lossScale, to: host.floats, positiveAt: GaudiLowering.positiveFactors(labels.labels.count) / 4)
    try workshop.stream.copy(exchange.logits, from: UnsafeRawPointer(host.pointer), to: factors.address)
    let brought = try staging.use(images, on: workshop.stream)
    defer { staging.release() }
    var addresses = brought.addresses
    for part in trainedParts {
      addresses[part.part.section] = part.weights.address
      if let gradient = part.part.gradientSection { addresses[gradient] = part.more.address }
    }
    (addresses[.running], addresses[.statistics]) = (running.address, statistics.address)
    (addresses[.factors], addresses[.logits]) = (factors.address, logits.address)
    try workshop.launch(.pass(count: images.count, brought.input), addresses) {
      GaudiLowering.training(plan, layout, count: images.count, precision, brought.input)
    }
    try workshop.stream.copy(4 * labels.labels.count, from: logits.address, to: host.pointer + exchange.logits)
    try workshop.stream.copy(
      4 * layout.count(.running), from: statistics.address, to: host.pointer + exchange.statistics)
    try workshop.stream.wait(
      "a step of training \(plan.architecture.name) on \(images.count) images of \(plan.image), \(precision.rawValue)")
    let found = Array(host.floats[exchange.logits / 4..<exchange.statistics / 4])
    for part in trainedParts {
      if part.hasGradients {
        try workshop.launch(.accumulation(part.count), part.accumulation) {
          GaudiUpdate.accumulation(count: part.count)
        }
        part.takeSum()
      } else {
        part.takeMore()
      }
    }
    let sum = loss.sum(found)
    guard sum.isFinite else { throw .notFinite(what: "the loss (\(sum))") }
    updateRunningStatistics(
      by: UnsafeBufferPointer(rebasing: host.floats[(exchange.statistics / 4)...]), count: images.count)
    return TrainingOutcome(lossSum: sum, logits: found)
  }

  /// running ← (1 − momentum) · running + momentum · batch; the variance enters unbiased, ·m/(m − 1), as in PyTorch.
  ///
  /// `found`: the batch's mean and 1/√(variance + ε), where the running mean and variance lie. Synapse's kernel moves its own running statistics where it is
  /// given them (Intel_Gaudi3_Software, graph_compiler/passes/update_nodes_with_alias_tensors.cpp), by the biased variance if by its tests: they are not read.
  private func updateRunningStatistics(by found: UnsafeBufferPointer<Float>, count: Int) {
    let (momentum, epsilon) = (plan.architecture.batchNormMomentum, plan.architecture.batchNormEpsilon)
    func update(_ range: Range<Int>, _ value: (Double) -> Double) {
      let start = layout[range].start
      for channel in 0..<range.count {
        let index = range.lowerBound - plan.layout.trainedCount + channel
        runningStatistics[index] = Float(
          (1 - momentum) * Double(runningStatistics[index]) + momentum * value(Double(found[start + channel])))
      }
    }
    for (parameters, area) in plan.normalizations {
      let size = Double(count * area)
      update(parameters.runningMean) { $0 }
      update(parameters.runningVariance) { max(0, 1 / ($0 * $0) - epsilon) * size / max(size - 1, 1) }
    }
  }

  // MARK: A step

  func synchronizeBatchNorm(over collective: any Collective) throws(BackendError) {
    if collective.size == 1 { return }
    throw .device(
      .cannot(
        device: device.title, what: "synchronise batch norm between processes",
        instead: "leave --sync-batch-norm out, or use --device cpu"))
  }

  func join(_ collective: any Collective) throws(BackendError) {
    if collective.size == 1 { return }
    reduction = try GaudiReduction(device, collective)
  }

  func reduce(over collective: any Collective, hasImages: Bool) throws(BackendError) {
    if collective.size == 1 { return }
    if reduction == nil { reduction = try GaudiReduction(device, collective) }
    for part in trainedParts { try part.fillGradients(on: workshop.stream) }
    try reduction?.sum(trainedParts.map { ($0.gradients.address, $0.count) }, on: workshop.stream)
    var result: Result<Void, BackendError> = .success(())
    runningStatistics.withUnsafeMutableBufferPointer { values in
      do throws(BackendError) {
        try collective.average(values, takesPart: hasImages)
      } catch {
        result = .failure(error)
      }
    }
    try result.get()
  }

  func apply(_ step: OptimizerStep) throws(BackendError) -> Double {
    let parts = step.scope == .network ? trainedParts : [classifier]
    var squares = 0.0
    for part in parts {
      try part.fillGradients(on: workshop.stream)
      try workshop.launch(.squares(part.count), [.gradients: part.gradients.address, .squares: part.squares.address]) {
        GaudiUpdate.squares(count: part.count)
      }
      try workshop.stream.copy(4 * GaudiTrainedPart.sums, from: part.squares.address, to: host.pointer)
      try workshop.stream.wait("the gradient's norm")
      for sum in host.floats[..<GaudiTrainedPart.sums] { squares += Double(sum) }
    }
    let norm = squares.squareRoot()
    guard norm.isFinite else { throw .notFinite(what: "a gradient") }
    // torch.nn.utils.clip_grad_norm_ divides by norm + 10⁻⁶.
    let clip = step.clipNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1
    let kind = GaudiUpdate.Kind(step.optimizer)
    for part in parts {
      let number = 1 + (part === classifier ? classifierSteps : steps)
      host.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: GaudiUpdate.Scalar.bytes)
      for (scalar, value) in GaudiUpdate.scalars(step, clip: clip, number: number) {
        host.floats[scalar.offset / 4] = value
      }
      try workshop.stream.copy(
        GaudiUpdate.Scalar.bytes, from: UnsafeRawPointer(host.pointer), to: scalars.address)
      var addresses = part.step
      addresses[.scalars] = scalars.address
      try workshop.launch(.step(kind, part.count), addresses) { GaudiUpdate.step(kind, count: part.count) }
      // The next part's scalars lie where these do.
      try workshop.stream.wait("an optimizer step")
      part.takeStep(writesSecond: kind == .adam || kind == .adamW)
    }
    if step.scope == .network { steps += 1 }
    classifierSteps += 1
    features.dropGradients()
    return norm
  }

  func infer(_ images: ImageBatch, keepingFeatures: Bool) throws(BackendError) -> Inference {
    preconditionFailure("inference needs an inference plan")
  }
}
