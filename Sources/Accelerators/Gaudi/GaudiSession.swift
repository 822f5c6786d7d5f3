import Engine
import Tensors

/// One network for inference on a Gaudi.
///
/// A batch that is not full runs as a full one, for each size would be a graph of its own; what the rest makes is not read.
final class GaudiSession: InferenceSession {
  let plan: Plan
  private let precision: Precision
  private let device: GaudiDevice
  private let layout: GaudiLayout
  private let workshop: GaudiWorkshop<Pass>
  private let staging: GaudiStaging
  private let parts: [GaudiLayout.Part: Memory]
  private let logits: GaudiMemory
  private let maps: GaudiMemory
  private var host: GaudiHostMemory
  private var weights: Weights

  private struct Pass: Hashable {
    let input: GaudiLowering.Input
    let keepsFeatures: Bool
  }

  private final class Memory {
    let memory: GaudiMemory
    init(_ memory: consuming GaudiMemory) { self.memory = memory }
  }

  init(_ plan: Plan, _ precision: Precision, _ device: GaudiDevice, recipes: GaudiRecipes?) throws(BackendError) {
    (self.plan, self.precision, self.device) = (plan, precision, device)
    layout = GaudiLayout(plan.layout)
    workshop = try GaudiWorkshop(device, batch: plan.batchSize, recipes: recipes)
    staging = try GaudiStaging(device, shape: plan.image, batch: plan.batchSize)
    var parts: [GaudiLayout.Part: Memory] = [:]
    for part in GaudiLayout.Part.allCases {
      parts[part] = Memory(
        try GaudiMemory(4 * layout.count(part), forBatch: plan.batchSize, on: device))
    }
    self.parts = parts
    logits = try GaudiMemory(
      4 * plan.batchSize * plan.architecture.classCount, forBatch: plan.batchSize, on: device)
    maps = try GaudiMemory(4 * plan.batchSize * plan.features.count, forBatch: plan.batchSize, on: device)
    host = try GaudiHostMemory(4 * plan.batchSize * plan.architecture.classCount, for: device)
    weights = Weights(layout: plan.layout, values: [Float](repeating: 0, count: plan.layout.count))
  }

  var memoryBytes: Int? {
    parts.values.reduce(staging.bytes + workshop.workspaceBytes + logits.bytes + maps.bytes) { $0 + $1.memory.bytes }
  }
  var stage: (any ImageStage)? { staging }

  func load(_ weights: Weights) throws(BackendError) {
    precondition(weights.layout == plan.layout, "weights of another network")
    for (part, memory) in parts {
      let packed = try GaudiHostMemory(memory.memory.bytes, for: device)
      layout.pack(weights.values, part, into: packed.floats)
      try workshop.stream.copy(packed.bytes, from: UnsafeRawPointer(packed.pointer), to: memory.memory.address)
      try workshop.stream.wait("loading the weights of \(plan.architecture.name)")
    }
    self.weights = weights
  }

  func readWeights() -> Weights { weights }

  func infer(_ images: ImageBatch, keepingFeatures: Bool) throws(BackendError) -> Inference {
    precondition(images.count <= plan.batchSize, "\(images.count) images in a plan of \(plan.batchSize)")
    precondition(images.shape == plan.image, "images of \(images.shape) in a plan of \(plan.image)")
    guard images.count > 0 else { return Inference(logits: [], features: []) }
    let brought = try staging.use(images, on: workshop.stream)
    defer { staging.release() }
    var addresses = brought.addresses
    addresses[.logits] = logits.address
    addresses[.maps] = maps.address
    for (part, memory) in parts { addresses[part.section] = memory.memory.address }
    try workshop.launch(Pass(input: brought.input, keepsFeatures: keepingFeatures), addresses) {
      GaudiLowering.inference(
        plan, layout, count: plan.batchSize, precision, brought.input, keepingFeatures: keepingFeatures)
    }
    let (classes, features) = (images.count * plan.architecture.classCount, images.count * plan.features.count)
    let wanted = 4 * (classes + (keepingFeatures ? features : 0))
    if host.bytes < wanted { host = try GaudiHostMemory(wanted, for: device) }
    try workshop.stream.copy(4 * classes, from: logits.address, to: host.pointer)
    if keepingFeatures {
      try workshop.stream.copy(4 * features, from: maps.address, to: host.pointer + 4 * classes)
    }
    try workshop.stream.wait(
      "inference of \(plan.architecture.name) on \(images.count) images of \(plan.image), \(precision.rawValue)")
    let found = host.floats
    return Inference(
      logits: Array(found[..<classes]),
      features: keepingFeatures ? planes(UnsafeBufferPointer(rebasing: found[classes..<classes + features])) : [])
  }

  /// `[N, C, H, W]` of maps `[N, H, W, C]`.
  private func planes(_ maps: UnsafeBufferPointer<Float>) -> [Float] {
    let (channels, area) = (plan.features.channels, plan.features.area)
    return [Float](unsafeUninitializedCapacity: maps.count) { planes, initialized in
      for (index, value) in maps.enumerated() {
        let (pixel, channel) = (index / channels, index % channels)
        planes.initializeElement(at: (pixel / area * channels + channel) * area + pixel % area, to: value)
      }
      initialized = maps.count
    }
  }
}
