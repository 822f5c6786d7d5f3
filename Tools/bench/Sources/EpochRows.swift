import ChestXray
import Engine
import Tensors

/// Training with the loader of `finetune`, which works ahead of the steps and on the same threads.
extension Settings {
  /// Images that the network is given at a time, as `finetune` does by default.
  private static let epochBatch = 16

  /// A step of training on radiographs of a folder, each a random part of it, mirrored or not; and the same step on the batch that is then in memory.
  /// The loader begins the next batch when it has handed one out, so all of its work falls into the steps that are counted as its own,
  /// the wait for an epoch's first batch included.
  func epoch(_ epoch: RowName.Epoch) throws -> (inMemory: Work, loaded: Work) {
    let folder = try imageFolder()
    let backend = try backend()
    let session = try makeSession(.training, batch: Self.epochBatch, backend)
    let scratch = ScratchFolder()
    var number = -1
    func nextLoader() throws -> BatchLoader {
      number += 1
      // A cache of its own is an empty one.
      let cache = scratch.path + (epoch == .cached ? "/kept" : "/epoch-\(number)")
      let source = ImageSource(shortSide: 512, cache: RadiographCache(folder: cache))
      return try loader(folder.paths, source, batch: Self.epochBatch, augmentation: .cropFlip(), epoch: number)
    }

    var batches = try nextLoader()
    if epoch == .cached {
      while try batches.next() != nil {}
      batches = try nextLoader()
    }
    var batch: Batch?
    let unit = Work.Unit.imagesPerSecond(count: Self.epochBatch)
    let subject = "\(trainingSubject(backend)), batch \(Self.epochBatch), \(folder.subject)"
    let loaded = Work(unit: unit, subject: subject) {
      batch = try batches.next()
      if batch == nil {
        batches = try nextLoader()
        batch = try batches.next()
      }
      if let batch { try Self.step(session, batch) }
    }
    let inMemory = Work(unit: unit, subject: subject) { if let batch { try Self.step(session, batch) } }
    return (inMemory, loaded)
  }

  /// A batch of random parts of a folder's images, from the cache, mirrored or not, as the loader of `finetune` hands it out, copied into one run of
  /// memory, as it is sent to a GPU; by all threads, the next batch being made meanwhile.
  func feeding(batch: Int) throws -> Work {
    let folder = try imageFolder()
    let scratch = ScratchFolder()
    let source = ImageSource(shortSide: 512, cache: RadiographCache(folder: scratch.path + "/kept"))
    var dataset = try Dataset(images: folder.paths, preprocessing: .imageNet())
    dataset.source = source
    let filling = BatchLoader(dataset, batchSize: batch, augmentation: .cropFlip(), seed: 1, pool: pool)
    while try filling.next() != nil {}
    // Every image as often as it takes: an epoch without an end.
    let order = (0..<1 << 22).map { $0 % dataset.count }
    let batches = BatchLoader(
      dataset, order: order, batchSize: batch, augmentation: .cropFlip(), seed: 1, pool: pool)
    let size = 224 * 224
    let memory = UnsafeMutableRawPointer.allocate(byteCount: batch * size, alignment: 4096)
    return Work(unit: .imagesPerSecond(count: batch), subject: "\(folder.subject), \(pool.threads) threads") {
      defer { _ = scratch }
      guard let batch = try batches.next() else { preconditionFailure("the epoch has come to its end") }
      for (place, image) in batch.images.enumerated() {
        guard case .bytes(let bytes) = image, bytes.count == size else { preconditionFailure("no crop") }
        bytes.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(start: memory + place * size, count: size).copyMemory(from: $0)
        }
      }
    }
  }

  /// A step of SGD on ten crops of each of `batch` radiographs of a folder, which are read and decoded for it: the workload of the reference
  /// implementation (taneishi/CheXNet, `main.py`).
  func tenCrop(batch: Int) throws -> Work {
    let folder = try imageFolder()
    let backend = try backend()
    let session = try makeSession(.training, batch: batch * Augmentation.tenCrop.viewCount, backend)
    // Whole batches only.
    let paths = Array(folder.paths.prefix(folder.paths.count / batch * batch))
    var epoch = 0
    func nextLoader() throws -> BatchLoader {
      epoch += 1
      return try loader(paths, ImageSource(), batch: batch, augmentation: .tenCrop, epoch: epoch)
    }
    var batches = try nextLoader()
    let sgd = OptimizerStep(optimizer: .sgd(momentum: 0.9, nesterov: false), learningRate: 1e-4, weightDecay: 0)
    return Work(
      unit: .imagesPerSecond(count: batch), subject: "\(trainingSubject(backend)), ten crops, \(folder.subject)"
    ) {
      while true {
        if let batch = try batches.next() { return try Self.step(session, batch, sgd) }
        batches = try nextLoader()
      }
    }
  }

  private func loader(
    _ paths: [String], _ source: ImageSource, batch: Int, augmentation: Augmentation, epoch: Int
  ) throws -> BatchLoader {
    var dataset = try Dataset(images: paths, preprocessing: .imageNet())
    dataset.source = source
    return BatchLoader(
      dataset, order: BatchLoader.shuffledOrder(count: dataset.count, seed: 1, epoch: epoch), batchSize: batch,
      augmentation: augmentation, seed: 1, epoch: epoch, pool: pool)
  }

  private static func step(_ session: any Session, _ batch: Batch, _ step: OptimizerStep = usualStep) throws {
    let tables = try ImagePreparation(.imageNet()).tables
    try Self.step(
      session, ImageBatch(batch.images, shape: session.plan.image, tables: tables), labels(count: batch.count), step)
  }
}
