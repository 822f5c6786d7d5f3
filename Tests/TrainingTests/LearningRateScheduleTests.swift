import TestSupport
import Testing

@testable import Training

/// Rates that PyTorch's schedulers gave (`fixtures/training`). A rate is the base times powers of ten, cosines or fractions, in Double:
/// PyTorch multiplies up to 60 times where we do it once, and each product is off by 2⁻⁵³, so 60 · 2⁻⁵³ < 10⁻¹⁴ of the rate.
private let tolerance = 1e-14

@Suite struct LearningRateScheduleTests {
  private let recorded: RecordedTensors

  init() throws { recorded = try RecordedTensors("training/schedules.safetensors") }

  private func expect(_ found: [Double], _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let expected = try recorded.values(name)
    #expect(found.count == expected.count, sourceLocation: sourceLocation)
    for (epoch, (found, expected)) in zip(found, expected).enumerated() {
      #expect(
        abs(found - expected) <= tolerance * expected, "rate \(epoch) is \(found), PyTorch's \(expected)",
        sourceLocation: sourceLocation)
    }
  }

  @Test(arguments: [5, 0]) func `plateau divides where PyTorch's does, and no further than it`(patience: Int) throws {
    let losses = try recorded.values("plateau.losses")
    var schedule = LearningRateSchedule(.plateau, base: 1e-4, epochs: 60, patience: patience)
    var rates: [Double] = []
    for (epoch, loss) in losses.enumerated() {
      rates.append(schedule.rate(epoch: epoch))
      schedule.endEpoch(validationLoss: loss)
    }
    try expect(rates, "plateau.\(patience)")
  }

  /// What `torch.optim.lr_scheduler.ReduceLROnPlateau(factor=0.1, patience=1)` does with these losses, rate by rate: a loss must be
  /// 0.01 % lower to count; more than one bad epoch in a row divides.
  @Test func `a loss within a hundredth of a percent of the best is a bad epoch`() {
    var schedule = LearningRateSchedule(.plateau, base: 1, epochs: 100, patience: 1)
    let losses = [1.0, 0.9, 0.89995, 0.95, 0.9, 0.8, 0.81, 0.82, 0.83, 0.84]
    var reductions: [Int] = []
    for loss in losses {
      schedule.endEpoch(validationLoss: loss)
      reductions.append(schedule.reductions)
    }
    // 0.89995 is within 0.01 % of 0.9: bad. With 0.95 two in a row: divided.
    #expect(reductions == [0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
    #expect(abs(schedule.rate(epoch: 10) - 1e-3) < 1e-15)
  }

  @Test func `a loss that is not a number is a bad epoch`() {
    var schedule = LearningRateSchedule(.plateau, base: 1, epochs: 10, patience: 0)
    schedule.endEpoch(validationLoss: 1)
    schedule.endEpoch(validationLoss: .nan)
    #expect(schedule.reductions == 1)
  }

  @Test(arguments: [(Schedule.cosine, 10), (.step, 9), (.step, 10)])
  func `cosine goes as PyTorch's, and step divides behind each third`(schedule: Schedule, epochs: Int) throws {
    let rates = LearningRateSchedule(schedule, base: 1e-3, epochs: epochs, patience: 5)
    // PyTorch goes from rate to rate, and near a cosine's end the rest that it keeps is a hundredth of what it subtracts from.
    let found = (0..<epochs).map { rates.rate(epoch: $0) }
    if schedule == .step { return try expect(found, "step.\(epochs)") }
    #expect(relativeDifference(found, try recorded.values("cosine.\(epochs)")) < tolerance)
  }

  @Test(arguments: [(Schedule.constant, 6, "warmup.constant"), (.cosine, 10, "warmup.cosine.10")])
  func `warm-up goes up step by step to the schedule's rate, as LinearLR`(
    schedule: Schedule, epochs: Int, name: String
  ) throws {
    let rates = LearningRateSchedule(schedule, base: 1e-3, epochs: epochs, patience: 5, warmupEpochs: 4)
    let found = (0..<epochs).flatMap { epoch in (0..<3).map { rates.rate(epoch: epoch, step: $0, steps: 3) } }
    #expect(relativeDifference(found, try recorded.values(name)) < tolerance)
    #expect(abs(found[0] - 1e-3 / 12) < 1e-15)
    #expect(found[11] == rates.rate(epoch: 3))
  }

  @Test func `constant stays`() {
    let constant = LearningRateSchedule(.constant, base: 3, epochs: 9, patience: 5)
    #expect(constant.rate(epoch: 8) == 3)
    #expect(constant.rate(epoch: 0, step: 0, steps: 4) == 3)
  }
}
