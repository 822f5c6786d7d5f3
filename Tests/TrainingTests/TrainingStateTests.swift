import Engine
import Platform
import TestSupport
import Testing

@testable import Training

@Suite struct TrainingStateTests {
  private let architecture = DenseNetArchitecture(growthRate: 2, blockSizes: [1, 1], initialFeatures: 4, classCount: 3)
  private let schedule = LearningRateSchedule(.plateau, base: 1e-3, epochs: 9, patience: 2)

  private func state(averageDecay: Double? = nil) -> TrainingState {
    let weights = Weights(initializing: architecture, seed: 1)
    var state = TrainingState(weights: weights, schedule: schedule, averageDecay: averageDecay)
    (state.epoch, state.step, state.lossSum, state.knownCount) = (3, 5, 1.0 / 3, 77)
    (state.bestLoss, state.bestEpoch, state.scalarBytes) = (0.1 + 0.2, 2, 4711)
    (state.bestAUROC, state.bestAUROCEpoch) = (2.0 / 3, 1)
    state.schedule.endEpoch(validationLoss: 0.7)
    for seed in UInt64(3)...5 { state.average?.add(Weights(initializing: architecture, seed: seed)) }
    state.moments = OptimizerMoments(
      steps: 41, classifierSteps: 47, first: weights.values.prefix(weights.layout.trainedCount).map { $0 / 3 },
      second: weights.values.prefix(weights.layout.trainedCount).map { $0 * $0 })
    return state
  }

  private func read(_ path: String, classes: Int = 3, averageDecay: Double? = nil) throws -> TrainingState {
    var architecture = architecture
    architecture.classCount = classes
    let fresh = TrainingState(
      weights: Weights(initializing: architecture, seed: 9), schedule: schedule, averageDecay: averageDecay)
    return try TrainingState(path: path, for: fresh)
  }

  @Test func `what is saved is read back to the last bit, infinities included`() throws {
    try inTemporaryFolder { folder in
      for state in [state(), TrainingState(weights: Weights(initializing: architecture, seed: 2), schedule: schedule)] {
        try state.save(to: folder + "/state")
        #expect(try read(folder + "/state") == state)
      }
      try state(averageDecay: 0.75).save(to: folder + "/averaged")
      #expect(try read(folder + "/averaged", averageDecay: 0.75) == state(averageDecay: 0.75))
      expectBadData("expected the tensors weights, moments.first, moments.second") { try read(folder + "/averaged") }
    }
  }

  @Test func `a flipped bit, a cut end and another network are found out, exit 65`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/state"
      try state().save(to: path)
      let whole = try FileReader.contents(of: path)

      var flipped = whole
      flipped[whole.count - 9] ^= 0x10
      try AtomicFile.write(flipped, to: path, overwriting: true)
      expectBadData("SHA-256") { try read(path) }

      try AtomicFile.write(Array(whole.dropLast(4)), to: path, overwriting: true)
      expectBadData("safetensors") { try read(path) }

      try AtomicFile.write(whole, to: path, overwriting: true)
      expectBadData("another network") { try read(path, classes: 4) }
    }
  }

  private func expectBadData(_ words: String, _ body: () throws -> TrainingState) {
    do {
      _ = try body()
      Issue.record("a damaged state was taken")
    } catch let error as any DiagnosedError {
      #expect(error.diagnosis.exit == .badData)
      #expect(error.diagnosis.message.contains(words))
    } catch {
      Issue.record("\(error)")
    }
  }
}
