import CCUDAKernels
import Engine
import Foundation
import Platform
import Tensors

/// One network in training on a GPU: parameters, gradients and moments stay there. What accumulates gradients, from the weights to the parameters'
/// gradients, is one graph; an update is some launches more, which decide by themselves whether all is finite.
final class CUDATraining: Session {
  let plan: Plan
  let device: CUDADevice
  private let network: CUDANetwork
  private let gradients: CUDAGradients
  private let memory: CUDAMemory
  let stream: CUDAStream
  private let staging: CUDAStaging
  /// What goes there and comes back: never two things at a time.
  private let staged: PinnedMemory
  private var passes: [Pass: [Part]] = [:]
  private var weights: ClassWeights
  private var steps = 0
  private var classifierSteps = 0

  private var reduction: CUDAReduction?
  private var expectsReduction = false

  /// What is done for a number of images, as one graph or, where buckets of gradients are summed meanwhile, as one for each.
  private struct Pass: Hashable {
    let count: Int
    let isInParts: Bool
  }
  private final class Part {
    let graph: CUDAGraph
    init(_ graph: consuming CUDAGraph) { self.graph = graph }
  }

  /// What a step sends and gets back, where it lies in `staged`.
  private struct Exchange {
    let scale = 0, lossSum = 8, labels = 16
    let logits: Int
    let bytes: Int

    /// `count` of labels and of logits.
    init(_ count: Int) {
      logits = labels + (count + 7) / 8 * 8
      bytes = logits + 4 * count
    }
  }

  /// Of different sizes of batch: an epoch has two.
  private static let keptPasses = 4

  /// `sharesPlaces`: also where something watches the memory, which can then not tell maps apart that lie in one place.
  init(
    _ plan: Plan, _ precision: Precision, _ device: CUDADevice, sharesPlaces: Bool = false
  ) throws(BackendError) {
    self.plan = plan
    self.device = device
    network = CUDANetwork(
      plan, precision, batch: plan.batchSize, sharesPlaces: device.functions.announce == nil || sharesPlaces,
      by: device.choice)
    guard let gradients = network.gradients else { preconditionFailure("training needs a training plan") }
    self.gradients = gradients
    memory = try network.allocate(on: device)
    if !sharesPlaces { network.announce(at: memory.address, on: device) }
    stream = try CUDAStream(device)
    try network.sendPacking(device, at: memory.address, on: stream)
    staging = try CUDAStaging(device, shape: plan.image, batch: plan.batchSize)
    let classes = plan.architecture.classCount
    staged = try PinnedMemory(max(4 * plan.layout.count, Exchange(plan.batchSize * classes).bytes), for: device)
    weights = ClassWeights(
      positive: [Float](repeating: 1, count: classes), negative: [Float](repeating: 1, count: classes))
    for buffer in [gradients.gradients, gradients.first, gradients.second] {
      try clear(plan.layout.trainedCount, at: places[buffer])
    }
    try send(weights)
  }

  deinit {
    // Memory is not freed while a sum is under way, and others may never come to it: NCCL ends it.
    reduction = nil
  }

  var memoryBytes: Int? { memory.bytes + staging.bytes }
  var stage: (any ImageStage)? { staging }

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

  private func send(_ weights: ClassWeights) throws(BackendError) {
    try write(weights.positive, to: places[gradients.positive], "class weights")
    try write(weights.negative, to: places[gradients.negative], "class weights")
  }

  /// `count` Floats become zero.
  private func clear(_ count: Int, at address: DeviceAddress) throws(BackendError) {
    try device.check("cuMemsetD8Async", device.functions.setBytes(address, 0, 4 * count, stream.handle))
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
    defer { expectsReduction = false }
    precondition(images.count <= plan.batchSize, "\(images.count) images in a plan of \(plan.batchSize)")
    precondition(images.shape == plan.image, "images of \(images.shape) in a plan of \(plan.image)")
    guard images.count > 0 else { return TrainingOutcome(lossSum: 0, logits: []) }
    let classes = plan.architecture.classCount
    precondition(labels.labels.count == images.count * classes)
    let weights =
      weights
      ?? ClassWeights(
        positive: [Float](repeating: 1, count: classes), negative: [Float](repeating: 1, count: classes))
    if weights != self.weights {
      try send(weights)
      self.weights = weights
    }
    try device.makeCurrent()
    let exchange = Exchange(images.count * classes)
    staged.pointer.storeBytes(of: lossScale, toByteOffset: exchange.scale, as: Double.self)
    let known = (staged.pointer + exchange.labels).assumingMemoryBound(to: UInt8.self)
    for (index, label) in labels.labels.enumerated() {
      switch label {
      case .negative: known[index] = 0
      case .positive: known[index] = 1
      case .unknown: known[index] = 2
      }
    }
    try stream.copy(8, from: UnsafeRawPointer(staged.pointer + exchange.scale), to: places[gradients.scale])
    try stream.copy(labels.labels.count, from: UnsafeRawPointer(known), to: places[gradients.labels])
    try staging.use(images, windows: places[network.windows], table: places[network.table], on: stream)
    defer { staging.release() }
    let sumsMeanwhile = reduction.flatMap { expectsReduction ? $0 : nil }
    for part in try parts(Pass(count: images.count, isInParts: sumsMeanwhile != nil)) {
      try part.graph.launch(on: stream)
      try sumsMeanwhile?.begin(places[gradients.gradients], behind: stream)
    }
    try stream.copy(4 * images.count * classes, from: places[network.logits], to: staged.pointer + exchange.logits)
    try stream.copy(8, from: places[gradients.lossSum], to: staged.pointer + exchange.lossSum)
    try stream.wait(
      "a step of training \(plan.architecture.name) on \(images.count) images of \(plan.image), \(network.precision.rawValue)"
    )
    let sum = staged.pointer.load(fromByteOffset: exchange.lossSum, as: Double.self)
    guard sum.isFinite else { throw .notFinite(what: "the loss (\(sum))") }
    let logits = (staged.pointer + exchange.logits).assumingMemoryBound(to: Float.self)
    return TrainingOutcome(
      lossSum: sum, logits: Array(UnsafeBufferPointer(start: logits, count: images.count * classes)))
  }

  /// What accumulates the gradients of `count` images, bucket by bucket.
  func launches(_ count: Int) -> [[CUDALaunch]] {
    let base = memory.address
    var launches = network.backwardLaunches(device, at: base, count: count, gradients)
    launches[0] =
      network.weightLaunches(device, at: base)
      + network.forwardLaunches(device, at: base, count: count, keepingFeatures: false)
      + [network.lossLaunch(device, at: base, count: count, gradients)] + launches[0]
    return launches
  }

  private func parts(_ pass: Pass) throws(BackendError) -> [Part] {
    if let known = passes[pass] { return known }
    var launches = launches(pass.count)
    if !pass.isInParts { launches = [Array(launches.joined())] }
    var parts: [Part] = []
    for part in launches {
      let graph = try CUDAGraph(stream) { stream throws(BackendError) in
        for launch in part { try stream.launch(launch) }
      }
      parts.append(Part(graph))
    }
    if passes.count == Self.keptPasses { passes.removeAll() }
    passes[pass] = parts
    return parts
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
    if reduction == nil { reduction = try CUDAReduction(device, collective, buckets: network.buckets) }
    let trained = plan.layout.trainedCount
    try reduction?.finish(
      places[gradients.gradients], statistics: places[network.parameters] + DeviceAddress(4 * trained),
      count: plan.layout.count - trained, hasImages: hasImages, behind: stream)
  }

  func join(_ collective: any Collective) throws(BackendError) {
    if collective.size == 1 { return }
    let reduction = try CUDAReduction(device, collective, buckets: network.buckets)
    try reduction.connect(places[gradients.gradients], behind: stream)
    self.reduction = reduction
  }

  func expectReduction() { expectsReduction = true }

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
    if step.scope == .network { try update(0..<classifier.lowerBound, step, behind: steps) }
    try update(classifier, step, behind: classifierSteps)
    try stream.copy(8, from: places[gradients.norm], to: staged.pointer)
    try stream.wait("an optimizer step")
    let norm = staged.pointer.load(as: Double.self)
    guard norm.isFinite else { throw .notFinite(what: "a gradient") }
    if step.scope == .network {
      steps += 1
    } else {
      try clear(classifier.lowerBound, at: places[gradients.gradients])
    }
    classifierSteps += 1
    return norm
  }

  /// Asks for the update of `range`, which has taken `behind` steps before.
  private func update(_ range: Range<Int>, _ step: OptimizerStep, behind: Int) throws(BackendError) {
    func at(_ buffer: CUDANetwork.Buffer) -> DeviceAddress { places[buffer] + DeviceAddress(4 * range.lowerBound) }
    let kernel = device.kernel("optimizer")
    var parameters = optimizer_parameters(
      values: at(network.parameters), gradient: at(gradients.gradients), first: at(gradients.first),
      second: at(gradients.second), squares: places[gradients.squares], norm: places[gradients.norm],
      learning_rate: step.learningRate, weight_decay: step.weightDecay, clip_norm: step.clipNorm ?? .infinity,
      momentum: 0, beta2: 0, epsilon: 0, correction1: 1, correction2: 1, count: Int64(range.count),
      kind: Int32(OPTIMIZER_SGD), is_first: behind == 0 ? 1 : 0, squares_count: Int32(CUDAGradients.normBlocks),
      unused: 0)
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
