import CCUDAKernels
import Engine
import Platform
import Tensors

/// One network for inference on a GPU: everything in one piece of the device's memory, a pass as one graph.
final class CUDASession: InferenceSession {
  let plan: Plan
  let device: CUDADevice
  private let network: CUDANetwork
  private let memory: CUDAMemory
  let stream: CUDAStream
  private let staging: CUDAStaging
  /// Logits and feature maps on their way back.
  private var results: PinnedMemory
  private var graphs: [GraphKey: GraphBox] = [:]
  private var weights: Weights

  /// What a graph was taken down for.
  private struct GraphKey: Hashable {
    let count: Int
    let keepsFeatures: Bool
  }

  /// Something to put into a dictionary.
  private final class GraphBox {
    let graph: CUDAGraph
    init(_ graph: consuming CUDAGraph) { self.graph = graph }
  }

  /// Of different sizes of batch, the last of an epoch's being one: more are taken down again when they come back.
  private static let keptGraphs = 8

  /// `sharesPlaces`: also where something watches the memory, which can then not tell maps apart that lie in one place.
  init(
    _ plan: Plan, _ precision: Precision, _ device: CUDADevice, sharesPlaces: Bool = false
  ) throws(BackendError) {
    self.plan = plan
    self.device = device
    network = CUDANetwork(
      plan, precision, batch: plan.batchSize, sharesPlaces: device.functions.announce == nil || sharesPlaces,
      by: device.choice)
    let memory = try network.allocate(on: device)
    if !sharesPlaces { network.announce(at: memory.address, on: device) }
    self.memory = memory
    stream = try CUDAStream(device)
    try network.sendPacking(device, at: self.memory.address, on: stream)
    staging = try CUDAStaging(device, shape: plan.image, batch: plan.batchSize)
    results = try PinnedMemory(4 * plan.batchSize * plan.architecture.classCount, for: device)
    weights = Weights(layout: plan.layout, values: [Float](repeating: 0, count: plan.layout.count))
  }

  var memoryBytes: Int? { memory.bytes + staging.bytes }
  var stage: (any ImageStage)? { staging }

  func load(_ weights: Weights) throws(BackendError) {
    precondition(weights.layout == plan.layout, "weights of another network")
    try device.makeCurrent()
    let staged = try PinnedMemory(weights.values.count * 4, for: device)
    weights.values.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(start: staged.pointer, count: staged.bytes).copyMemory(from: $0)
    }
    let places = Addresses(base: memory.address, memory: network.memory)
    let classifier = plan.layout.classifier
    try stream.copy(staged.bytes, from: staged.pointer, to: places[network.parameters])
    try stream.copy(
      classifier.count * 4, from: staged.pointer + classifier.lowerBound * 4, to: places[network.classifier])
    for launch in network.weightLaunches(device, at: memory.address) { try stream.launch(launch) }
    try stream.wait("loading the weights of \(plan.architecture.name)")
    self.weights = weights
  }

  func readWeights() -> Weights { weights }

  func infer(_ images: ImageBatch, keepingFeatures: Bool) throws(BackendError) -> Inference {
    precondition(images.count <= plan.batchSize, "\(images.count) images in a plan of \(plan.batchSize)")
    precondition(images.shape == plan.image, "images of \(images.shape) in a plan of \(plan.image)")
    guard images.count > 0 else { return Inference(logits: [], features: []) }
    try device.makeCurrent()
    let places = Addresses(base: memory.address, memory: network.memory)
    let (classes, features) = (images.count * plan.architecture.classCount, images.count * plan.features.count)
    let wanted = 4 * (classes + (keepingFeatures ? features : 0))
    if results.bytes < wanted { results = try PinnedMemory(wanted, for: device) }
    try staging.use(images, windows: places[network.windows], table: places[network.table], on: stream)
    defer { staging.release() }
    try run(images.count, keepingFeatures)
    try stream.copy(4 * classes, from: places[network.logits], to: results.pointer)
    if keepingFeatures {
      try stream.copy(4 * features, from: places[network.features], to: results.pointer + 4 * classes)
    }
    try stream.wait(
      "inference of \(plan.architecture.name) on \(images.count) images of \(plan.image), \(network.precision.rawValue)"
    )
    let found = results.pointer.assumingMemoryBound(to: Float.self)
    return Inference(
      logits: Array(UnsafeBufferPointer(start: found, count: classes)),
      features: keepingFeatures ? Array(UnsafeBufferPointer(start: found + classes, count: features)) : [])
  }

  /// What a pass over `count` images launches.
  func launches(_ count: Int, keepingFeatures: Bool = false) -> [CUDALaunch] {
    network.forwardLaunches(device, at: memory.address, count: count, keepingFeatures: keepingFeatures)
  }

  /// Milliseconds that a pass over `count` images takes, those of the last call of `infer` with so many.
  func timePass(_ count: Int) throws(BackendError) -> Double {
    try device.makeCurrent()
    return try stream.time { _ throws(BackendError) in try run(count, false) }
  }

  /// Asks for the pass, as a graph.
  private func run(_ count: Int, _ keepingFeatures: Bool) throws(BackendError) {
    let key = GraphKey(count: count, keepsFeatures: keepingFeatures)
    if let known = graphs[key] { return try known.graph.launch(on: stream) }
    let launches = launches(count, keepingFeatures: keepingFeatures)
    let graph = try CUDAGraph(stream) { stream throws(BackendError) in
      for launch in launches { try stream.launch(launch) }
    }
    if graphs.count == Self.keptGraphs { graphs.removeAll() }
    let box = GraphBox(graph)
    graphs[key] = box
    try box.graph.launch(on: stream)
  }
}
