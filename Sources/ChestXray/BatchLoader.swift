import Dispatch
import Platform
import Tensors

/// Some samples as a network takes them. N samples, L classes.
public struct Batch: Equatable, Sendable {
  /// Which samples of the data set these are, N. One that is shown in several crops stands as often in a row.
  public var samples: [Int]
  /// N.
  public var images: [ImagePixels]
  /// N · L.
  public var labels: [Label]
  /// N: what the network is shown of each image.
  public var views: [ImageView]
  /// The images that cannot be shown, where the data set lets them be skipped: they are no samples of the batch.
  public var skipped: [SkippedImage]

  public var count: Int { samples.count }

  /// No samples.
  public static let empty = Batch(samples: [], images: [], labels: [], views: [], skipped: [])
}

/// A sample whose image cannot be read, and why.
public struct SkippedImage: Equatable, Sendable {
  public let sample: Int
  public let error: ChestXrayError
}

/// Hands out the batches of one epoch, in order, and prepares one ahead while the caller works.
///
/// A batch is N images, or with ten crops of each 10 · N samples. Images are decoded in parallel; neither order nor bits depend on the number of threads.
/// At most two batches are in memory, and one image being decoded for each thread. Networks of different preprocessing are shown the same images: each
/// is decoded once, and there is a batch for each preparation.
public final class BatchLoader {
  private let dataset: Dataset
  private let preparations: [ImagePreparation]
  private let order: [Int]
  private let batchSize: Int
  private let augmentation: Augmentation
  private let seed: UInt64
  private let epoch: Int
  private let pool: ThreadPool
  private let whenPrepared: (@Sendable ([Batch]) -> Void)?
  /// The first sample, as an index of `order`, of the batch that has not been begun.
  private var position = 0
  private var ahead: PendingBatch?

  /// `order`: the samples to hand out, by their index in `dataset`; nil for all, as they are listed. For training it is
  /// `shuffledOrder`, or a rank's or a resumed run's part of it. The last batch can be smaller than the others. `preparations`: nil for the
  /// data set's own. `whenPrepared` is told of the batch, by each of them, on another thread: before the caller gets it, and mostly before it asks.
  public init(
    _ dataset: Dataset, preparations: [ImagePreparation]? = nil, order: [Int]? = nil, batchSize: Int,
    augmentation: Augmentation = .none, seed: UInt64 = 0,
    epoch: Int = 0, pool: ThreadPool = ThreadPool(), whenPrepared: (@Sendable ([Batch]) -> Void)? = nil
  ) {
    precondition(batchSize > 0, "a batch has at least one sample")
    self.dataset = dataset
    self.preparations = preparations ?? [dataset.preparation]
    precondition(!self.preparations.isEmpty, "nobody is shown anything")
    self.order = order ?? Array(0..<dataset.count)
    self.batchSize = batchSize
    self.augmentation = augmentation
    self.seed = seed
    self.epoch = epoch
    self.pool = pool
    self.whenPrepared = whenPrepared
  }

  /// The order of all `count` samples in an epoch: seed and epoch decide.
  public static func shuffledOrder(count: Int, seed: UInt64, epoch: Int) -> [Int] {
    var random = CounterRandom(seed: seed, purpose: .shuffle, epoch: epoch)
    return random.permutation(count)
  }

  /// The batches of the epoch.
  public var batchCount: Int { (order.count + batchSize - 1) / batchSize }

  /// The next batch, by the first preparation; nil after the last. Errors: those of `nextOfEach`.
  public func next() throws(ChestXrayError) -> Batch? { try nextOfEach()?[0] }

  /// The next batch, by each of the preparations; nil after the last.
  ///
  /// Errors: those of `Radiograph.read`, for the first bad image of the batch in its order. Later calls go on behind
  /// it. Where the data set lets bad images be skipped, a batch can have no samples at all.
  public func nextOfEach() throws(ChestXrayError) -> [Batch]? {
    guard let batch = ahead ?? begin() else { return nil }
    // Wait before beginning the following one: two at a time would share the threads and hold a third batch.
    let result = batch.wait()
    ahead = begin()
    return try result.get()
  }

  /// Begins to prepare the next batch in the background; nil after the last.
  private func begin() -> PendingBatch? {
    guard position < order.count else { return nil }
    let samples = Array(order[position..<min(position + batchSize, order.count)])
    position += samples.count
    let (dataset, preparations, augmentation) = (dataset, preparations, augmentation)
    let (seed, epoch, pool, whenPrepared) = (seed, epoch, pool, whenPrepared)
    return PendingBatch {
      let result = Self.batches(
        samples, of: dataset, by: preparations, augmentation: augmentation, seed: seed, epoch: epoch, pool: pool)
      if let whenPrepared, case .success(let batches) = result { whenPrepared(batches) }
      return result
    }
  }

  private static func batches(
    _ samples: [Int], of dataset: Dataset, by preparations: [ImagePreparation], augmentation: Augmentation,
    seed: UInt64,
    epoch: Int, pool: ThreadPool
  ) -> Result<[Batch], ChestXrayError> {
    let results = pool.map(samples.count) { place -> Result<[[Dataset.Shown]], ChestXrayError> in
      do throws(ChestXrayError) {
        return .success(
          try dataset.prepare(
            samples[place], by: preparations, augmentation: augmentation, seed: seed, epoch: epoch))
      } catch {
        return .failure(error)
      }
    }
    let empty = Batch(samples: [], images: [], labels: [], views: [], skipped: [])
    var batches = [Batch](repeating: empty, count: preparations.count)
    for (sample, result) in zip(samples, results) {
      switch result {
      case .success(let prepared):
        let labels = dataset.labels(of: sample)
        for (place, images) in prepared.enumerated() {
          for image in images {
            batches[place].samples.append(sample)
            batches[place].labels += labels
            batches[place].images.append(image.pixels)
            batches[place].views.append(image.view)
          }
        }
      case .failure(let error):
        // That memory ran out is no fault of the image.
        guard dataset.skipsBadImages, error.diagnosis.exit != .outOfMemory else { return .failure(error) }
        for place in batches.indices { batches[place].skipped.append(SkippedImage(sample: sample, error: error)) }
      }
    }
    return .success(batches)
  }
}

/// A batch, by each preparation, that is being prepared on another thread.
private final class PendingBatch: @unchecked Sendable {
  // Written before `done` is signalled, and read after.
  private var result: Result<[Batch], ChestXrayError>?
  private let done = DispatchSemaphore(value: 0)

  init(_ prepare: @escaping @Sendable () -> Result<[Batch], ChestXrayError>) {
    DispatchQueue.global(qos: .userInitiated).async { [self] in
      result = prepare()
      done.signal()
    }
  }

  /// The batch, once; blocks until it is there.
  func wait() -> Result<[Batch], ChestXrayError> {
    done.wait()
    guard let result else { preconditionFailure("a batch was signalled and is not there") }
    return result
  }
}
