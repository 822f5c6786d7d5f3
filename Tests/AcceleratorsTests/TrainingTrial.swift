import Platform
import Tensors
import Testing

@testable import Engine

/// What is asked of training on every device beside its conformance.
enum TrainingTrial {
  private static let pool = ThreadPool(threads: 2)

  static let steps: [OptimizerStep] = [
    OptimizerStep(optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 0.05, weightDecay: 1e-4),
    OptimizerStep(
      optimizer: .sgd(momentum: 0.9, nesterov: true), learningRate: 0.05, weightDecay: 1e-4, clipNorm: 0.5),
    OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 1e-5),
    OptimizerStep(optimizer: .adamW, learningRate: 1e-3, weightDecay: 1e-2, clipNorm: 1),
  ]

  /// A network with decided gates, so that steps differ by rounding alone.
  private static let network: ConformanceCase = {
    var network = ConformanceCase.small(4, [2, 2], stem: 8, channels: 1, 30, 33, 4)
    (network.mode, network.hasDecidedGates) = (.training, true)
    return network
  }()

  /// Ten steps in fp32 beside the textbook's, with class weights, accumulation, and a step of the classifier alone.
  ///
  /// Sums of some thousand products err by 10⁻⁶, ten steps of them by ten times as much. Adam divides a gradient by its own size, so that one that is nothing
  /// but rounding moves its weight as far as any: of the way that all weights go together that is a hundredth.
  static func tenSteps(_ backend: any Backend, _ step: OptimizerStep) throws {
    let (plan, images, labels) = (try network.plan(), try network.images(), network.labels)
    let weights = ClassWeights(
      positive: (0..<5).map { 1 + Float($0) / 4 }, negative: (0..<5).map { 1 - Float($0) / 8 })
    let sessions: [any Session] = [try backend.makeSession(plan), ReferenceSession<Double>(plan, pool: pool)]
    var (losses, norms) = ([[Double]](), [[Double]]())
    for session in sessions {
      try session.load(network.weights())
      var (sums, sizes) = ([Double](), [Double]())
      for number in 0..<10 {
        for _ in 0..<(number % 3 == 2 ? 2 : 1) {
          sums.append(
            try session.accumulateGradients(images, labels: labels, weights: weights, lossScale: 0.1).lossSum)
        }
        var step = step
        step.scope = number == 4 ? .classifier : .network
        sizes.append(try session.apply(step))
      }
      losses.append(sums)
      norms.append(sizes)
    }
    for (mine, theirs) in zip(losses[0], losses[1]) { #expect(abs(mine - theirs) <= 1e-5 * theirs) }
    for (mine, theirs) in zip(norms[0], norms[1]) { #expect(abs(mine - theirs) <= 1e-4 * theirs) }
    let (start, mine) = (network.weights().values, try sessions[0].readWeights().values)
    let theirs = try sessions[1].readWeights().values
    func distance(_ a: [Float], _ b: [Float]) -> Double {
      zip(a, b).reduce(0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }.squareRoot()
    }
    let isAdam = step.optimizer == .adam || step.optimizer == .adamW
    let share = distance(mine, theirs) / distance(theirs, start)
    #expect(share <= (isAdam ? 1e-2 : 1e-4), "\(share)")
    let moments = (try sessions[0].readMoments(), try sessions[1].readMoments())
    #expect(moments.0.steps == 9 && moments.0.classifierSteps == 10)
    #expect((moments.1.steps, moments.1.classifierSteps) == (9, 10))
  }

  /// Six steps that go from device to processor and back beside six on the processor.
  static func goesOnElsewhere(_ device: any Backend) throws {
    let (plan, images, labels) = (try network.plan(), try network.images(), network.labels)
    let step = OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 1e-5)
    func train(_ session: any Session, _ steps: Int) throws {
      for _ in 0..<steps {
        _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1)
        _ = try session.apply(step)
      }
    }
    func moved(_ session: any Session, to other: any Session) throws -> any Session {
      try other.load(session.readWeights())
      try other.load(session.readMoments())
      return other
    }
    let cpu = CPUBackend(threads: 2)
    let whole = cpu.makeSession(plan)
    try whole.load(network.weights())
    try train(whole, 6)
    var session: any Session = cpu.makeSession(plan)
    try session.load(network.weights())
    for backend in [device, cpu, device] as [any Backend] {
      try train(session, 2)
      let next = try moved(session, to: backend.makeSession(plan))
      let (before, after) = (try session.readMoments(), try next.readMoments())
      #expect(before == after)
      session = next
    }
    let (mine, theirs) = (try session.readWeights().values, try whole.readWeights().values)
    let worst = zip(mine, theirs).map { abs($0 - $1) }.max() ?? 0
    #expect(worst <= 1e-4 * (theirs.map(abs).max() ?? 1), "\(worst)")
  }

  /// A pixel that is no number: loss and step say so, and no weight moves.
  static func leavesWeightsAlone(_ backend: any Backend) throws {
    var network = ConformanceCase.small(4, [1], stem: 8, channels: 1, 30, 33, 2)
    network.mode = .training
    let plan = try network.plan()
    let session = try backend.makeSession(plan)
    try session.load(network.weights())
    var pixels = try network.images().pixels
    pixels[7] = .nan
    let images = ImageBatch(count: 2, shape: plan.image, pixels: pixels)
    #expect(throws: BackendError.self) {
      try session.accumulateGradients(images, labels: network.labels, weights: nil, lossScale: 1)
    }
    let trained = plan.layout.trainedCount
    #expect(throws: BackendError.notFinite(what: "a gradient")) {
      try session.apply(OptimizerStep(optimizer: .adam, learningRate: 1, weightDecay: 0))
    }
    #expect(try session.readWeights().values[..<trained] == network.weights().values[..<trained])
  }
}
