import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

extension Stubbed {
  @Suite struct GaudiConformanceTests {
    private static let pool = ThreadPool(threads: 2)

    /// The small networks; of the published ones, which take seconds each, DenseNet-121 at 64 pixels.
    private static func cases(_ precision: Precision) -> [ConformanceCase] {
      Conformance.cases(precision).filter {
        $0.architecture.blockSizes.reduce(0, +) < 50 || ($0.architecture.name == "densenet121" && $0.height == 64)
      }
    }

    @Test(arguments: Precision.allCases)
    func `inference conforms`(precision: Precision) throws {
      let (stub, device) = try stubbedDevice()
      for conformanceCase in Self.cases(precision) where conformanceCase.mode == .inference {
        let expected = try Conformance.Expectation(conformanceCase, pool: Self.pool)
        let backend = GaudiBackend(device, "gaudi", precision)
        let deviations = try Conformance.deviations(of: backend, from: expected)
        #expect(deviations.count == 2)
        for deviation in deviations {
          #expect(deviation.isWithinBound, "\(precision), \(conformanceCase): \(deviation); \(stub.text)")
        }
      }
      #expect(stub.fault == "", "\(stub.text)")
    }

    /// As on a GPU: where gates are not decided, one seed of some is enough.
    @Test(arguments: Precision.allCases)
    func `training conforms`(precision: Precision) throws {
      let (stub, device) = try stubbedDevice()
      for conformanceCase in Self.cases(precision) where conformanceCase.mode == .training {
        var found: [[Conformance.Deviation]] = []
        for seed in conformanceCase.hasDecidedGates ? [3] : [3, 5, 7] as [UInt64] {
          let expected = try Conformance.Expectation(
            conformanceCase, weights: conformanceCase.weights(seed: seed), pool: Self.pool)
          let deviations = try Conformance.deviations(of: GaudiBackend(device, "gaudi", precision), from: expected)
          #expect(deviations.count > 10)
          found.append(deviations.filter { !$0.isWithinBound })
          if found.last?.isEmpty == true { break }
        }
        #expect(found.last?.isEmpty == true, "\(precision), \(conformanceCase): \(found[0])")
      }
      #expect(stub.fault == "", "\(stub.text)")
    }

    @Test(arguments: TrainingTrial.steps)
    func `ten steps are the textbook's`(step: OptimizerStep) throws {
      let (stub, device) = try stubbedDevice()
      try TrainingTrial.tenSteps(GaudiBackend(device, "gaudi", .fp32), step)
      #expect(stub.fault == "", "\(stub.text)")
    }

    @Test func `a run goes on on another device`() throws {
      try TrainingTrial.goesOnElsewhere(GaudiBackend(try stubbedDevice().1, "gaudi", .fp32))
    }

    @Test(arguments: Precision.allCases)
    func `a gradient that is not finite changes nothing`(precision: Precision) throws {
      try TrainingTrial.leavesWeightsAlone(GaudiBackend(try stubbedDevice().1, "gaudi", precision))
    }

    /// Gray windows, mirrored ones, bytes of all channels, and values among them: as the processor sees them.
    @Test(arguments: [1, 3], [false, true])
    func `images come as they are`(channels: Int, hasValues: Bool) throws {
      let (stub, device) = try stubbedDevice()
      let network = ConformanceCase.small(4, [1, 1], stem: 8, channels: channels, 20, 23, 5)
      let plan = try network.plan()
      let all = imagesOfEveryKind(plan.image, count: 5, .imageNet(channels: channels))
      let images = ImageBatch(
        Array(all.images.prefix(hasValues ? 5 : 4)), shape: plan.image, tables: .imageNet(channels: channels))
      let sessions: [any Session] = [
        try GaudiBackend(device, "gaudi", .fp32).makeSession(plan), CPUBackend(threads: 2).makeSession(plan),
      ]
      let logits = try sessions.map { session in
        try session.load(network.weights())
        return try session.infer(images, keepingFeatures: false).logits
      }
      #expect(logits[0].count == logits[1].count)
      for (mine, theirs) in zip(logits[0], logits[1]) { #expect(abs(mine - theirs) <= 1e-5 * max(1, abs(theirs))) }
      #expect(stub.fault == "", "\(stub.text)")
    }

    /// The stub does nothing before it must: images that are sent too early, or read too late, are other images.
    @Test func `images that were brought ahead are those of their step`() throws {
      let (_, device) = try stubbedDevice()
      let network = ConformanceCase.small(4, [1, 1], stem: 8, channels: 1, 20, 23, 3)
      let plan = try network.plan()
      let batches = (0..<4).map { number -> ImageBatch in
        let images = (0..<(number == 2 ? 2 : 3)).map { image -> ImagePixels in
          .bytes((0..<plan.image.area).map { UInt8(truncatingIfNeeded: $0 &* (7 + number) &+ image * 31 &+ $0 / 5) })
        }
        return ImageBatch(images, shape: plan.image, tables: .imageNet(channels: 1))
      }
      func logits(ahead: Bool) throws -> [[Float]] {
        let session = try GaudiBackend(device, "gaudi", .fp32).makeSession(plan)
        try session.load(network.weights())
        return try batches.enumerated().map { index, batch in
          if ahead, index + 1 < batches.count { session.stage?.bring(batches[index + 1]) }
          return try session.infer(batch, keepingFeatures: false).logits
        }
      }
      let (plain, brought) = (try logits(ahead: false), try logits(ahead: true))
      #expect(plain == brought)
      #expect(Set(plain).count == batches.count)
    }

    /// A recipe is compiled once for a plan: the second session, and the next process, read it.
    @Test func `recipes are kept, and made again where the file is damaged`() throws {
      try inTemporaryFolder { folder in
        let (stub, device) = try stubbedDevice()
        let network = ConformanceCase.small(4, [1, 1], stem: 8, channels: 1, 20, 23, 3)
        let (plan, images) = (try network.plan(), try network.images())
        func logits() throws -> [Float] {
          let recipes = GaudiRecipes(folder: folder + "/recipes") { _ in Issue.record("a small graph was announced") }
          let session = try GaudiBackend(device, "gaudi", .fp32, recipes: recipes).makeSession(plan)
          try session.load(network.weights())
          return try session.infer(images, keepingFeatures: false).logits
        }
        let first = try logits()
        #expect(stub.counters.compiles == 1 && stub.counters.deserializes == 0)
        #expect(try logits() == first)
        #expect(stub.counters.compiles == 1 && stub.counters.deserializes == 1)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder + "/recipes").sorted()
        #expect(files.count == 2 && files[0].hasPrefix("inference-") && files[1] == files[0] + ".sha256")
        let path = folder + "/recipes/" + files[0]
        var bytes = try FileReader.contents(of: path)
        bytes[bytes.count / 2] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        #expect(try logits() == first)
        // Synapse has not been asked for what is damaged.
        #expect(stub.counters.deserializes == 1 && stub.fault == "", "\(stub.text)")
        #expect(stub.counters.compiles == 2)
        #expect(try logits() == first)
        #expect(stub.counters.compiles == 2 && stub.counters.deserializes == 2)
        // Of a release whose recipes this one does not take, though its version is the same.
        try Data("no recipe".utf8).write(to: URL(fileURLWithPath: path))
        try AtomicFile.write(SHA256.hex(of: Array("no recipe".utf8)), to: path + ".sha256", overwriting: true)
        #expect(try logits() == first)
        #expect(stub.counters.compiles == 3 && stub.fault == "recipe-format", "\(stub.fault)")
      }
    }
  }
}
