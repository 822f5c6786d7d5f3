import CCUDAKernels
import Engine
import Foundation
import Platform
import Tensors

/// One network in training on a GPU: parameters, gradients and moments stay there; the forward pass and the way back are a graph each.
final class CUDATraining: Session {
  let plan: Plan
  private let device: CUDADevice
  private let network: CUDANetwork
  private let gradients: CUDAGradients
  private let memory: CUDAMemory
  private let stream: CUDAStream
  private var images: CUDAImages
  /// What goes there and comes back: never two things at a time.
  private let staged: PinnedMemory
  private var passes: [Int: Pass] = [:]
  private var steps = 0
  private var classifierSteps = 0

  /// The graphs for a number of images.
  private final class Pass {
    let forward: CUDAGraph
    let backward: CUDAGraph
    init(forward: consuming CUDAGraph, backward: consuming CUDAGraph) {
      self.forward = forward
      self.backward = backward
    }
  }

  /// Of different sizes of batch: an epoch has two.
  private static let keptPasses = 4

  init(_ plan: Plan, _ precision: Precision, _ device: CUDADevice) throws(BackendError) {
    self.plan = plan
    self.device = device
    network = CUDANetwork(plan, precision, batch: plan.batchSize, multiprocessors: device.multiprocessors)
    guard let gradients = network.gradients else { preconditionFailure("training needs a training plan") }
    self.gradients = gradients
    memory = try network.allocate(on: device)
    network.announce(at: memory.address, on: device)
    stream = try CUDAStream(device)
    images = try CUDAImages(device, shape: plan.image, batch: plan.batchSize)
    staged = try PinnedMemory(
      4 * max(plan.layout.count, plan.batchSize * plan.architecture.classCount * 2), for: device)
    for buffer in [gradients.gradients, gradients.first, gradients.second] {
      try device.check(
        "cuMemsetD8Async",
        device.functions.setBytes(places[buffer], 0, 4 * plan.layout.trainedCount, stream.handle))
    }
    try stream.wait("a training session")
  }

  var memoryBytes: Int? { memory.bytes + images.bytes }

  private var places: Addresses { Addresses(base: memory.address, memory: network.memory) }

  // MARK: To the device and back

  private func write(_ values: [Float], to address: DeviceAddress, _ what: String) throws(BackendError) {
    try device.makeCurrent()
    values.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: staged.pointer, count: staged.bytes).copyMemory(from: $0)
    }
    try stream.copy(4 * values.count, from: UnsafeRawPointer(staged.pointer), to: address)
    try stream.wait(what)
  }

  private func read(_ count: Int, from address: DeviceAddress, _ what: String) throws(BackendError) -> [Float] {
    try device.makeCurrent()
    try stream.copy(4 * count, from: address, to: staged.pointer)
    try stream.wait(what)
    return Array(UnsafeBufferPointer(start: staged.pointer.assumingMemoryBound(to: Float.self), count: count))
  }

  private func readDoubles(_ count: Int, from address: DeviceAddress, _ what: String) throws(BackendError) -> [Double] {
    try device.makeCurrent()
    try stream.copy(8 * count, from: address, to: staged.pointer)
    try stream.wait(what)
    return Array(UnsafeBufferPointer(start: staged.pointer.assumingMemoryBound(to: Double.self), count: count))
  }

  func load(_ weights: Weights) throws(BackendError) {
    precondition(weights.layout == plan.layout, "weights of another network")
    try write(weights.values, to: places[network.parameters], "loading weights")
  }

  func readWeights() throws(BackendError) -> Weights {
    Weights(
      layout: plan.layout, values: try read(plan.layout.count, from: places[network.parameters], "reading weights"))
  }

  func readMoments() throws(BackendError) -> OptimizerMoments {
    let count = plan.layout.trainedCount
    return OptimizerMoments(
      steps: steps, classifierSteps: classifierSteps,
      first: try read(count, from: places[gradients.first], "reading moments"),
      second: try read(count, from: places[gradients.second], "reading moments"))
  }

  func load(_ moments: OptimizerMoments) throws(BackendError) {
    precondition(moments.first.count == plan.layout.trainedCount && moments.second.count == plan.layout.trainedCount)
    try write(moments.first, to: places[gradients.first], "loading moments")
    try write(moments.second, to: places[gradients.second], "loading moments")
    (steps, classifierSteps) = (moments.steps, moments.classifierSteps)
  }

  // MARK: A step

  func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome {
    precondition(images.count <= plan.batchSize, "\(images.count) images in a plan of \(plan.batchSize)")
    precondition(images.shape == plan.image, "images of \(images.shape) in a plan of \(plan.image)")
    guard images.count > 0 else { return TrainingOutcome(lossSum: 0, logits: []) }
    let classes = plan.architecture.classCount
    precondition(labels.labels.count == images.count * classes)
    if let weights {
      try write(weights.positive, to: places[gradients.positive], "class weights")
      try write(weights.negative, to: places[gradients.negative], "class weights")
    }
    try device.makeCurrent()
    let known = staged.pointer.assumingMemoryBound(to: UInt8.self)
    for (index, label) in labels.labels.enumerated() {
      switch label {
      case .negative: known[index] = 0
      case .positive: known[index] = 1
      case .unknown: known[index] = 2
      }
    }
    try stream.copy(labels.labels.count, from: UnsafeRawPointer(staged.pointer), to: places[gradients.labels])
    try self.images.send(images, windows: places[network.windows], table: places[network.table], on: stream)
    let pass = try pass(images.count)
    try pass.forward.launch(on: stream)
    try stream.launch(
      network.lossLaunch(
        device, at: memory.address, count: images.count, scale: lossScale, isWeighted: weights != nil, gradients))
    try pass.backward.launch(on: stream)
    let what =
      "a step of training \(plan.architecture.name) on \(images.count) images of \(plan.image), \(network.precision.rawValue)"
    try stream.wait(what)
    let logits = try read(images.count * classes, from: places[network.logits], what)
    let sum = try readDoubles(1, from: places[gradients.lossSum], what)[0]
    guard sum.isFinite else { throw .notFinite(what: "the loss (\(sum))") }
    return TrainingOutcome(lossSum: sum, logits: logits)
  }

  private func pass(_ count: Int) throws(BackendError) -> Pass {
    if let known = passes[count] { return known }
    let forward =
      network.weightLaunches(device, at: memory.address)
      + network.forwardLaunches(device, at: memory.address, count: count, keepingFeatures: false)
    let backward = network.backwardLaunches(device, at: memory.address, count: count, gradients)
    let pass = Pass(
      forward: try CUDAGraph(stream) { stream throws(BackendError) in
        for launch in forward { try stream.launch(launch) }
      },
      backward: try CUDAGraph(stream) { stream throws(BackendError) in
        for launch in backward { try stream.launch(launch) }
      })
    if passes.count == Self.keptPasses { passes.removeAll() }
    passes[count] = pass
    return pass
  }

  func synchronizeBatchNorm(over collective: any Collective) throws(BackendError) {
    if collective.size == 1 { return }
    throw .device(
      .cannot(
        device: device.title, what: "synchronise batch norm between processes",
        instead: "leave --sync-batch-norm out, or use --device cpu"))
  }

  func reduce(over collective: any Collective, hasImages: Bool) throws(BackendError) {
    if collective.size == 1 { return }
    let (trained, count) = (plan.layout.trainedCount, plan.layout.count)
    var sums = try read(trained, from: places[gradients.gradients], "reading gradients")
    try sums.withUnsafeMutableBufferPointer { buffer throws(BackendError) in try collective.sum(buffer) }
    try write(sums, to: places[gradients.gradients], "writing gradients")
    let statistics = places[network.parameters] + DeviceAddress(4 * trained)
    var averages = try read(count - trained, from: statistics, "reading running statistics")
    try averages.withUnsafeMutableBufferPointer { buffer throws(BackendError) in
      try collective.average(buffer, takesPart: hasImages)
    }
    try write(averages, to: statistics, "writing running statistics")
  }

  func apply(_ step: OptimizerStep) throws(BackendError) -> Double {
    let (trained, classifier) = (plan.layout.trainedCount, plan.layout.classifier)
    let range = step.scope == .network ? 0..<trained : classifier
    try device.makeCurrent()
    try stream.launch(
      CUDALaunch(
        device.kernel("gradient_norm"), "the gradient's norm", "\(range.count) values",
        grid: (CUDAGradients.normBlocks, 1, 1),
        gradient_norm_parameters(
          gradient: places[gradients.gradients] + DeviceAddress(4 * range.lowerBound),
          squares: places[gradients.squares], count: Int64(range.count))))
    let squares = try readDoubles(CUDAGradients.normBlocks, from: places[gradients.squares], "the gradient's norm")
    let norm = squares.reduce(0, +).squareRoot()
    guard norm.isFinite else { throw .notFinite(what: "a gradient") }
    // torch.nn.utils.clip_grad_norm_ divides by norm + 10⁻⁶.
    let scale = step.clipNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1
    if step.scope == .network {
      try update(0..<classifier.lowerBound, step, scale, behind: steps)
      steps += 1
    } else {
      try device.check(
        "cuMemsetD8Async",
        device.functions.setBytes(places[gradients.gradients], 0, 4 * classifier.lowerBound, stream.handle))
    }
    try update(classifier, step, scale, behind: classifierSteps)
    classifierSteps += 1
    try stream.wait("an optimizer step")
    return norm
  }

  /// Asks for the update of `range`, which has taken `behind` steps before.
  private func update(
    _ range: Range<Int>, _ step: OptimizerStep, _ scale: Double, behind: Int
  ) throws(BackendError) {
    func at(_ buffer: CUDANetwork.Buffer) -> DeviceAddress { places[buffer] + DeviceAddress(4 * range.lowerBound) }
    let kernel = device.kernel("optimizer")
    var parameters = optimizer_parameters(
      values: at(network.parameters), gradient: at(gradients.gradients), first: at(gradients.first),
      second: at(gradients.second), learning_rate: step.learningRate, weight_decay: step.weightDecay,
      gradient_scale: scale, momentum: 0, beta2: 0, epsilon: 0, correction1: 1, correction2: 1,
      count: Int64(range.count), kind: Int32(OPTIMIZER_SGD), is_first: behind == 0 ? 1 : 0)
    func adam(_ beta1: Double, _ beta2: Double, _ epsilon: Double) {
      (parameters.momentum, parameters.beta2, parameters.epsilon) = (beta1, beta2, epsilon)
      parameters.correction1 = 1 - pow(beta1, Double(behind + 1))
      parameters.correction2 = 1 - pow(beta2, Double(behind + 1))
    }
    switch step.optimizer {
    case .sgd(let momentum, let nesterov):
      parameters.momentum = momentum
      parameters.kind = Int32(nesterov ? OPTIMIZER_NESTEROV : OPTIMIZER_SGD)
    case .adam(let beta1, let beta2, let epsilon):
      parameters.kind = Int32(OPTIMIZER_ADAM)
      adam(beta1, beta2, epsilon)
    case .adamW(let beta1, let beta2, let epsilon):
      parameters.kind = Int32(OPTIMIZER_ADAMW)
      adam(beta1, beta2, epsilon)
    }
    try stream.launch(
      CUDALaunch(
        kernel, "the optimizer", "\(range.count) values",
        grid: (min(4096, (range.count + kernel.threads - 1) / kernel.threads), 1, 1), parameters))
  }

  func infer(_ images: ImageBatch, keepingFeatures: Bool) throws(BackendError) -> Inference {
    preconditionFailure("inference needs an inference plan")
  }
}
