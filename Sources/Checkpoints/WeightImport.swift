import Engine
import Foundation
import Platform
import Tensors
import WeightFormats

/// What an import is asked for beyond the file.
public struct ImportOptions: Sendable {
  public enum Head: String, Sendable, CaseIterable {
    /// The file's classifier.
    case keep
    /// A new one with random weights.
    case new
  }

  public enum FinalReLU: String, Sendable, CaseIterable {
    case automatic = "auto"
    case yes
    case no
  }

  /// The values of `--preprocessing`.
  public enum PreprocessingChoice: String, Sendable, CaseIterable {
    case centerCrop = "center-crop"
    case resize
    /// torchxrayvision's.
    case xrv
  }

  /// `--classes`: the name of a set, a number, or names with commas; nil for the standard classes by number of outputs (with a
  /// new head: the 14 of ChestX-ray14).
  public var classes: String?
  public var head: Head
  /// Nil for what the file says, or else resize 256 and central crop 224.
  public var preprocessing: PreprocessingChoice?
  public var finalReLU: FinalReLU
  /// Take members of a zip archive whose checksum is wrong.
  public var ignoreCRC: Bool
  /// Of a new head's random weights.
  public var seed: UInt64

  public init(
    classes: String? = nil, head: Head = .keep, preprocessing: PreprocessingChoice? = nil,
    finalReLU: FinalReLU = .automatic, ignoreCRC: Bool = false, seed: UInt64 = 123
  ) {
    self.classes = classes
    self.head = head
    self.preprocessing = preprocessing
    self.finalReLU = finalReLU
    self.ignoreCRC = ignoreCRC
    self.seed = seed
  }
}

/// A checkpoint made from a weight file, and the account of every tensor in it.
public struct ImportResult: Sendable {
  public var checkpoint: Checkpoint
  public var report: ImportReport
}

/// Makes checkpoints from the weight files of other tools.
public enum WeightImport {
  /// Imports the file at `path`.
  ///
  /// Every tensor becomes a parameter or is left for a known reason (counters of batches, state of optimizers); one that
  /// neither happens to, a parameter without a tensor, and a value that is not a number are errors.
  public static func run(path: String, options: ImportOptions = ImportOptions()) throws(CheckpointError) -> ImportResult
  {
    // The options are judged first: a typing error must not wait for a large file.
    let requested: [String]? = if let text = options.classes { try ClassNames.parse(text) } else { nil }
    let file = try openWeights(path, ignoreCRC: options.ignoreCRC)
    let own = try ownMetadata(of: file)
    var translation = try translate(file, options)
    try checkSources(file, translation)
    if options.head == .new { dropHead(&translation) }
    var architecture = try inferArchitecture(file, translation, own, options.head, options.finalReLU)
    let classes = try self.classes(requested, own, options.head, &architecture, path)
    let preprocessing = try preprocessing(options.preprocessing, own, channels: architecture.inputChannels, path: path)
    let layout = ParameterLayout(architecture)
    try checkAccount(file, translation, layout, options.head)
    let weights = try read(file, translation, layout, options)
    let source = CheckpointMetadata.NamedDigest(
      name: (path as NSString).lastPathComponent, sha256: try digest(ofFile: path))
    let metadata = CheckpointMetadata(
      architecture: architecture, classes: classes, preprocessing: preprocessing, source: source,
      trainedOn: own?.trainedOn ?? [], notes: (own?.notes ?? []) + notes(file, translation, options))
    let checkpoint = Checkpoint(weights: weights, metadata: metadata)
    let rows = zip(file.entries, translation.meanings).map { entry, meaning in
      ImportReport.Row(entry: entry, use: use(meaning))
    }
    let report = ImportReport(
      source: source, format: file.format, dialect: translation.dialect, prefix: translation.prefix, metadata: metadata,
      rows: rows, tensorDigest: checkpoint.tensorDigest)
    return ImportResult(checkpoint: checkpoint, report: report)
  }

  /// What the file at `path` holds, whether or not it can be imported.
  public static func inspect(path: String, ignoreCRC: Bool = false) throws(CheckpointError) -> WeightListing {
    let file = try openWeights(path, ignoreCRC: ignoreCRC)
    return WeightListing(path: path, format: file.format, metadata: file.metadata, entries: file.entries)
  }

  // MARK: - Steps

  /// What is asked for, or else the file's own, or else ImageNet's: for a network of `channels` input channels.
  static func preprocessing(
    _ choice: ImportOptions.PreprocessingChoice?, _ own: CheckpointMetadata? = nil, channels: Int, path: String
  ) throws(CheckpointError) -> Preprocessing {
    let preprocessing: Preprocessing =
      switch choice {
      case nil: own?.preprocessing ?? .imageNet()
      case .centerCrop: .imageNet()
      case .resize:
        Preprocessing(
          geometry: .resize(size: 224), mean: Preprocessing.imageNetMean, deviation: Preprocessing.imageNetDeviation)
      case .xrv: .torchXRayVision()
      }
    guard let fitting = preprocessing.withChannels(channels) else {
      let name = choice ?? .centerCrop
      throw .preprocessingChannels(path: path, preprocessing: name.rawValue, channels: channels)
    }
    return fitting
  }

  /// The metadata of one of our own checkpoints, which may be imported again, say for a new head. It is verified as on
  /// every load.
  private static func ownMetadata(of file: WeightFile) throws(CheckpointError) -> CheckpointMetadata? {
    guard file.format == .safetensors, file.metadata(MetadataKey.version.rawValue) != nil else { return nil }
    return try Checkpoint.load(path: file.path).metadata
  }

  private static func translate(_ file: WeightFile, _ options: ImportOptions) throws(CheckpointError) -> Translation {
    switch file.format {
    case .safetensors, .torch:
      var translation = try TorchDialect.translate(file)
      if options.finalReLU == .no {
        translation.hasFinalReLU = false
        translation.notes.append("no final ReLU, as --final-relu no says")
      }
      return translation
    case .keras: return try KerasDialect.translate(file, finalReLU: options.finalReLU)
    }
  }

  /// No parameter may come from two tensors.
  private static func checkSources(_ file: WeightFile, _ translation: Translation) throws(CheckpointError) {
    var names: [String: [String]] = [:]
    for (entry, meaning) in zip(file.entries, translation.meanings) {
      if case .parameter(let parameter, _) = meaning { names[parameter, default: []].append(entry.name) }
    }
    if let (parameter, sources) = names.filter({ $0.value.count > 1 }).min(by: { $0.key < $1.key }) {
      throw .twoSources(path: file.path, parameter: parameter, names: sources)
    }
  }

  private static func isHead(_ parameter: String) -> Bool { parameter.hasPrefix("classifier.") }

  private static func dropHead(_ translation: inout Translation) {
    for index in translation.meanings.indices {
      if case .parameter(let name, _) = translation.meanings[index], isHead(name) {
        translation.meanings[index] = .notUsed(reason: "classifier, which --head new replaces")
      }
    }
  }

  private static func inferArchitecture(
    _ file: WeightFile, _ translation: Translation, _ own: CheckpointMetadata?, _ head: ImportOptions.Head,
    _ finalReLU: ImportOptions.FinalReLU
  ) throws(CheckpointError) -> DenseNetArchitecture {
    var shapes: [String: Shape] = [:]
    for (entry, meaning) in zip(file.entries, translation.meanings) {
      if case .parameter(let name, let order) = meaning { shapes[name] = order.shape(entry.shape) }
    }
    var (architecture, hasHead) = try DenseNetArchitecture.inferred(from: shapes, path: file.path)
    guard hasHead || head == .new else { throw .noHead(path: file.path) }
    architecture.batchNormEpsilon = own?.architecture.batchNormEpsilon ?? translation.batchNormEpsilon
    architecture.batchNormMomentum = own?.architecture.batchNormMomentum ?? translation.batchNormMomentum
    architecture.hasFinalReLU =
      finalReLU == .automatic ? own?.architecture.hasFinalReLU ?? translation.hasFinalReLU : translation.hasFinalReLU
    return architecture
  }

  /// The classes; a new head gives the architecture as many outputs.
  private static func classes(
    _ requested: [String]?, _ own: CheckpointMetadata?, _ head: ImportOptions.Head,
    _ architecture: inout DenseNetArchitecture, _ path: String
  ) throws(CheckpointError) -> [String] {
    switch head {
    case .new:
      let classes = requested ?? ClassNames.chestXray14
      architecture.classCount = classes.count
      return classes
    case .keep:
      let outputs = architecture.classCount
      let classes = requested ?? own?.classes ?? ClassNames.standard(outputs: outputs)
      guard classes.count == outputs else {
        throw .classCount(path: path, requested: classes.count, outputs: outputs)
      }
      return classes
    }
  }

  /// Every tensor must have a meaning and its parameter's shape, and every parameter a tensor.
  private static func checkAccount(
    _ file: WeightFile, _ translation: Translation, _ layout: ParameterLayout, _ head: ImportOptions.Head
  ) throws(CheckpointError) {
    var unexpected: [String] = []
    var found: Set<String> = []
    for (entry, meaning) in zip(file.entries, translation.meanings) {
      switch meaning {
      case .parameter(let name, let order):
        guard let parameter = layout[name] else {
          unexpected.append(entry.name)
          continue
        }
        guard order.shape(entry.shape) == parameter.shape else {
          throw .wrongShape(
            path: file.path, name: entry.name, expected: parameter.shape, found: order.shape(entry.shape))
        }
        guard entry.elementType.isFloatingPoint else {
          throw .wrongElementType(path: file.path, name: entry.name, found: entry.elementType)
        }
        found.insert(name)
      case .notUsed: break
      case .unknown: unexpected.append(entry.name)
      }
    }
    guard unexpected.isEmpty else { throw .unexpectedTensors(path: file.path, names: unexpected) }
    let missing = layout.parameters.map(\.name).filter { !found.contains($0) && !(head == .new && isHead($0)) }
    guard missing.isEmpty else { throw .missingParameters(path: file.path, names: missing) }
  }

  private static func read(
    _ file: WeightFile, _ translation: Translation, _ layout: ParameterLayout, _ options: ImportOptions
  ) throws(CheckpointError) -> Weights {
    var sources: [String: (parameter: Parameter, order: TensorOrder)] = [:]
    for (entry, meaning) in zip(file.entries, translation.meanings) {
      if case .parameter(let name, let order) = meaning, let parameter = layout[name] {
        sources[entry.name] = (parameter, order)
      }
    }
    let tensors = try readWeights(file) { sources[$0.name] != nil }
    var weights = Weights(layout: layout, values: [Float](repeating: 0, count: layout.count))
    for name in tensors.names {
      guard let tensor = tensors[name], let (parameter, order) = sources[name] else { continue }
      let values = order.values(tensor)
      guard values.allSatisfy(\.isFinite) else { throw .notFinite(path: file.path, name: name) }
      weights[parameter] = values
    }
    if options.head == .new { weights.reinitializeHead(seed: options.seed) }
    return weights
  }

  private static func digest(ofFile path: String) throws(CheckpointError) -> String {
    do throws(PlatformError) {
      return try SHA256.hex(ofFile: path)
    } catch {
      throw .platform(error)
    }
  }

  private static func notes(_ file: WeightFile, _ translation: Translation, _ options: ImportOptions) -> [String] {
    var notes = translation.notes
    if options.head == .new { notes.append("new classifier with random weights, seed \(options.seed)") }
    if options.ignoreCRC { notes.append("checksums of the archive were not compared (--ignore-crc)") }
    let types = zip(file.entries, translation.meanings).compactMap { entry, meaning in
      if case .parameter = meaning, entry.elementType != .float32 { entry.elementType.rawValue } else { nil }
    }
    for type in Set(types).sorted() {
      notes.append("\(types.count { $0 == type }) tensors were \(type) and are now F32")
    }
    return notes
  }

  private static func use(_ meaning: Translation.Meaning) -> ImportReport.Use {
    switch meaning {
    case .parameter(let name, _): .parameter(name)
    case .notUsed(let reason): .notUsed(reason: reason)
    case .unknown: preconditionFailure("every tensor was accounted for")
    }
  }
}
