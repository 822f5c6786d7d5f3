import Platform
import Tensors

/// N images for a network: C·H·W each, as normalized values, or as bytes that stand for them.
public struct ImageBatch: Sendable {
  private enum Storage: Sendable {
    case values([Float])
    case images([ImagePixels], PixelTables)
  }

  /// N.
  public let count: Int
  /// C·H·W of one image.
  public let shape: FeatureShape
  private let storage: Storage

  /// `pixels`: N·C·H·W values.
  public init(count: Int, shape: FeatureShape, pixels: [Float]) {
    precondition(pixels.count == count * shape.count, "\(pixels.count) pixels for \(count) images of \(shape)")
    self.count = count
    self.shape = shape
    storage = .values(pixels)
  }

  /// `tables`: of C channels, what bytes among `images` stand for.
  public init(_ images: [ImagePixels], shape: FeatureShape, tables: PixelTables) {
    precondition(tables.channels == shape.channels, "\(tables.channels) channels for images of \(shape)")
    count = images.count
    self.shape = shape
    storage = .images(images, tables)
  }

  /// Whether these are the images of `other`: at once where they are in the same array.
  public func isSame(as other: ImageBatch) -> Bool {
    guard shape == other.shape else { return false }
    switch (storage, other.storage) {
    case (.values(let mine), .values(let theirs)): return mine == theirs
    case (.images(let mine, let tables), .images(let theirs, let others)): return mine == theirs && tables == others
    default: return false
    }
  }

  /// One by one.
  public var images: [ImagePixels] {
    switch storage {
    case .values(let values):
      (0..<count).map { .values(Array(values[$0 * shape.count..<($0 + 1) * shape.count])) }
    case .images(let images, _): images
    }
  }

  /// What bytes among the images stand for; nil where there can be none.
  public var tables: PixelTables? {
    switch storage {
    case .values: nil
    case .images(_, let tables): tables
    }
  }

  /// N·C·H·W values; of bytes they are made each time, by several threads.
  public var pixels: [Float] {
    switch storage {
    case .values(let values): return values
    case .images(let images, let tables):
      let size = shape.count
      return [Float](unsafeUninitializedCapacity: count * size) { buffer, initialized in
        nonisolated(unsafe) let planes = buffer
        ThreadPool().forEach(count) { image in
          // Each image has a part to itself.
          let part = UnsafeMutableBufferPointer(rebasing: planes[image * size..<(image + 1) * size])
          tables.write(images[image], height: shape.height, width: shape.width, into: part)
        }
        initialized = count * size
      }
    }
  }
}

/// What a network says about N images.
public struct Inference: Sendable {
  /// `[N, L]`.
  public let logits: [Float]
  /// The classifier's feature maps, `[N, C, H, W]`; empty unless asked for.
  public let features: [Float]

  public init(logits: [Float], features: [Float]) {
    self.logits = logits
    self.features = features
  }
}

/// Labels of N images for L findings.
public struct LabelBatch: Equatable, Sendable {
  /// `[N, L]`.
  public let labels: [Label]

  public init(_ labels: [Label]) { self.labels = labels }

  /// How many labels are known.
  public var knownCount: Int { labels.reduce(0) { $1 == .unknown ? $0 : $0 + 1 } }
}

/// Weights w₊ and w₋ of the two terms of each finding's cross entropy: −w₊·y·log p − w₋·(1 − y)·log(1 − p).
public struct ClassWeights: Equatable, Sendable {
  /// `[L]`.
  public let positive: [Float]
  /// `[L]`.
  public let negative: [Float]

  public init(positive: [Float], negative: [Float]) {
    precondition(positive.count == negative.count)
    self.positive = positive
    self.negative = negative
  }
}

/// What accumulating the gradients of N images found.
public struct TrainingOutcome: Sendable {
  /// The loss summed over the known labels.
  public let lossSum: Double
  /// `[N, L]`, in training mode (batch statistics).
  public let logits: [Float]

  public init(lossSum: Double, logits: [Float]) {
    self.lossSum = lossSum
    self.logits = logits
  }
}

/// Brings images to a device while a session there works on others.
public protocol ImageStage: Sendable {
  /// Begins to bring `images`, which the session is asked to work on next. From any thread; it changes nothing but how long that takes.
  func bring(_ images: ImageBatch)
}

/// A network on a device: weights, gradients and optimizer moments live there, and nothing above names the device.
///
/// Narrow on purpose: one backend launches kernels, another compiles graphs.
public protocol Session: AnyObject {
  var plan: Plan { get }

  /// Bytes that the session holds on its device: weights, gradients, moments and activations. nil: it asks for memory as it goes.
  var memoryBytes: Int? { get }

  /// Where images can be brought ahead; nil where that is of no use.
  var stage: (any ImageStage)? { get }

  /// Replaces the weights and running statistics. Moments and gradients stay.
  func load(_ weights: Weights) throws(BackendError)

  /// A copy of the weights and running statistics.
  func readWeights() throws(BackendError) -> Weights

  /// Runs the network on `images`, at most `plan.batchSize`, with the running statistics.
  func infer(_ images: ImageBatch, keepingFeatures: Bool) throws(BackendError) -> Inference

  /// Runs the network forward and back on `images` with the batch's statistics, updates the running statistics, and adds the
  /// gradients of Σ loss · `lossScale` to those accumulated since the last step.
  ///
  /// `lossScale` is 1 / (number of known labels in the whole step), so that accumulated micro-batches and ranks together
  /// take the mean over the step.
  ///
  /// Throws `notFinite` where the loss is no number, and `ranks` where batch norm is synchronised and a process is lost.
  func accumulateGradients(
    _ images: ImageBatch, labels: LabelBatch, weights: ClassWeights?, lossScale: Double
  ) throws(BackendError) -> TrainingOutcome

  /// From here on batch norm sees the images of all processes of `collective` as one batch: its statistics are theirs together, and so are the two sums of
  /// its gradient. Each process then calls `accumulateGradients` as often as the others, with no images where it has none.
  ///
  /// Throws `device` where the device has no such thing.
  func synchronizeBatchNorm(over collective: any Collective) throws(BackendError)

  /// Prepares for `reduce` over the processes of `collective`, each of which calls this before it accumulates anything; what is missing in one is told
  /// now, in all.
  func join(_ collective: any Collective) throws(BackendError)

  /// The next `accumulateGradients` is the step's last: what is to be summed over processes may be summed while it runs.
  func expectReduction()

  /// Sums the gradients accumulated since the last step over the processes of `collective`, and takes the mean of the running statistics of those
  /// that had images, this one if `hasImages`.
  func reduce(over collective: any Collective, hasImages: Bool) throws(BackendError)

  /// Updates the weights in the step's scope by the accumulated gradients. All gradients become zero. Returns the global norm of
  /// those in the scope before clipping.
  /// Throws `notFinite`, with nothing updated, where a gradient is not a finite number.
  func apply(_ step: OptimizerStep) throws(BackendError) -> Double

  /// A copy of the optimizer's moments.
  func readMoments() throws(BackendError) -> OptimizerMoments

  /// Replaces the optimizer's moments.
  func load(_ moments: OptimizerMoments) throws(BackendError)
}

extension Session {
  public var memoryBytes: Int? { nil }
  public var stage: (any ImageStage)? { nil }
  public func join(_ collective: any Collective) throws(BackendError) {}
  public func expectReduction() {}
}

/// A way of running plans.
public protocol Backend: Sendable {
  /// As `--device` names it.
  var name: String { get }
  /// Of the activations.
  var precision: Precision { get }
  /// What its sessions compute with, by what it is: for the record of a run, whose bits depend on it.
  var equipment: [String: String] { get }
  /// A session whose weights are zero until `load`.
  func makeSession(_ plan: Plan) throws(BackendError) -> any Session
}

extension Backend {
  public var precision: Precision { .fp32 }
  public var equipment: [String: String] { ["device": name] }
}
