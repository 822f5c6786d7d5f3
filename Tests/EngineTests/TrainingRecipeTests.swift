import Platform
import TestSupport
import Testing

@testable import Engine

/// Ten steps that PyTorch recorded with one thing changed (`fixtures/training/runs.safetensors`).
struct RecipeRun: CustomTestStringConvertible {
  enum Kind: String, CaseIterable {
    /// Class weights in the loss.
    case weighted
    /// Two images and one, in two micro-batches.
    case accumulated
    /// A global norm of 0.25 at the most.
    case clipped
    /// The classifier alone in the first four steps.
    case frozen
  }

  let kind: Kind
  let optimizer: String
  var testDescription: String { name }
  var name: String { "\(kind.rawValue).\(optimizer)" }

  static let all = Kind.allCases.flatMap { kind in
    ["sgd", "nesterov", "adam", "adamw"].map { RecipeRun(kind: kind, optimizer: $0) }
  }

  /// As the generator has them.
  func step(_ number: Int) -> OptimizerStep {
    let isGradient = optimizer == "sgd" || optimizer == "nesterov"
    let method: Optimizer =
      isGradient ? .sgd(momentum: 0.9, nesterov: optimizer == "nesterov") : optimizer == "adam" ? .adam : .adamW
    return OptimizerStep(
      optimizer: method, learningRate: isGradient ? 0.05 : 1e-3,
      weightDecay: isGradient ? 1e-4 : optimizer == "adam" ? 1e-5 : 1e-2, clipNorm: kind == .clipped ? 0.25 : nil,
      scope: kind == .frozen && number < 4 ? .classifier : .network)
  }
}

@Suite struct TrainingRecipeTests {
  private let network: SmallNetwork
  private let recorded: RecordedTensors
  private let labels: LabelBatch
  private let classWeights: ClassWeights

  init() throws {
    network = try SmallNetwork.first()
    recorded = try RecordedTensors("training/runs.safetensors")
    labels = try network.labels()
    classWeights = ClassWeights(
      positive: try network.recorded.values("positive_weights").map { Float($0) },
      negative: try network.recorded.values("negative_weights").map { Float($0) })
  }

  /// Losses before, and norms of, ten steps of `run`, each on the network's three images in one batch or in two. `accumulate` is given
  /// the images of a batch, their labels, the class weights and the scale, and returns the loss's sum.
  private func train(
    _ run: RecipeRun, accumulate: (Range<Int>, LabelBatch, ClassWeights?, Double) throws -> Double,
    apply: (OptimizerStep) throws -> Double
  ) throws -> (losses: [Double], norms: [Double]) {
    let known = Double(labels.knownCount)
    var (losses, norms): ([Double], [Double]) = ([], [])
    for number in 0..<10 {
      let sum = try (run.kind == .accumulated ? [0..<2, 2..<3] : [0..<3]).reduce(0) { sum, images in
        let part = LabelBatch(Array(labels.labels[images.lowerBound * 14..<images.upperBound * 14]))
        return sum + (try accumulate(images, part, run.kind == .weighted ? classWeights : nil, 1 / known))
      }
      losses.append(sum / known)
      norms.append(try apply(run.step(number)))
    }
    return (losses, norms)
  }

  /// 10⁻⁹, as derived in `PyTorchReferenceTests`.
  @Test(arguments: RecipeRun.all) func `at Double, ten steps are PyTorch's`(run: RecipeRun) throws {
    let session = try network.session(Double.self, mode: .training)
    let images = try network.images(Double.self)
    let size = images.count / 3
    let (losses, norms) = try train(run) { part, labels, weights, scale in
      try session.accumulate(
        Array(images[part.lowerBound * size..<part.upperBound * size]), count: part.count, labels: labels,
        weights: weights, lossScale: scale
      ).lossSum
    } apply: {
      try session.apply($0)
    }
    #expect(relativeDifference(losses, try recorded.values(run.name + ".losses")) < 1e-9)
    #expect(relativeDifference(norms, try recorded.values(run.name + ".norms")) < 1e-9)
    for parameter in session.plan.layout.parameters {
      let name = "\(run.name).final.\(parameter.name)"
      guard recorded.names.contains(name) else { continue }
      let difference = relativeDifference(Array(session.values[parameter.range]), try recorded.values(name))
      #expect(difference < 1e-9, "\(name) differs by \(difference)")
    }
  }

  /// 10⁻⁴ of the losses, as derived in `PyTorchReferenceTests`; the norms pass by more roundings, as gradients do there: 2·10⁻⁴ of
  /// the first, and ten steps drift by as much again.
  @Test(arguments: RecipeRun.all) func `in the fused engine, ten losses are PyTorch's`(run: RecipeRun) throws {
    let plan = try Plan(
      network.architecture, mode: .training, batchSize: 3, height: network.height, width: network.width)
    let session = CPUBackend(threads: 2).makeSession(plan)
    try session.load(network.session(Float.self, mode: .training).readWeights())
    let images = try network.images(Float.self)
    let size = images.count / 3
    let (losses, norms) = try train(run) { part, labels, weights, scale in
      let pixels = Array(images[part.lowerBound * size..<part.upperBound * size])
      return try session.accumulateGradients(
        ImageBatch(count: part.count, shape: plan.image, pixels: pixels), labels: labels, weights: weights,
        lossScale: scale
      ).lossSum
    } apply: {
      try session.apply($0)
    }
    #expect(relativeDifference(losses, try recorded.values(run.name + ".losses")) < 1e-4)
    #expect(relativeDifference(norms, try recorded.values(run.name + ".norms")) < 4e-4)
  }

  /// Both engines: what is frozen keeps its weights and moments, to the last bit, and its count of steps.
  @Test(arguments: ["cpu", "reference"]) func `the features stand still while the classifier learns`(device: String)
    throws
  {
    let plan = try Plan(
      network.architecture, mode: .training, batchSize: 3, height: network.height, width: network.width)
    let backend = try backend(named: device, pool: ThreadPool(threads: 2))
    var session = try backend.makeSession(plan)
    try session.load(network.session(Float.self, mode: .training).readWeights())
    let images = ImageBatch(count: 3, shape: plan.image, pixels: try network.images(Float.self))
    func step(_ scope: OptimizerScope) throws -> (Weights, OptimizerMoments) {
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
      _ = try session.apply(
        OptimizerStep(optimizer: .adamW, learningRate: 1e-3, weightDecay: 1e-2, clipNorm: 1, scope: scope))
      return (try session.readWeights(), try session.readMoments())
    }
    let (weights, moments) = try step(.network)
    let (frozenWeights, frozenMoments) = try step(.classifier)
    let classifier = plan.layout.classifier
    #expect(frozenWeights.values[..<classifier.lowerBound] == weights.values[..<classifier.lowerBound])
    #expect(frozenMoments.first[..<classifier.lowerBound] == moments.first[..<classifier.lowerBound])
    #expect(frozenMoments.second[..<classifier.lowerBound] == moments.second[..<classifier.lowerBound])
    #expect(frozenWeights.values[classifier] != weights.values[classifier])
    // Batch norms follow the images all the same.
    #expect(frozenWeights.values[classifier.upperBound...] != weights.values[classifier.upperBound...])
    #expect((frozenMoments.steps, frozenMoments.classifierSteps) == (1, 2))
    // The frozen gradients are gone: the next step of the whole network is that of a session which never saw them.
    let next = try step(.network)
    session = try backend.makeSession(plan)
    try session.load(frozenWeights)
    try session.load(frozenMoments)
    #expect(try step(.network) == next)
  }
}
