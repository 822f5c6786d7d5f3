import Platform
import Tensors
import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

extension Emulated {
  /// Images that are brought to the device ahead of the step that takes them. The emulator copies as late as CUDA may: what is
  /// overwritten too early arrives wrong.
  @Suite struct CUDAStagingTests {
    private static let network: ConformanceCase = {
      var network = ConformanceCase.small(4, [1, 1], stem: 8, channels: 1, 20, 23, 3)
      (network.mode, network.hasDecidedGates) = (.training, true)
      return network
    }()

    /// Different images for every number, the first few of which make smaller batches.
    private static func batch(_ number: Int, count: Int = 3) throws -> ImageBatch {
      let shape = try network.plan().image
      let images = (0..<count).map { image in
        ImagePixels.bytes(
          (0..<shape.area).map { UInt8(truncatingIfNeeded: $0 &* (7 + number) &+ image * 31 &+ $0 / 5) })
      }
      return ImageBatch(images, shape: shape, tables: .imageNet(channels: 1))
    }

    private static func session(_ device: CUDADevice) throws -> CUDATraining {
      let session = try CUDATraining(try network.plan(), .fp32, device)
      try session.load(network.weights())
      return session
    }

    private static func logits(_ session: CUDATraining, _ images: ImageBatch) throws -> [Float] {
      let labels = LabelBatch(Array(network.labels.labels.prefix(images.count * 5)))
      return try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: 0.1).logits
    }

    /// What every batch gives without anything brought ahead.
    private static func expected(_ batches: [ImageBatch]) throws -> [[Float]] {
      let (emulator, device) = try emulatedDevice()
      let session = try session(device)
      let logits = try batches.map { try Self.logits(session, $0) }
      #expect(emulator.violation == "" && Set(logits).count == logits.count)
      return logits
    }

    @Test func `what was brought is not sent again`() throws {
      let batch = try Self.batch(0)
      let expected = try Self.expected([batch])[0]
      for isBrought in [false, true] {
        let (emulator, device) = try emulatedDevice()
        let session = try Self.session(device)
        if isBrought { session.stage?.bring(try Self.batch(0)) }
        // The scale, the labels, the pixels, the windows, and what bytes stand for.
        emulator.fail("cuMemcpyHtoDAsync", 1, after: 5)
        let found = try? Self.logits(session, batch)
        #expect(found == (isBrought ? expected : nil))
      }
    }

    /// In each of these orders of bringing (b) and using (u): in turn, two ahead, more than there is room for, none used, others used.
    @Test(arguments: [
      "b0 u0 b1 u1 b2 u2", "b0 b1 u0 b2 u1 b3 u2 u3", "b0 b1 b2 b3 u0 u1 u2 u3", "b0 b1 u2 u3 b4 u4", "b0 u1 b2 u0 u2",
      "b0 b0 u0 u0 b1 u1",
    ])
    func `every step sees its own images`(order: String) throws {
      let batches = try (0..<5).map { try Self.batch($0, count: 3 - $0 % 2) }
      let moves = order.split(separator: " ").map { (isUse: $0.hasPrefix("u"), batch: Int($0.dropFirst()) ?? 0) }
      let used = moves.filter(\.isUse).map(\.batch)
      let alone = try Self.expected(batches)
      let (emulator, device) = try emulatedDevice()
      let session = try Self.session(device)
      var found: [[Float]] = []
      for move in moves {
        if move.isUse {
          found.append(try Self.logits(session, batches[move.batch]))
        } else {
          session.stage?.bring(batches[move.batch])
        }
      }
      #expect(found == used.map { alone[$0] })
      #expect(emulator.violation == "")
    }

    @Test func `one thread brings while another trains`() throws {
      let batches = try (0..<40).map { try Self.batch($0) }
      let expected = try Self.expected(batches)
      let (emulator, device) = try emulatedDevice()
      let session = try Self.session(device)
      var found: [[Float]] = []
      let stage = try #require(session.stage)
      try readAhead(
        batches.count, threads: 1, room: 1, size: { _ in 1 },
        produce: { (index: Int) throws(any Error) -> Int in
          stage.bring(batches[index])
          return index
        }, consume: { (index: Int) throws(any Error) in found.append(try Self.logits(session, batches[index])) })
      #expect(found == expected)
      #expect(emulator.violation == "")
    }

    /// The running statistics differ from step to step, the gradients add up: both are compared bit by bit.
    @Test(arguments: Precision.allCases) func `maps that share a place change nothing`(precision: Precision) throws {
      var network = ConformanceCase.small(20, [3, 4], stem: 40, channels: 2, 37, 26, 3)
      network.mode = .training
      let (plan, images) = (try network.plan(), try network.images())
      var (values, bytes) = ([[Float]](), [Int]())
      for sharesPlaces in [false, true] {
        let (emulator, device) = try emulatedDevice()
        let session = try CUDATraining(plan, precision, device, sharesPlaces: sharesPlaces)
        try session.load(network.weights())
        for _ in 0..<2 {
          for _ in 0..<2 {
            _ = try session.accumulateGradients(images, labels: network.labels, weights: nil, lossScale: 0.1)
          }
          _ = try session.apply(OptimizerStep(optimizer: .adam, learningRate: 1e-3, weightDecay: 1e-5))
        }
        values.append(try session.readWeights().values)
        bytes.append(session.memoryBytes ?? 0)
        #expect(emulator.violation == "")
      }
      #expect(values[0] == values[1])
      #expect(bytes[1] < bytes[0])
    }
  }
}
