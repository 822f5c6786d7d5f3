import Engine
import TestSupport
import Testing

@testable import Training

@Suite struct WeightAverageTests {
  /// Six steps in Float, each of which rounds a difference, a product and a sum of values of at most 3: 6 · 3 · 2⁻²⁴ ≈ 10⁻⁶, and
  /// half of it at the most as each error is then shrunk by the decay. Averaging from the starting weights is off by 0.1.
  @Test func `the average is that of PyTorch's AveragedModel behind each step`() throws {
    let recorded = try RecordedTensors("training/schedules.safetensors")
    let (values, averages) = (try recorded.values("average.weights"), try recorded.values("average.averages"))
    let layout = ParameterLayout(
      DenseNetArchitecture(growthRate: 1, blockSizes: [1], initialFeatures: 1, inputChannels: 1, classCount: 1))
    #expect(layout.count >= 40)
    func weights(_ step: Int) -> Weights {
      let row = values[step * 40..<(step + 1) * 40].map { Float($0) }
      return Weights(layout: layout, values: row + [Float](repeating: 1, count: layout.count - 40))
    }
    var average = WeightAverage(decay: 0.9, weights: weights(0))
    #expect(average.weights == weights(0))
    for step in 1...6 {
      average.add(weights(step))
      let found = average.weights.values.prefix(40).map { Double($0) }
      #expect(relativeDifference(found, Array(averages[(step - 1) * 40..<step * 40])) < 5e-7)
      #expect(average.steps == step)
    }
  }
}
