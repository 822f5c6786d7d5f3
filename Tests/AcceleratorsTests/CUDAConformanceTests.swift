import Engine
import Platform
import TestSupport
import Testing

@testable import Accelerators

extension ConformanceCase {
  fileprivate var isSmall: Bool { architecture.blockSizes.reduce(0, +) < 50 }
  fileprivate var isDenseNet121: Bool { architecture.name == "densenet121" }
}

extension Emulated {
  @Suite struct CUDAConformanceTests {
    private static let pool = ThreadPool(threads: 2)

    /// The small networks; of the published ones, which take seconds each, DenseNet-121.
    private static let cases = Conformance.cases(.fp32).filter {
      $0.mode == .inference && ($0.isSmall || $0.isDenseNet121)
    }

    @Test(arguments: cases, Precision.allCases)
    func `inference conforms`(conformanceCase: ConformanceCase, precision: Precision) throws {
      // What it has at 64 pixels is enough of that network in fp32.
      if precision == .fp32 && conformanceCase.height == 224 { return }
      let expected = try Conformance.Expectation(conformanceCase, pool: Self.pool)
      // With one multiprocessor the largest tiles are chosen, with many the smallest; fp32 has but one size.
      for multiprocessors in precision == .fp32 ? [132] : conformanceCase.isSmall ? [1, 3, 132] : [20] {
        let (emulator, device) = try emulatedDevice(multiprocessors: multiprocessors)
        let deviations = try Conformance.deviations(of: CUDABackend(device, "cuda", precision), from: expected)
        #expect(deviations.count == 2)
        for deviation in deviations {
          #expect(
            deviation.isWithinBound,
            "\(precision), \(conformanceCase), \(multiprocessors) multiprocessors: \(deviation); \(emulator.violation)")
        }
        #expect(emulator.violation == "")
      }
    }

    /// What a map's place held before is the emulator's poison or another map: neither may be seen.
    @Test(arguments: Precision.allCases)
    func `maps that share a place do not disturb each other`(precision: Precision) throws {
      let (emulator, device) = try emulatedDevice()
      for conformanceCase in Self.cases where conformanceCase.architecture.growthRate == 12 {
        let (plan, images) = (try conformanceCase.plan(), try conformanceCase.images())
        let results = try [false, true].map { sharesPlaces in
          let session = try CUDASession(plan, precision, device, sharesPlaces: sharesPlaces)
          try session.load(conformanceCase.weights())
          // Twice: the second pass finds what the first has left behind.
          return try [0, 1].map { _ in try session.infer(images, keepingFeatures: true) }
        }
        for found in results.joined() {
          #expect(found.logits == results[0][0].logits)
          #expect(found.features == results[0][0].features)
        }
      }
      #expect(emulator.violation == "")
    }

    @Test(arguments: Precision.allCases)
    func `an image's logits do not depend on the batch around it`(precision: Precision) throws {
      let (_, device) = try emulatedDevice()
      for conformanceCase in Self.cases where conformanceCase.count > 2 && conformanceCase.height < 64 {
        let (images, weights) = (try conformanceCase.images(), conformanceCase.weights())
        let whole = try CUDASession(try conformanceCase.plan(), precision, device)
        try whole.load(weights)
        let large = try CUDASession(try conformanceCase.plan(), precision, try emulatedDevice(multiprocessors: 1).1)
        try large.load(weights)
        let together = try whole.infer(images, keepingFeatures: false).logits
        let single = try CUDASession(try conformanceCase.plan(batchSize: 1), precision, device)
        try single.load(weights)
        let size = images.shape.count
        let alone = try (0..<images.count).flatMap { image in
          try single.infer(
            ImageBatch(
              count: 1, shape: images.shape, pixels: Array(images.pixels[image * size..<(image + 1) * size])),
            keepingFeatures: false
          ).logits
        }
        #expect(alone == together, "\(conformanceCase)")
        #expect(try large.infer(images, keepingFeatures: false).logits == together, "\(conformanceCase), large tiles")
      }
    }

    /// Order and rounding are the only freedom that a card has beside the emulator.
    @Test func `the order of threads and the rounding of matrix products are within the bounds`() throws {
      let (emulator, device) = try emulatedDevice()
      defer { emulator.reset() }
      for conformanceCase in Self.cases where conformanceCase.isSmall && conformanceCase.architecture.growthRate >= 12 {
        let expected = try Conformance.Expectation(conformanceCase, pool: Self.pool)
        for (seed, truncates) in [(2, false), (3, true)] as [(UInt64, Bool)] {
          emulator.seed(seed)
          emulator.truncateSums(truncates)
          for deviation in try Conformance.deviations(of: CUDABackend(device, "cuda", .bf16), from: expected) {
            #expect(deviation.isWithinBound, "\(conformanceCase): \(deviation)")
          }
        }
      }
      #expect(emulator.violation == "")
    }
  }
}
