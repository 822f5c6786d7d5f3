import ChestXray
import Engine
import Platform

/// What a finetuning run is asked to do. Everything that decides its result is in here, and in `settings.json`.
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
    case none
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
  /// Images a step and micro-batch.
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
  public var clipNorm: Double?
  public var loss = LossKind.bce
  public var uncertain = UncertainPolicy.ignore
  public var augmentation = AugmentationKind.cropFlip
  /// Of the activations, in training and validation.
  public var precision = Precision.fp32
  public var seed: UInt64 = 123
  public var allowsPatientOverlap = false

  public init(data: String, trainList: String, validationList: String, start: Start) {
    self.data = data
    self.trainList = trainList
    self.validationList = validationList
    self.start = start
  }

  /// The settings of a run: what decides its result. Compared on resume; `epochs` alone may grow.
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
      ("plateau-patience", JSONValue(plateauPatience)), ("clip-norm", JSONValue(clipNorm)),
      ("loss", .string(loss.rawValue)), ("uncertain", .string(uncertain.rawValue)),
      ("augment", .string(augmentation.rawValue)), ("precision", .string(precision.rawValue)),
      ("seed", .string(String(seed))),
      ("allow-patient-overlap", JSONValue(allowsPatientOverlap)),
    ])
  }

  /// The step at a learning rate.
  func step(learningRate: Double) -> OptimizerStep {
    let method: Optimizer =
      switch optimizer {
      case .adam: .adam
      case .adamw: .adamW
      case .sgd: .sgd(momentum: momentum, nesterov: false)
      }
    return OptimizerStep(
      optimizer: method, learningRate: learningRate, weightDecay: weightDecay, clipNorm: clipNorm)
  }

  var imageAugmentation: Augmentation {
    switch augmentation {
    case .cropFlip: .cropFlip()
    case .flip: .flip
    case .none: .none
    }
  }
}
