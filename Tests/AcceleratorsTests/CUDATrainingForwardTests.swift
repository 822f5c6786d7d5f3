import Platform
import Tensors
import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

extension Emulated {
  /// The forward pass with the batch's statistics.
  @Suite struct CUDATrainingForwardTests {
    private static let cases = Conformance.cases(.fp32).filter {
      $0.mode == .training && $0.architecture.blockSizes.reduce(0, +) < 50
    }

    @Test(arguments: cases, Precision.allCases)
    func `the batch's statistics give the textbook's logits and running statistics`(
      conformanceCase: ConformanceCase, precision: Precision
    ) throws {
      // In bf16 a batch of a few values makes a variance out of rounding: as in the conformance list, only decided gates.
      if precision == .bf16 && !conformanceCase.hasDecidedGates { return }
      let (emulator, device) = try emulatedDevice()
      let expected = try Conformance.Expectation(conformanceCase, pool: ThreadPool(threads: 2))
      let worst = try Self.worst(of: expected, precision, device)
      #expect(worst <= 1, "\(conformanceCase): \(worst) of the bound; \(emulator.violation)")
      #expect(emulator.violation == "")
    }

    /// The largest deviation of logits, feature maps and running statistics, as a share of what rounding explains: of sums in fp32, or of activations in
    /// bf16, through the layers (the bounds of `Conformance`). Not a number where one is found.
    static func worst(
      of expected: Conformance.Expectation, _ precision: Precision, _ device: CUDADevice
    ) throws -> Double {
      let (logits, features, values) = try forward(expected, precision, device)
      let trained = expected.plan.layout.trainedCount
      #expect(Array(values[..<trained]) == Array(expected.weights.values[..<trained]))
      var differences = [
        difference(logits[...], expected.logits[...]), difference(features[...], expected.features[...]),
      ]
      for parameter in expected.plan.layout.parameters where !parameter.isTrained {
        differences.append(difference(values[parameter.range], expected.values[parameter.range]))
      }
      return worst(differences) / (precision == .fp32 ? 1e-4 : 0.04)
    }

    private static func worst(_ values: [Double]) -> Double {
      values.reduce(0) { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
    }

    /// Relative to the largest that is expected; not a number where one is found.
    private static func difference(_ found: ArraySlice<Float>, _ expected: ArraySlice<Double>) -> Double {
      precondition(found.count == expected.count)
      let scale = expected.map(abs).max() ?? 0
      return worst(zip(found, expected).map { abs(Double($0) - $1) }) / (scale == 0 ? 1 : scale)
    }

    /// Logits, feature maps, and the parameters behind the pass.
    private static func forward(
      _ expected: Conformance.Expectation, _ precision: Precision, _ device: CUDADevice
    ) throws -> (logits: [Float], features: [Float], values: [Float]) {
      let (plan, count) = (expected.plan, expected.images.count)
      let network = CUDANetwork(plan, precision, batch: plan.batchSize, sharesPlaces: false, by: device.choice)
      guard let memory = try CUDAMemory.allocate(network.memory.size, on: device) else {
        throw BackendError.device(.badName("too little memory"))
      }
      network.announce(at: memory.address, on: device)
      let places = Addresses(base: memory.address, memory: network.memory)
      let stream = try CUDAStream(device)
      try network.sendPacking(device, at: memory.address, on: stream)
      var images = try CUDAImages(device, shape: plan.image, batch: count)
      let parameters = try PinnedMemory(4 * plan.layout.count, for: device)
      expected.weights.values.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: parameters.pointer, count: parameters.bytes).copyMemory(from: $0)
      }
      try stream.copy(parameters.bytes, from: parameters.pointer, to: places[network.parameters])
      try images.bring(expected.images, on: stream)
      try images.describe(
        expected.images, windows: places[network.windows], table: places[network.table], on: stream)
      for launch in network.weightLaunches(device, at: memory.address)
        + network.forwardLaunches(device, at: memory.address, count: count, keepingFeatures: true)
      { try stream.launch(launch) }
      let logits = try PinnedMemory(4 * count * plan.architecture.classCount, for: device)
      let features = try PinnedMemory(4 * count * plan.features.count, for: device)
      try stream.copy(logits.bytes, from: places[network.logits], to: logits.pointer)
      try stream.copy(features.bytes, from: places[network.features], to: features.pointer)
      try stream.copy(parameters.bytes, from: places[network.parameters], to: parameters.pointer)
      try stream.wait("a training pass forward")
      func floats(_ memory: borrowing PinnedMemory) -> [Float] {
        Array(UnsafeBufferPointer(start: memory.pointer.assumingMemoryBound(to: Float.self), count: memory.bytes / 4))
      }
      return (floats(logits), floats(features), floats(parameters))
    }
  }
}
