import Testing

@testable import Training

@Suite struct LearningRateScheduleTests {
  /// What `torch.optim.lr_scheduler.ReduceLROnPlateau(factor=0.1, patience=1)` does with these losses, rate by rate: a loss must be
  /// 0.01 % lower to count; more than one bad epoch in a row divides.
  @Test func `plateau divides as PyTorch's does`() {
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

  @Test func `cosine goes from the base to near zero, step divides at each third, constant stays`() {
    let cosine = LearningRateSchedule(.cosine, base: 2, epochs: 10, patience: 5)
    #expect(cosine.rate(epoch: 0) == 2)
    #expect(abs(cosine.rate(epoch: 5) - 1) < 1e-15)
    #expect(abs(cosine.rate(epoch: 9) - 0.048943483704846) < 1e-12)
    let step = LearningRateSchedule(.step, base: 1, epochs: 9, patience: 5)
    #expect((0..<9).map { step.rate(epoch: $0) } == [1, 1, 1, 0.1, 0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1, 0.1 * 0.1])
    let constant = LearningRateSchedule(.constant, base: 3, epochs: 9, patience: 5)
    #expect(constant.rate(epoch: 8) == 3)
  }
}
