import Platform
import Tensors
import WeightFormats

/// Why a file did not become a checkpoint, or a checkpoint a file.
public enum CheckpointError: DiagnosedError, Equatable {
  case file(WeightFormatError)
  case platform(PlatformError)

  // A checkpoint that is none.
  /// A weight file of another tool.
  case foreign(path: String)
  case newerVersion(path: String, version: String)
  case missingMetadata(path: String, key: String)
  case malformedMetadata(path: String, key: String, reason: String)
  /// The tensors are not the ones that were written.
  case wrongDigest(path: String)

  /// A folder or a pattern that names none.
  case noCheckpoints(path: String)

  // Tensors that do not fit the network.
  case missingParameters(path: String, names: [String])
  /// Tensors that no parameter of the network takes.
  case unexpectedTensors(path: String, names: [String])
  case wrongShape(path: String, name: String, expected: Shape, found: Shape)
  /// In a file of another tool: every tensor that does not fit.
  case tensorFaults(path: String, TensorFaults)
  case wrongElementType(path: String, name: String, found: ElementType)
  case notFinite(path: String, name: String)

  // Weight files of other tools.
  /// No tensor of the file is the first convolution of a DenseNet.
  case noDenseNet(path: String, examples: [String])
  /// The file holds several networks, under these prefixes.
  case severalNetworks(path: String, prefixes: [String])
  case unknownPrefix(path: String, prefix: String)
  /// Two tensors of the file would become one parameter.
  case twoSources(path: String, parameter: String, names: [String])
  case unusualArchitecture(path: String, reason: String)
  case noHead(path: String)
  case unsupportedChannels(path: String, channels: Int)
  /// A network whose file does not say how images were prepared for it, and for which nothing is usual.
  case unknownPreprocessing(path: String, channels: Int)

  // Options that do not fit.
  case classCount(path: String, requested: Int, outputs: Int)
  case unknownClasses(String, suggestion: String?)

  public var diagnosis: Diagnosis {
    switch self {
    case .file(let error): error.diagnosis
    case .platform(let error): error.diagnosis
    case .foreign(let path):
      bad(
        "checkpoint.foreign", path, "not a checkpoint of chexnet, but weights of another tool",
        "import them first: chexnet import-weights \(path.printable) --output OUT.safetensors")
    case .newerVersion(let path, let version):
      bad(
        "checkpoint.newer-version", path, "version \(version.printable) of the checkpoint format; this chexnet reads 1")
    case .missingMetadata(let path, let key):
      bad("checkpoint.missing-metadata", path, "the checkpoint's metadata have no \(key)", Self.rewritten)
    case .malformedMetadata(let path, let key, let reason):
      bad(
        "checkpoint.malformed-metadata", path, "the checkpoint's \(key) is malformed: \(reason.printable)",
        Self.rewritten)
    case .wrongDigest(let path):
      bad(
        "checkpoint.wrong-digest", path, "the tensors are not those that were written: their SHA-256 differs",
        "the file was damaged or changed; copy it again")
    case .noCheckpoints(let path):
      Diagnosis(
        id: "checkpoint.none", exit: .inputMissing,
        message: "\(path.printable) has no checkpoint: no file .safetensors",
        hint: "give a checkpoint, a folder of them, a run directory, or a pattern in quotes", file: path)
    case .missingParameters(let path, let names):
      bad("weights.missing-parameters", path, "\(names.count) parameters of the network have no tensor: \(list(names))")
    case .unexpectedTensors(let path, let names):
      bad(
        "weights.unexpected-tensors", path, "\(names.count) tensors have no place in the network: \(list(names))",
        "--inspect lists what the file holds")
    case .wrongShape(let path, let name, let expected, let found):
      bad("weights.wrong-shape", path, "\(name.printable) has the shape \(found), the network needs \(expected)")
    case .tensorFaults(let path, let faults):
      Diagnosis(
        id: faults.id, exit: .badData, message: "\(path.printable): \(faults.summary)",
        hint: "--inspect lists what the file holds", file: path, details: faults.details)
    case .wrongElementType(let path, let name, let found):
      bad("weights.wrong-element-type", path, "\(name.printable) holds \(found.rawValue), which are no weights")
    case .notFinite(let path, let name):
      bad("weights.not-finite", path, "\(name.printable) holds a value that is not a number or infinite")
    case .noDenseNet(let path, let examples):
      bad(
        "weights.no-densenet", path,
        examples.isEmpty
          ? "the file holds no tensors"
          : "no DenseNet: no tensor is its first convolution; there are \(list(examples))",
        "--inspect lists what the file holds")
    case .severalNetworks(let path, let prefixes):
      bad(
        "weights.several-networks", path, "several networks, under the prefixes \(list(prefixes))",
        "save one of them alone")
    case .unknownPrefix(let path, let prefix):
      bad("weights.unknown-prefix", path, "the names begin with \(prefix.printable), which is no known wrapper")
    case .twoSources(let path, let parameter, let names):
      bad("weights.two-sources", path, "\(list(names)) would all become \(parameter)")
    case .unusualArchitecture(let path, let reason):
      bad("weights.unusual-architecture", path, "not a DenseNet as torchvision builds it: \(reason.printable)")
    case .noHead(let path):
      bad(
        "weights.no-head", path, "the file has no classifier",
        "--head new gives it a new one, with random weights, for the classes of --classes")
    case .unsupportedChannels(let path, let channels):
      bad(
        "weights.unsupported-channels", path,
        "the network takes images of \(channels) channels; those for 1 and for 3 are read")
    case .unknownPreprocessing(let path, let channels):
      bad(
        "weights.unknown-preprocessing", path,
        "the network takes images of \(channels) channel\(channels == 1 ? "" : "s"), and it is not known how they are scaled",
        "say so: --preprocessing xrv for torchxrayvision's, or --mean and --deviation, one number or one for each channel"
      )
    case .classCount(let path, let requested, let outputs):
      bad(
        "weights.class-count", path, "--classes names \(requested), the network has \(outputs) outputs",
        "--head new replaces the classifier by a new one for these classes")
    case .unknownClasses(let text, let suggestion):
      Diagnosis(
        id: "classes.unknown", exit: .usage, message: "--classes \(text.printable) is no known set of classes",
        hint: suggestion
          ?? "chestxray14, imagenet, xrv, a number, or names with commas (one class: \"\(text.printable),\")")
    }
  }

  private static let rewritten = "the file was changed after chexnet wrote it"

  private func bad(_ id: String, _ path: String, _ message: String, _ hint: String? = nil) -> Diagnosis {
    Diagnosis(id: id, exit: .badData, message: "\(path.printable): \(message)", hint: hint, file: path)
  }

  /// The first five names.
  private func list(_ names: [String]) -> String {
    names.prefix(5).map(\.printable).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}
