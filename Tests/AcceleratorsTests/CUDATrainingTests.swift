import Platform
import Tensors
import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

extension Emulated {
  @Suite struct CUDATrainingTests {
    private static let pool = ThreadPool(threads: 2)

    private static func cases(_ precision: Precision) -> [ConformanceCase] {
      Conformance.cases(precision).filter { $0.mode == .training && $0.architecture.blockSizes.reduce(0, +) < 50 }
    }

    /// A case whose gates are decided, and one without: there an activation within 10⁻⁶ of zero can open in one order of sums and not in another,
    /// which moves the gradient by 10⁻³ of itself. So of some seeds one is enough: what is computed wrongly is wrong with every seed.
    @Test(arguments: Precision.allCases)
    func `training conforms`(precision: Precision) throws {
      for conformanceCase in Self.cases(precision) {
        var found: [[Conformance.Deviation]] = []
        for seed in conformanceCase.hasDecidedGates ? [3] : [3, 5, 7] as [UInt64] {
          let expected = try Conformance.Expectation(
            conformanceCase, weights: conformanceCase.weights(seed: seed), pool: Self.pool)
          let wrong = try (precision == .fp32 ? [132] : [1, 132]).flatMap { multiprocessors in
            let (emulator, device) = try emulatedDevice(multiprocessors: multiprocessors)
            let deviations = try Conformance.deviations(of: CUDABackend(device, "cuda", precision), from: expected)
            #expect(deviations.count > 10)
            #expect(emulator.violation == "")
            return deviations.filter { !$0.isWithinBound }
          }
          found.append(wrong)
          if wrong.isEmpty { break }
        }
        #expect(found.last?.isEmpty == true, "\(precision), \(conformanceCase): \(found[0])")
      }
    }

    private static let steps: [OptimizerStep] = [
      OptimizerStep(optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 0.05, weightDecay: 1e-4),
      OptimizerStep(
        optimizer: .sgd(momentum: 0.9, nesterov: true), learningRate: 0.05, weightDecay: 1e-4, clipNorm: 0.5),
      OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 1e-5),
      OptimizerStep(optimizer: .adamW, learningRate: 1e-3, weightDecay: 1e-2, clipNorm: 1),
    ]

    /// A network with decided gates, so that ten steps differ by rounding alone: sums of some thousand products err by 10⁻⁶, ten steps of them by ten
    /// times as much. Adam divides a gradient by its own size, so that one that is nothing but rounding moves its weight as far as any: of the
    /// way that all weights go together that is a hundredth.
    @Test(arguments: steps)
    func `ten steps are the textbook's`(step: OptimizerStep) throws {
      let (emulator, device) = try emulatedDevice()
      var network = ConformanceCase.small(4, [2, 2], stem: 8, channels: 1, 30, 33, 4)
      (network.mode, network.hasDecidedGates) = (.training, true)
      let (plan, images, labels) = (try network.plan(), try network.images(), network.labels)
      let weights = ClassWeights(
        positive: (0..<5).map { 1 + Float($0) / 4 }, negative: (0..<5).map { 1 - Float($0) / 8 })
      let sessions: [any Session] = [
        try CUDABackend(device, "cuda", .fp32).makeSession(plan), ReferenceSession<Double>(plan, pool: Self.pool),
      ]
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
      #expect(emulator.violation == "")
    }

    @Test func `a run goes on on another device`() throws {
      let (_, device) = try emulatedDevice()
      var network = ConformanceCase.small(4, [2, 2], stem: 8, channels: 1, 30, 33, 4)
      (network.mode, network.hasDecidedGates) = (.training, true)
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
      let (cpu, cuda) = (CPUBackend(threads: 2), CUDABackend(device, "cuda", .fp32))
      let whole = cpu.makeSession(plan)
      try whole.load(network.weights())
      try train(whole, 6)
      var session: any Session = cpu.makeSession(plan)
      try session.load(network.weights())
      for backend in [cuda, cpu, cuda] as [any Backend] {
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

    @Test(arguments: Precision.allCases)
    func `a gradient that is not finite changes nothing`(precision: Precision) throws {
      let (_, device) = try emulatedDevice()
      var network = ConformanceCase.small(4, [1], stem: 8, channels: 1, 30, 33, 2)
      network.mode = .training
      let plan = try network.plan()
      let session = try CUDABackend(device, "cuda", precision).makeSession(plan)
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
}
