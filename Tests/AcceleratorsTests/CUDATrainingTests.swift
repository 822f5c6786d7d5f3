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

    private typealias Setting = (multiprocessors: Int, preference: CUDAKernelChoice.Preference)
    private static let rule = CUDAKernelChoice.Preference.measured(CUDAMeasuredKernels())
    private static let fp32: [Setting] = [(132, rule)]
    /// By the rule both gradients of a convolution are one kernel's; candidate 2 is Hopper's, and the last ones a kernel for each.
    private static let bf16: [Setting] = [(1, rule), (132, rule), (132, .candidate(2)), (132, .candidate(4))]

    /// A case whose gates are decided, and one without: there an activation within 10⁻⁶ of zero can open in one order of sums and not in another,
    /// which moves the gradient by 10⁻³ of itself. So of some seeds one is enough: what is computed wrongly is wrong with every seed.
    @Test(arguments: Precision.allCases)
    func `training conforms`(precision: Precision) throws {
      for conformanceCase in Self.cases(precision) {
        var found: [[Conformance.Deviation]] = []
        for seed in conformanceCase.hasDecidedGates ? [3] : [3, 5, 7] as [UInt64] {
          let expected = try Conformance.Expectation(
            conformanceCase, weights: conformanceCase.weights(seed: seed), pool: Self.pool)
          let wrong = try (precision == .fp32 ? Self.fp32 : Self.bf16).flatMap { multiprocessors, preference in
            let (emulator, device) = try emulatedDevice(multiprocessors: multiprocessors, preference: preference)
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

    @Test(arguments: TrainingTrial.steps)
    func `ten steps are the textbook's`(step: OptimizerStep) throws {
      let (emulator, device) = try emulatedDevice()
      try TrainingTrial.tenSteps(CUDABackend(device, "cuda", .fp32), step)
      #expect(emulator.violation == "")
    }

    @Test func `a run goes on on another device`() throws {
      try TrainingTrial.goesOnElsewhere(CUDABackend(try emulatedDevice().1, "cuda", .fp32))
    }

    @Test(arguments: Precision.allCases)
    func `a gradient that is not finite changes nothing`(precision: Precision) throws {
      try TrainingTrial.leavesWeightsAlone(CUDABackend(try emulatedDevice().1, "cuda", precision))
    }
  }
}
