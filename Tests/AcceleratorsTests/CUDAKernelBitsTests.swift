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

    /// What `network` makes of images, logits or a step's loss and gradients, each question of `operation` answered with the kernel of that name where
    /// that can be.
    private func results(
      _ network: ConformanceCase, _ mode: Plan.Mode, _ operation: CUDAKernelChoice.Question.Operation, _ kernel: String,
      processors: Int
    ) throws -> (bits: [UInt32], launches: Int) {
      let plan = try Plan(
        network.architecture, mode: mode, batchSize: network.count, height: network.height, width: network.width)
      let images = imagesOfEveryKind(
        plan.image, count: network.count, .imageNet(channels: network.architecture.inputChannels))
      func launches(_ device: CUDADevice) throws -> [CUDALaunch] {
        mode == .training
          ? Array(try CUDATraining(plan, .bf16, device).launches(network.count).joined())
          : try CUDASession(plan, .bf16, device).launches(network.count)
      }
      let (_, device) = try emulatedDevice(multiprocessors: processors)
      let questions = Set(try launches(device).compactMap(\.question))
      let measured = CUDAMeasuredKernels(
        answers: questions.filter { $0.operation == operation }.map {
          .init(question: $0, timings: [.init(name: .init(kernels: [kernel], share: 1), microseconds: 1)])
        })
      let (emulator, chosen) = try emulatedDevice(multiprocessors: processors, preference: .measured(measured))
      let session = try CUDABackend(chosen, "cuda", .bf16).makeSession(plan)
      try session.load(network.weights())
      var bits: [Float]
      if mode == .training {
        bits = [
          Float(try session.accumulateGradients(images, labels: network.labels, weights: nil, lossScale: 1).lossSum)
        ]
        bits += try Conformance.gradients(of: session)
      } else {
        bits = try session.infer(images, keepingFeatures: false).logits
      }
      #expect(emulator.violation == "")
      return (bits.map(\.bitPattern), try launches(chosen).count { $0.kernel.name == kernel })
    }

    @Test(arguments: [1, 132])
    func `both gradients of a 1×1 convolution are the same, whatever copies and multiplies`(processors: Int) throws {
      for network in Self.networks {
        let expected = try results(
          network, .training, .pointwiseGradients, "pointwise_gradients_64_bf16", processors: processors)
        #expect(expected.launches > 0)
        for kernel in ["64_90a", "64_bulk_90", "64_bulk_90a"] {
          let found = try results(
            network, .training, .pointwiseGradients, "pointwise_gradients_\(kernel)_bf16", processors: processors)
          #expect(found.launches == expected.launches && found.bits == expected.bits, "\(network), \(kernel)")
        }
      }
    }

    /// Of the whole forward pass, since a batch norm's sums are taken tile by tile.
    @Test(arguments: [1, 132])
    func `an image's logits are the same, whichever kernel multiplies`(processors: Int) throws {
      for network in Self.networks {
        for (operation, kernels) in [
          (.pointwise, ["64", "128_bulk_90a", "256_bulk_90a"].map { "pointwise_\($0)_normalised_bf16" }),
          (.growth, ["64x66", "256x56", "256x56_90a", "256x56_bulk_90a"].map { "growth_\($0)_bf16" }),
        ] as [(CUDAKernelChoice.Question.Operation, [String])] {
          let expected = try results(network, .inference, operation, kernels[0], processors: processors)
          for kernel in kernels {
            let found = try results(network, .inference, operation, kernel, processors: processors)
            #expect(found.launches > 0 && found.bits == expected.bits, "\(network), \(kernel)")
          }
        }
      }
    }
  }
}
