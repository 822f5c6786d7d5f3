import ChestXray
import Engine
import Platform

/// What a finetuning run is asked to do, all of which is in `settings.json`.
public struct TrainingOptions: Equatable, Sendable {
  public enum Start: Equatable, Sendable {
    /// A checkpoint's weights. A head for other classes is replaced by a new one.
    case checkpoint(path: String)
    /// Random weights of this architecture (`densenet121`, `8:2,2,2`).
    case random(architecture: String)
  }

  public enum LossKind: String, CaseIterable, Sendable {
    case bce
    /// w₊ = n₋/n and w₋ = n₊/n of each finding, counted in the training list (Wang et al., CVPR 2017, section 4: rarer labels
    /// weigh more).
    case weightedBCE = "weighted-bce"
  }

  /// What becomes of a label that is not known.
  public enum UncertainPolicy: String, CaseIterable, Sendable {
    case ignore
    case zero
    case one
  }

  public enum AugmentationKind: String, CaseIterable, Sendable {
    case cropFlip = "crop-flip"
    case flip
    case tenCrop = "ten-crop"
    case none
  }

  /// What becomes of an image that cannot be read.
  public enum BadImagePolicy: String, CaseIterable, Sendable {
    /// It ends the run.
    case stop
    /// Its sample is left out, of the step and of the mean over its known labels; none takes its place.
    case skip
  }

  public enum OptimizerKind: String, CaseIterable, Sendable {
    case adam
    case adamw
    case sgd
  }

  /// The folder of radiographs.
  public var data: String
  public var trainList: String
  public var validationList: String
  /// A table whose labels replace the lists' own.
  public var labels: String?
  public var start: Start
  /// The classes of the network; nil: the training list's findings.
  public var classes: [String]?
  /// The side of the network's input, in pixels; nil: the checkpoint's, else 224.
  public var imageSize: Int?

  public var epochs = 100
  /// Images a step and micro-batch. Ten crops of an image are ten samples.
  public var batchSize = 16
  /// Micro-batches a step.
  public var gradientAccumulation = 1
  public var optimizer = OptimizerKind.adam
  public var learningRate = 1e-4
  /// Of SGD.
  public var momentum = 0.9
  public var weightDecay = 1e-5
  public var schedule = Schedule.plateau
  public var plateauPatience = 5
  /// Epochs in which the rate goes up to the schedule's, step by step.
  public var warmupEpochs = 0
  /// Epochs, from the first, in which only the classifier learns.
  public var freezeEpochs = 0
  /// d of the moving average of the weights, 0 ..< 1; nil: none is kept.
  public var averageDecay: Double?
  public var clipNorm: Double?
  public var loss = LossKind.bce
  public var uncertain = UncertainPolicy.ignore
  public var augmentation = AugmentationKind.cropFlip
  public var badImages = BadImagePolicy.stop
  /// Of the activations, in training and validation.
  public var precision = Precision.fp32
  /// Whether batch norm sees the batches of all processes as one.
  public var synchronizesBatchNorm = false
  public var seed: UInt64 = 123
  public var allowsPatientOverlap = false
  /// The run ends behind so many epochs in a row without a lower validation loss; nil: it does all its epochs.
  public var stopAfterBadEpochs: Int?

  /// The short side of the images that are kept and trained on, in pixels; nil: `defaultCacheSize`, where evaluation sees no more.
  public var cacheSize: Int?
  public var cache = CacheChoice.automatic
  public static let defaultCacheSize = 512

  /// Steps of the run between two saved states, beside those that every epoch leaves; nil: none.
  public var checkpointEvery: Int?
  /// Seconds after which this start of the run saves and stops; nil: never.
  public var maxSeconds: Int?

  public init(data: String, trainList: String, validationList: String, start: Start) {
    self.data = data
    self.trainList = trainList
    self.validationList = validationList
    self.start = start
  }

  /// Settings that may change when a run is gone on with: where it ends, and what is saved on the way.
  static let freeSettings = ["epochs", "stop-after-bad-epochs", "checkpoint-every", "max-time"]

  /// The settings of a run. Compared on resume, but for the free ones.
  public var json: JSONObject {
    let (weights, architecture): (String?, String?) =
      switch start {
      case .checkpoint(let path): (path, nil)
      case .random(let architecture): (nil, architecture)
      }
    return JSONObject([
      ("data", .string(data)), ("train", .string(trainList)), ("validation", .string(validationList)),
      ("labels", JSONValue(labels)), ("weights", JSONValue(weights)), ("architecture", JSONValue(architecture)),
      ("classes", classes.map { JSONValue($0) } ?? .null), ("image-size", JSONValue(imageSize)),
      ("epochs", JSONValue(epochs)), ("batch-size", JSONValue(batchSize)),
      ("gradient-accumulation", JSONValue(gradientAccumulation)), ("optimizer", .string(optimizer.rawValue)),
      ("learning-rate", JSONValue(learningRate)), ("momentum", JSONValue(momentum)),
      ("weight-decay", JSONValue(weightDecay)), ("schedule", .string(schedule.rawValue)),
      ("plateau-patience", JSONValue(plateauPatience)), ("warmup-epochs", JSONValue(warmupEpochs)),
      ("freeze-epochs", JSONValue(freezeEpochs)), ("ema", JSONValue(averageDecay)), ("clip-norm", JSONValue(clipNorm)),
      ("loss", .string(loss.rawValue)), ("uncertain", .string(uncertain.rawValue)),
      ("augment", .string(augmentation.rawValue)),
      ("on-bad-image", .string(badImages.rawValue)), ("precision", .string(precision.rawValue)),
      ("sync-batch-norm", JSONValue(synchronizesBatchNorm)), ("seed", .string(String(seed))),
      ("cache-size", cache == .never ? .null : JSONValue(cacheSize ?? Self.defaultCacheSize)),
      ("allow-patient-overlap", JSONValue(allowsPatientOverlap)),
      ("stop-after-bad-epochs", JSONValue(stopAfterBadEpochs)), ("checkpoint-every", JSONValue(checkpointEvery)),
      ("max-time", JSONValue(maxSeconds)),
    ])
  }

  /// A step of `epoch` (from 0) at a learning rate.
  func step(epoch: Int, learningRate: Double) -> OptimizerStep {
    let method: Optimizer =
      switch optimizer {
      case .adam: .adam
      case .adamw: .adamW
      case .sgd: .sgd(momentum: momentum, nesterov: false)
      }
    return OptimizerStep(
      optimizer: method, learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm,
      scope: epoch < freezeEpochs ? .classifier : .network)
  }

  var imageAugmentation: Augmentation {
    switch augmentation {
    case .cropFlip: .cropFlip()
    case .flip: .flip
    case .tenCrop: .tenCrop
    case .none: .none
    }
  }
}
