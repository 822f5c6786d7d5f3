import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

extension Emulated {
  /// Kernels that promise the same sums in the same order: with any of them a network's results have the same bits.
  @Suite struct CUDAKernelBitsTests {
    /// Lanes of bottlenecks that are a tile's outputs, and others; inputs of one and of two tiles of channels; rows that fill no tile.
    private static let networks: [ConformanceCase] = [
      .small(32, [3, 2], stem: 64, channels: 1, 33, 41, 3), .small(20, [2, 1], stem: 160, channels: 3, 40, 23, 2),
      .small(8, [2], stem: 32, channels: 1, 9, 7, 1),
    ]

    /// What `network` makes of images with a step's gradients, each question of `operation` answered with the kernel of that name where that can be.
    private func results(
      _ network: ConformanceCase, _ operation: CUDAKernelChoice.Question.Operation, _ kernel: String, processors: Int
    ) throws -> (bits: [UInt32], launches: Int) {
      let plan = try Plan(
        network.architecture, mode: .training, batchSize: network.count, height: network.height, width: network.width)
      let images = imagesOfEveryKind(
        plan.image, count: network.count, .imageNet(channels: network.architecture.inputChannels))
      let (_, device) = try emulatedDevice(multiprocessors: processors)
      let questions = Set(try CUDATraining(plan, .bf16, device).launches(network.count).joined().compactMap(\.question))
      let measured = CUDAMeasuredKernels(
        answers: questions.filter { $0.operation == operation }.map {
          .init(question: $0, timings: [.init(name: .init(kernels: [kernel], share: 1), microseconds: 1)])
        })
      let (emulator, chosen) = try emulatedDevice(multiprocessors: processors, preference: .measured(measured))
      let session = try CUDATraining(plan, .bf16, chosen)
      try session.load(network.weights())
      let loss = try session.accumulateGradients(images, labels: network.labels, weights: nil, lossScale: 1).lossSum
      let bits = try Conformance.gradients(of: session).map(\.bitPattern) + [Float(loss).bitPattern]
      #expect(emulator.violation == "")
      let launches = session.launches(network.count).joined().count { $0.kernel.name == kernel }
      return (bits, launches)
    }

    @Test(arguments: [1, 132])
    func `both gradients of a 1×1 convolution are the same, whatever copies and multiplies`(processors: Int) throws {
      for network in Self.networks {
        let expected = try results(network, .pointwiseGradients, "pointwise_gradients_64_bf16", processors: processors)
        #expect(expected.launches > 0)
        for kernel in ["64_90a", "64_bulk_90", "64_bulk_90a"] {
          let found = try results(
            network, .pointwiseGradients, "pointwise_gradients_\(kernel)_bf16", processors: processors)
          #expect(found.launches == expected.launches && found.bits == expected.bits, "\(network), \(kernel)")
        }
      }
    }
  }
}
