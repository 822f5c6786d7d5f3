import Engine

/// The exponential moving average of a network's weights and running statistics.
///
/// Behind step t it is e_t = e_(t−1) + (1 − d) · (w_t − e_(t−1)), with e_1 = w_1 and d the decay: the weights of the first step count
/// dᵗ⁻¹, and not those that training began with (`torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn(d)` and `use_buffers`;
/// Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992). Before the first step it is what training
/// begins with.
struct WeightAverage: Equatable {
  /// 0 ..< 1.
  let decay: Double
  /// Steps averaged.
  private(set) var steps: Int
  private(set) var weights: Weights

  init(decay: Double, steps: Int = 0, weights: Weights) {
    self.decay = decay
    self.steps = steps
    self.weights = weights
  }

  /// Takes the weights behind a step into the average.
  mutating func add(_ new: Weights) {
    precondition(new.layout == weights.layout, "weights of another network")
    steps += 1
    if steps == 1 {
      weights = new
      return
    }
    let share = Float(1 - decay)
    new.values.withUnsafeBufferPointer { new in
      weights.values.withUnsafeMutableBufferPointer { average in
        for index in average.indices { average[index] += share * (new[index] - average[index]) }
      }
    }
  }
}
