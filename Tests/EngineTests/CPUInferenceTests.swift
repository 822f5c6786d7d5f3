import Platform
import Testing

@testable import Engine

@Suite struct CPUInferenceTests {
  @Test(arguments: Precision.allCases, ConformanceCase.corners + [.published(ConformanceCase.densenet121, 96, 5)])
  func `an image's logits have the same bits in any batch, place and number of threads`(
    precision: Precision, network: ConformanceCase
  ) throws {
    let plan = try network.plan(batchSize: 7)
    let (weights, images) = (network.weights(), try network.images())
    func infer(_ order: [Int], threads: Int) throws -> [Float] {
      let session = CPUBackend(threads: threads, precision).makeSession(plan)
      try session.load(weights)
      let size = images.shape.count
      let pixels = order.flatMap { images.pixels[$0 * size..<($0 + 1) * size] }
      return try session.infer(
        ImageBatch(count: order.count, shape: images.shape, pixels: pixels), keepingFeatures: false
      ).logits
    }
    let alone = try (0..<images.count).map { try infer([$0], threads: 1) }
    for threads in [1, 2, 3, 4] {
      for order in [[0], Array(0..<images.count), Array((0..<images.count).reversed()) + [0, 0]] {
        #expect(
          try infer(order, threads: threads) == order.flatMap { alone[$0] }, "\(threads) threads, images \(order)")
      }
    }
  }
}
