import Engine
import Platform
import Tensors
import WeightFormats

/// The weights of a network and what travels with them: one safetensors file with torchvision's names, so that
/// `safetensors.torch.load_file` feeds torchvision's `DenseNet` directly (`num_batches_tracked` is not written: PyTorch loads
/// strictly without it).
public struct Checkpoint: Equatable, Sendable {
  public var weights: Weights
  public var metadata: CheckpointMetadata

  /// `weights` must be of the architecture in `metadata`, which must have a class for each of its outputs.
  public init(weights: Weights, metadata: CheckpointMetadata) {
    precondition(weights.layout.architecture == metadata.architecture, "the metadata describe another network")
    precondition(metadata.classes.count == metadata.architecture.classCount, "a class for each output")
    self.weights = weights
    self.metadata = metadata
  }

  /// The SHA-256 of the tensors' bytes (F32, little-endian, C order), one behind the other in torchvision's order: equal for
  /// equal weights, whatever file they came from and whatever the metadata say.
  public var tensorDigest: String {
    var digest = MessageDigest(.sha256)
    for parameter in weights.layout.parameters { weights[parameter].withUnsafeBytes { digest.update($0) } }
    return digest.finish()
  }

  /// Writes the checkpoint: whole or not at all.
  public func save(to path: String, overwriting: Bool) throws(CheckpointError) {
    var writer = try CheckpointWriter(metadata: metadata, to: path, overwriting: overwriting)
    for parameter in weights.layout.parameters {
      try writer.append(HostTensor(weights[parameter], shape: parameter.shape).bytes)
    }
    _ = try writer.commit(metadata)
  }

  /// Reads the checkpoint at `path`: every parameter exactly once, in its shape, nothing left over, no value that is not a
  /// number, and all bytes those that were written.
  public static func load(path: String) throws(CheckpointError) -> Checkpoint {
    let file = try openWeights(path)
    guard file.format == .safetensors else { throw .foreign(path: path) }
    let (metadata, digest) = try CheckpointMetadata.parse(file.metadata, path: path)
    let layout = ParameterLayout(metadata.architecture)
    let tensors = try readWeights(file)
    let unknown = tensors.names.filter { layout[$0] == nil }
    guard unknown.isEmpty else { throw .unexpectedTensors(path: path, names: unknown) }
    let missing = layout.parameters.map(\.name).filter { tensors[$0] == nil }
    guard missing.isEmpty else { throw .missingParameters(path: path, names: missing) }
    var weights = Weights(layout: layout, values: [Float](repeating: 0, count: layout.count))
    for parameter in layout.parameters {
      guard let tensor = tensors[parameter.name] else { continue }
      try checkShape(of: tensor, for: parameter, named: parameter.name, path: path)
      weights[parameter] = tensor.floats()
    }
    let checkpoint = Checkpoint(weights: weights, metadata: metadata)
    guard checkpoint.tensorDigest == digest else { throw .wrongDigest(path: path) }
    guard let bad = layout.parameters.first(where: { !weights[$0].allSatisfy(\.isFinite) }) else { return checkpoint }
    throw .notFinite(path: path, name: bad.name)
  }

  private static func checkShape(
    of tensor: HostTensor, for parameter: Parameter, named name: String, path: String
  ) throws(CheckpointError) {
    guard tensor.shape == parameter.shape else {
      throw .wrongShape(path: path, name: name, expected: parameter.shape, found: tensor.shape)
    }
    guard tensor.elementType == .float32 else {
      throw .wrongElementType(path: path, name: name, found: tensor.elementType)
    }
  }
}

/// `WeightFile.open(path:)`, its error as ours.
func openWeights(
  _ path: String, _ options: WeightFile.Options = WeightFile.Options()
) throws(CheckpointError) -> WeightFile {
  do throws(WeightFormatError) {
    return try WeightFile.open(path: path, options: options)
  } catch {
    throw .file(error)
  }
}

/// `file.tensors(where:)`, its error as ours.
func readWeights(
  _ file: WeightFile, where isWanted: (WeightFile.Entry) -> Bool = { _ in true }
) throws(CheckpointError) -> NamedTensors {
  do throws(WeightFormatError) {
    return try file.tensors(where: isWanted)
  } catch {
    throw .file(error)
  }
}
