import Engine
import Platform
import Tensors

extension Settings {
  /// Forward, backward and a step of Adam on noise, as `finetune` does them for each batch.
  func training(batch: Int) throws -> Work {
    let backend = try backend()
    let session = try makeSession(.training, batch: batch, backend)
    let images = noise(session.plan)
    return Work(unit: .imagesPerSecond(count: batch), subject: trainingSubject(backend)) {
      try Self.step(session, images, Self.labels(count: batch))
    }
  }

  /// ChestX-ray14's usual settings; Tools/bench/peers has the same.
  static let usualStep = OptimizerStep(optimizer: .adam, learningRate: 1e-4, weightDecay: 1e-5)

  /// Forward, backward and an update.
  static func step(
    _ session: any Session, _ images: ImageBatch, _ labels: LabelBatch, _ step: OptimizerStep = usualStep
  ) throws {
    _ = try session.accumulateGradients(
      images, labels: labels, weights: nil, lossScale: 1 / Double(labels.knownCount))
    _ = try session.apply(step)
  }

  /// Labels of `count` images, some of them positive.
  static func labels(count: Int) -> LabelBatch {
    var random = CounterRandom(seed: 1, purpose: .shuffle)
    return LabelBatch((0..<count * classCount).map { _ in random.uniform() < 0.3 ? Label.positive : .negative })
  }

  /// Logits of a batch of noise, without feature maps, as `predict` asks for them.
  func inference(batch: Int) throws -> Work {
    let backend = try backend()
    let session = try makeSession(.inference, batch: batch, backend)
    let images = noise(session.plan)
    return Work(unit: .imagesPerSecond(count: batch), subject: subject(backend)) {
      _ = try session.infer(images, keepingFeatures: false)
    }
  }

  func backend() throws -> any Backend {
    try Engine.backend(
      named: device, pool: pool, precision: precision, isMemoryEfficient: memoryEfficient, level: level)
  }

  func trainingSubject(_ backend: any Backend) -> String {
    subject(backend) + (memoryEfficient ? ", memory-efficient" : "")
  }

  func subject(_ backend: any Backend) -> String {
    let how = (backend as? CPUBackend).map { "\($0.precision.rawValue) on \($0.level.title)" }
    return ["\(architecture)", "\(imageSize)×\(imageSize)", backend.name, how, "threads: \(threads)"].compactMap(\.self)
      .joined(separator: ", ")
  }

  /// A session with random weights.
  func makeSession(_ mode: Plan.Mode, batch: Int, _ backend: any Backend) throws -> any Session {
    let network = try network()
    let plan = try Plan(network, mode: mode, batchSize: batch, height: imageSize, width: imageSize)
    let session = try backend.makeSession(plan)
    try session.load(Weights(initializing: network, seed: 1))
    return session
  }

  /// A full batch for `plan`, uniform with mean 0 and variance 1, as normalised images have them.
  func noise(_ plan: Plan) -> ImageBatch {
    var random = CounterRandom(seed: 1, purpose: .augmentation)
    let bound = 3.0.squareRoot()
    let pixels = (0..<plan.batchSize * plan.image.count).map { _ in Float(random.uniform(-bound, bound)) }
    return ImageBatch(count: plan.batchSize, shape: plan.image, pixels: pixels)
  }
}
