import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform
import Tensors

/// The epochs of a run. This file has the steps; `TrainingLoop+Epoch` what closes an epoch, `TrainingLoop+Saving` what is kept.
///
/// Invariant: data order, augmentation and arithmetic are functions of the settings, the epoch and the step. So a run that goes on
/// from its state writes the same bytes as one that was never stopped.
struct TrainingLoop {
  let finetuner: Finetuner
  let training: Dataset
  let validation: Dataset
  let checkpoint: Checkpoint
  let session: any Session
  let predictor: Predictor
  /// Before `train`: that of a run that begins.
  var state: TrainingState
  /// The rows of `metrics.csv`.
  var metrics: [String] = []
  /// TensorBoard's file, once the run directory is there.
  var scalars: ScalarLog?
  let report: (TrainingEvent) -> Void
  /// Whether the last state on the disk is one that a run without stops saves too: those are kept when the next one comes.
  var keepsLastState = false
  /// Where a batch system will end the run.
  var jobEnd: JobEnd?
  /// Whether the user knows that nothing more is kept.
  var hasReportedCache = false
  /// Why images were skipped, by their paths; each was told once.
  var skippedImages: [String: Diagnosis] = [:]
  private let classWeights: ClassWeights?

  var options: TrainingOptions { finetuner.options }
  var run: RunDirectory { finetuner.run }
  /// Steps an epoch.
  var steps: Int { (training.count + stepSize - 1) / stepSize }
  var ranks: Ranks { finetuner.ranks }
  /// Whether the processes' batches are one to batch norm: each then needs the others for every layer.
  private var synchronizes: Bool { options.synchronizesBatchNorm && ranks.areSeveral }
  /// Images a step, of all processes together; the last of an epoch can have fewer.
  var stepSize: Int { options.batchSize * options.gradientAccumulation * ranks.collective.size }

  init(
    _ finetuner: Finetuner, data: TrainingData, start: Checkpoint, report: @escaping (TrainingEvent) -> Void
  ) throws(TrainingError) {
    self.finetuner = finetuner
    self.report = report
    checkpoint = start
    let settings = finetuner.options
    state = TrainingState(
      weights: start.weights,
      schedule: LearningRateSchedule(
        settings.schedule, base: settings.learningRate, epochs: settings.epochs, patience: settings.plateauPatience,
        warmupEpochs: settings.warmupEpochs), averageDecay: settings.averageDecay)
    var (training, validation) = try data.datasets(start.metadata.preprocessing)
    if settings.badImages == .stop {
      let errors = [training, validation].flatMap { $0.outlineErrors(pool: finetuner.pool) }
      if !errors.isEmpty { throw .badImages(errors.map(\.diagnosis), total: training.count + validation.count) }
    }
    let cache = try TrainingCache(settings, training: training, validation: validation, pool: finetuner.pool)
    if let note = cache.note { report(.note(note)) }
    (training.source, validation.source) = (cache.training, cache.validation)
    (training.skipsBadImages, validation.skipsBadImages) = (settings.badImages == .skip, settings.badImages == .skip)
    (self.training, self.validation) = (training, validation)
    let size = start.metadata.preprocessing.imageSize
    let views = settings.imageAugmentation.viewCount
    do {
      try training.preparation.check(settings.imageAugmentation)
      let plan = try Plan(
        start.weights.layout.architecture, mode: .training, batchSize: settings.batchSize * views, height: size,
        width: size)
      session = try finetuner.backend.makeSession(plan)
      predictor = try Predictor(
        start, backend: finetuner.backend, batchSize: settings.batchSize, pool: finetuner.pool)
    } catch let error as any DiagnosedError {
      throw .cause(error)
    } catch {
      preconditionFailure("every error of these floors is diagnosed: \(error)")
    }
    classWeights = settings.loss == .weightedBCE ? LabelCounts(of: training).classWeights : nil
  }

  /// Runs the epochs that `state` leaves; returns the last state.
  mutating func train(from state: TrainingState) throws(TrainingError) -> TrainingState {
    self.state = state
    // Begun with other processes, its steps may have been of another size.
    let images = state.images ?? state.step * stepSize
    (self.state.images, self.state.step) = (images, (images + stepSize - 1) / stepSize)
    keepsLastState = isPlanned(state)
    do {
      try session.load(state.weights)
      try session.load(state.moments)
      try session.join(ranks.collective)
      if synchronizes { try session.synchronizeBatchNorm(over: ranks.collective) }
    } catch {
      throw .cause(error)
    }
    metrics = try run.metrics(epochs: state.epoch)
    scalars = try run.scalars()
    while !options.isOver(self.state) {
      try trainEpoch()
      try endEpoch()
    }
    return self.state
  }

  /// Why the run is to stop at the next boundary, if it is.
  var reasonToStop: Interruption.Reason? {
    finetuner.reasonToStop ?? (jobEnd?.isNear() == true ? .jobEnd : nil)
  }

  private mutating func trainEpoch() throws(TrainingError) {
    let epoch = state.epoch
    let order = BatchLoader.shuffledOrder(count: training.count, seed: options.seed, epoch: epoch)
    let steps = stride(from: state.images ?? 0, to: order.count, by: stepSize).map {
      Array(order[$0..<min($0 + stepSize, order.count)])
    }
    let shares = steps.map { $0[ranks.collective.share(of: $0.count)] }
    let loader = BatchLoader(
      training, order: shares.flatMap(\.self), batchSize: options.batchSize,
      augmentation: options.imageAugmentation, seed: options.seed, epoch: epoch, pool: finetuner.pool,
      whenPrepared: session.bringing(by: training.preparation))
    for (images, share) in zip(steps, shares) {
      ranks.collective.place = "epoch \(epoch + 1), step \(state.step + 1)"
      if let reason = try ranks.reasonToStop(reasonToStop) { try stop(reason) }
      let began = ContinuousClock.now
      let waited = try takeStep(images, share: share, from: loader)
      jobEnd?.stepped(in: ContinuousClock.now - began)
      report(
        .step(
          epoch: epoch + 1, step: state.step, steps: self.steps,
          loss: state.lossSum / Double(max(state.knownCount, 1)), images: images.count, waited: waited))
      if let every = options.checkpointEvery, (epoch * self.steps + state.step) % every == 0 { try saveStep() }
    }
  }

  /// Takes a step on `samples`, of which `loader` gives this process `share` next; returns the seconds that were waited for them.
  ///
  /// A loss or gradient that is not a number ends the run before the update, in whichever process it is.
  private mutating func takeStep(
    _ samples: [Int], share: ArraySlice<Int>, from loader: BatchLoader
  ) throws(TrainingError) -> Double {
    let views = options.imageAugmentation.viewCount
    var known = samples.reduce(0) { $0 + labels(of: $1).knownCount } * views
    let rate = state.schedule.rate(epoch: state.epoch, step: state.step, steps: steps)
    var waited = Duration.zero
    // With bad images left out, how many labels are known shows only when all of the step's are decoded. And no process may find a bad one while others
    // wait for it in a layer.
    var waiting: [Batch]?
    if options.badImages == .skip || synchronizes {
      waiting = try ranks.together { () throws(TrainingError) in try load(share.count, from: loader, &waited) }
    }
    if let waiting, options.badImages == .skip {
      try tell(try ranks.all(waiting.flatMap(\.skipped)), of: training)
      let own = waiting.flatMap(\.samples).reduce(0) { $0 + labels(of: $1).knownCount }
      known = Int(try ranks.sum([Double(own)])[0])
    }
    let images = samples.map { training.table.samples[$0].image }
    let (own, hasImages) =
      if synchronizes, let waiting {
        try accumulateTogether(waiting, ofStep: samples.count, known: known, images: images)
      } else {
        try ranks.together { () throws(TrainingError) in
          try accumulate(share.count, waiting, from: loader, known: known, images: images, &waited)
        }
      }
    let lossSum = try ranks.sum([own])[0]
    do {
      try session.reduce(over: ranks.collective, hasImages: hasImages)
    } catch {
      // The others are in the middle of it, and cannot be asked.
      throw ranks.areSeveral && !error.saysThatRanksAreLost
        ? .cause(ErrorAlone(error)) : try failure(error, images: images)
    }
    let step = options.step(epoch: state.epoch, learningRate: rate)
    try ranks.together { () throws(TrainingError) in
      do throws(BackendError) {
        _ = try session.apply(step)
      } catch {
        throw try failure(error, images: images)
      }
    }
    if state.average != nil {
      let weights = try weights()
      state.average?.add(weights)
    }
    state.lossSum += lossSum
    state.knownCount += known
    state.step += 1
    state.images = (state.images ?? 0) + samples.count
    // A hundred points an epoch show all that a curve of an epoch can.
    if state.step % max(1, steps / 100) == 0 {
      try written { (loop) throws(TrainingError) in
        try loop.log([("train/loss", lossSum / Double(max(known, 1))), ("train/learning_rate", rate)])
      }
    }
    return waited / .seconds(1)
  }

  /// The batches of the next `count` images.
  private mutating func load(
    _ count: Int, from loader: BatchLoader, _ waited: inout Duration
  ) throws(TrainingError) -> [Batch] {
    let views = options.imageAugmentation.viewCount
    var (taken, batches) = (0, [Batch]())
    while taken < count {
      let batch = try next(loader, &waited)
      taken += batch.count / views + batch.skipped.count
      batches.append(batch)
    }
    return batches
  }

  /// Accumulates the gradients of the next `count` images, or of `waiting`; the sum of their loss, and whether there were any.
  private mutating func accumulate(
    _ count: Int, _ waiting: [Batch]?, from loader: BatchLoader, known: Int, images: [String], _ waited: inout Duration
  ) throws(TrainingError) -> (lossSum: Double, hasImages: Bool) {
    let views = options.imageAugmentation.viewCount
    var (taken, lossSum, hasImages) = (0, 0.0, false)
    func add(_ batch: Batch, isLast: Bool) throws(TrainingError) {
      if batch.count == 0 { return }
      if isLast { session.expectReduction() }
      lossSum += try accumulate(batch, known: known, images: images)
      hasImages = true
    }
    if let waiting {
      for (index, batch) in waiting.enumerated() { try add(batch, isLast: index + 1 == waiting.count) }
    } else {
      while taken < count {
        let batch = try next(loader, &waited)
        taken += batch.count / views
        try add(batch, isLast: taken == count)
      }
    }
    return (lossSum, hasImages)
  }

  /// The same where batch norm is synchronised: as many batches in each process, of which the last of some have no images.
  private func accumulateTogether(
    _ batches: [Batch], ofStep count: Int, known: Int, images: [String]
  ) throws(TrainingError) -> (lossSum: Double, hasImages: Bool) {
    let together = options.batchSize * ranks.collective.size
    var lossSum = 0.0
    for round in 0..<(count + together - 1) / together {
      let batch = round < batches.count ? batches[round] : .empty
      lossSum += try ranks.together { () throws(TrainingError) in
        try accumulate(batch, known: known, images: images)
      }
    }
    return (lossSum, batches.contains { $0.count > 0 })
  }

  private func next(_ loader: BatchLoader, _ waited: inout Duration) throws(TrainingError) -> Batch {
    let asked = ContinuousClock.now
    defer { waited += ContinuousClock.now - asked }
    do {
      guard let batch = try loader.next() else { preconditionFailure("the loader has fewer images than the order") }
      return batch
    } catch {
      throw .cause(error)
    }
  }

  /// What a backend's error means for a step: numbers that are none are divergence.
  private func failure(_ error: BackendError, images: [String]) throws(TrainingError) -> TrainingError {
    guard case .notFinite = error else { return .cause(error) }
    return try divergence(error, step: state.step + 1, images: images)
  }

  /// Tells of images that are skipped, each once.
  mutating func tell(_ skipped: [(sample: Int, diagnosis: Diagnosis)], of dataset: Dataset) throws(TrainingError) {
    for (sample, diagnosis) in skipped
    where skippedImages.updateValue(diagnosis, forKey: dataset.paths[sample]) == nil {
      report(.note("skipped: \(diagnosis.message)"))
      try run.note("skipped", state, ["image": .string(dataset.paths[sample]), "id": .string(diagnosis.id)])
    }
  }

  /// Throws `badImages` where every image of `dataset` was skipped: there is nothing to learn, or to be judged by.
  func checkSkipped(of dataset: Dataset) throws(TrainingError) {
    try ranks.together { () throws(TrainingError) in
      let errors = dataset.paths.compactMap { skippedImages[$0] }
      if errors.count == dataset.count { throw .badImages(errors, total: dataset.count) }
    }
  }

  /// The sum of the batch's loss. `images`: those of the step.
  private func accumulate(_ batch: Batch, known: Int, images: [String]) throws(TrainingError) -> Double {
    do {
      return try session.accumulateGradients(
        session.images(of: batch, by: training.preparation),
        labels: LabelBatch(batch.samples.flatMap { labels(of: $0).labels }), weights: classWeights,
        lossScale: 1 / Double(max(known, 1))
      ).lossSum
    } catch {
      throw try failure(error, images: images)
    }
  }

  /// The labels of one sample as the loss is to see them.
  private func labels(of sample: Int) -> LabelBatch {
    LabelBatch(
      training.labels(of: sample).map { label in
        switch (label, options.uncertain) {
        case (.unknown, .zero): .negative
        case (.unknown, .one): .positive
        default: label
        }
      })
  }
}
