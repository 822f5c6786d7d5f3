import Checkpoints
import ChestXray
import Engine
import Platform
import Tensors

extension Checkpoint {
  /// The checkpoint that a run starts from: the weights and classes, with the preprocessing of the run's image size, and what a
  /// user should know about it.
  ///
  /// A checkpoint whose classes are not `classes`, in this order, gets a new head for them. Throws where it cannot be read, or
  /// the architecture is unknown.
  static func starting(
    _ options: TrainingOptions, classes: [String]
  ) throws(TrainingError) -> (Checkpoint, note: String?) {
    var trainedOn: [CheckpointMetadata.NamedDigest] = []
    do {
      trainedOn = [.init(name: fileName(of: options.trainList), sha256: try SHA256.hex(ofFile: options.trainList))]
    } catch {
      throw .cause(error)
    }
    switch options.start {
    case .random(let name):
      guard let architecture = DenseNetArchitecture(parsing: name, classCount: classes.count) else {
        throw .unknownArchitecture(name)
      }
      let metadata = CheckpointMetadata(
        architecture: architecture, classes: classes, preprocessing: .imageNet(imageSize: options.imageSize ?? 224),
        trainedOn: trainedOn)
      return (Checkpoint(weights: Weights(initializing: architecture, seed: options.seed), metadata: metadata), nil)
    case .checkpoint(let path):
      var checkpoint: Checkpoint
      do {
        checkpoint = try Checkpoint.load(path: path)
      } catch {
        throw .cause(error)
      }
      var note: String?
      if checkpoint.metadata.classes != classes {
        checkpoint = checkpoint.withNewHead(classes: classes, seed: options.seed)
        note =
          "the checkpoint's classes are others: the classifier starts from random weights for \(classes.count) classes"
      }
      if let size = options.imageSize {
        checkpoint.metadata.preprocessing = checkpoint.metadata.preprocessing.scaled(to: size)
      }
      checkpoint.metadata.trainedOn += trainedOn.filter { !checkpoint.metadata.trainedOn.contains($0) }
      return (checkpoint, note)
    }
  }

  /// The same features with new random weights for other classes.
  private func withNewHead(classes: [String], seed: UInt64) -> Checkpoint {
    var metadata = metadata
    metadata.classes = classes
    metadata.architecture.classCount = classes.count
    let layout = ParameterLayout(metadata.architecture)
    var weights = Weights(layout: layout, values: [Float](repeating: 0, count: layout.count))
    for parameter in layout.parameters where parameter.role != .classifierWeight && parameter.role != .classifierBias {
      guard let old = self.weights.layout[parameter.name] else { preconditionFailure("\(parameter.name) is in both") }
      weights[parameter] = self.weights[old]
    }
    weights.reinitializeHead(seed: seed)
    return Checkpoint(weights: weights, metadata: metadata)
  }
}
