import Engine
import Foundation
import Platform
import Tensors
import WeightFormats

/// An import that is certain to account for every tensor of a file: everything but the numbers.
struct ImportPlan {
  let file: WeightFile
  let layout: ParameterLayout
  private let options: ImportOptions
  private let translation: Translation
  private let own: CheckpointMetadata?
  private let classes: [String]
  private let preprocessing: Preprocessing
  /// For each parameter but those of a new head, the file's entry and the order of its axes.
  private let sources: [String: (entry: Int, order: TensorOrder)]

  init(path: String, options: ImportOptions) throws(CheckpointError) {
    // The options are judged first: a typing error must not wait for a large file.
    let requested: [String]? = if let text = options.classes { try ClassNames.parse(text) } else { nil }
    file = try openWeights(path, options.reading)
    own = try Self.ownMetadata(of: file)
    var translation = try Self.translate(file, options)
    try Self.checkSources(file, translation)
    if options.head == .new { translation.dropHead() }
    var architecture = try Self.inferArchitecture(file, translation, own, options)
    classes = try Self.classes(requested, own, options.head, &architecture, path)
    layout = ParameterLayout(architecture)
    try Self.checkAccount(file, translation, layout, options.head)
    preprocessing = try Self.preprocessing(options, own, translation, architecture, path)
    var sources: [String: (entry: Int, order: TensorOrder)] = [:]
    for (index, meaning) in translation.meanings.enumerated() {
      if case .parameter(let name, let order) = meaning { sources[name] = (index, order) }
    }
    self.sources = sources
    self.translation = translation
    self.options = options
  }

  /// The values of a parameter of `layout`, as float32 in C order. Throws where one is not a number.
  func tensor(for parameter: Parameter) throws(CheckpointError) -> HostTensor {
    guard let (entry, order) = sources[parameter.name] else {
      return HostTensor(parameter.newHeadValues(seed: options.seed), shape: parameter.shape)
    }
    var tensor: HostTensor
    do throws(WeightFormatError) {
      tensor = try file.tensor(at: entry)
    } catch {
      throw .file(error)
    }
    // Most are what they have to be: not a byte of them is touched.
    if tensor.elementType != .float32 || order != .standard {
      tensor = order.standardized(tensor)
    }
    guard tensor.isFinite else { throw .notFinite(path: file.path, name: file.entries[entry].name) }
    return tensor
  }

  // MARK: - What is said about it

  /// The checkpoint's metadata, for a file of this SHA-256.
  func metadata(sourceDigest: String) -> CheckpointMetadata {
    CheckpointMetadata(
      architecture: layout.architecture, classes: classes, preprocessing: preprocessing,
      source: CheckpointMetadata.NamedDigest(
        name: URL(fileURLWithPath: file.path).lastPathComponent, sha256: sourceDigest),
      trainedOn: own?.trainedOn ?? [], notes: (own?.notes ?? []) + notes)
  }

  private var notes: [String] {
    var notes = translation.notes
    if options.head == .new { notes.append("new classifier with random weights, seed \(options.seed)") }
    if options.reading.ignoreCRC { notes.append("checksums of the archive were not compared (--ignore-crc)") }
    let types = sources.values.map { file.entries[$0.entry].elementType }.filter { $0 != .float32 }.map(\.rawValue)
    for type in Set(types).sorted() {
      notes.append("\(types.count { $0 == type }) tensors were \(type) and are now F32")
    }
    return notes
  }

  /// The account of every tensor.
  func report(_ metadata: CheckpointMetadata, _ identity: SourceIdentity, tensorDigest: String) -> ImportReport {
    let rows = zip(file.entries, translation.meanings).map { entry, meaning in
      ImportReport.Row(entry: entry, use: Self.use(meaning))
    }
    let name = URL(fileURLWithPath: file.path).lastPathComponent
    var warnings = KnownFile.warning(name: name, sha256: identity.sha256).map { [$0] } ?? []
    let unknown = file.globals.filter(\.isUnknown).map(\.name)
    if !unknown.isEmpty {
      warnings.append(
        "the pickle names \(unknown.joined(separator: ", ")), not known here: read as plain data, not run")
    }
    return ImportReport(
      source: CheckpointMetadata.NamedDigest(name: name, sha256: identity.sha256), known: identity.known,
      format: file.format, dialect: translation.dialect, prefix: translation.prefix, metadata: metadata, rows: rows,
      warnings: warnings, tensorDigest: tensorDigest)
  }

  private static func use(_ meaning: Translation.Meaning) -> ImportReport.Use {
    switch meaning {
    case .parameter(let name, _): .parameter(name)
    case .notUsed(let reason): .notUsed(reason: reason)
    case .unknown: preconditionFailure("every tensor was accounted for")
    }
  }
}

// MARK: - Steps

extension ImportPlan {
  /// The metadata of one of our own checkpoints, which may be imported again, say for a new head. It is verified as on
  /// every load.
  private static func ownMetadata(of file: WeightFile) throws(CheckpointError) -> CheckpointMetadata? {
    guard file.format == .safetensors, file.metadata(MetadataKey.version.rawValue) != nil else { return nil }
    return try Checkpoint.load(path: file.path).metadata
  }

  private static func translate(_ file: WeightFile, _ options: ImportOptions) throws(CheckpointError) -> Translation {
    switch file.format {
    case .safetensors, .torch, .torchStream:
      var translation = try TorchDialect.translate(file)
      if options.finalReLU == .no {
        translation.hasFinalReLU = false
        translation.notes.append("no final ReLU, as --final-relu no says")
      }
      return translation
    case .keras, .keras3: return try KerasDialect.translate(file, finalReLU: options.finalReLU)
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

  private static func inferArchitecture(
    _ file: WeightFile, _ translation: Translation, _ own: CheckpointMetadata?, _ options: ImportOptions
  ) throws(CheckpointError) -> DenseNetArchitecture {
    var shapes: [String: Shape] = [:]
    for (entry, meaning) in zip(file.entries, translation.meanings) {
      if case .parameter(let name, let order) = meaning { shapes[name] = order.shape(entry.shape) }
    }
    var (architecture, hasHead) = try DenseNetArchitecture.inferred(from: shapes, path: file.path)
    guard hasHead || options.head == .new else { throw .noHead(path: file.path) }
    architecture.batchNormEpsilon = own?.architecture.batchNormEpsilon ?? translation.batchNormEpsilon
    architecture.batchNormMomentum = own?.architecture.batchNormMomentum ?? translation.batchNormMomentum
    let isOwn = options.finalReLU == .automatic
    architecture.hasFinalReLU = (isOwn ? own?.architecture.hasFinalReLU : nil) ?? translation.hasFinalReLU
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
    var faults = TensorFaults()
    var found: Set<String> = []
    for (entry, meaning) in zip(file.entries, translation.meanings) {
      switch meaning {
      case .parameter(let name, let order):
        guard let parameter = layout[name] else {
          faults.unexpected.append(entry.name)
          continue
        }
        found.insert(name)
        if order.shape(entry.shape) != parameter.shape {
          faults.misshaped.append(
            .init(name: entry.name, expected: parameter.shape, found: order.shape(entry.shape)))
        } else if !entry.elementType.isFloatingPoint {
          throw .wrongElementType(path: file.path, name: entry.name, found: entry.elementType)
        }
      case .notUsed: break
      case .unknown: faults.unexpected.append(entry.name)
      }
    }
    faults.missing = layout.parameters.filter { !found.contains($0.name) && !(head == .new && $0.isHead) }.map(\.name)
    guard faults.isEmpty else { throw .tensorFaults(path: file.path, faults) }
  }

  /// What was asked for, else what travels with the weights, else the standard of ImageNet's; for as many channels as the network
  /// takes.
  private static func preprocessing(
    _ options: ImportOptions, _ own: CheckpointMetadata?, _ translation: Translation,
    _ architecture: DenseNetArchitecture, _ path: String
  ) throws(CheckpointError) -> Preprocessing {
    var preprocessing =
      options.preprocessing?.preprocessing ?? own?.preprocessing ?? translation.preprocessing ?? .imageNet()
    let channels = architecture.inputChannels
    if options.mean != nil || options.deviation != nil {
      func fitted(_ values: [Float]) -> [Float]? {
        values.count == 1 ? [Float](repeating: values[0], count: channels) : values.count == channels ? values : nil
      }
      guard let mean = fitted(options.mean ?? preprocessing.mean),
        let deviation = fitted(options.deviation ?? preprocessing.deviation)
      else { throw .unknownPreprocessing(path: path, channels: channels) }
      preprocessing = Preprocessing(geometry: preprocessing.geometry, mean: mean, deviation: deviation)
    }
    guard let fitted = preprocessing.withChannels(channels) else {
      throw .unknownPreprocessing(path: path, channels: channels)
    }
    return fitted
  }
}

extension HostTensor {
  /// Whether each value of a float32 tensor is a number, and none is infinite: no exponent has all its bits.
  fileprivate var isFinite: Bool {
    precondition(elementType == .float32)
    return bytes.withUnsafeBytes { buffer in
      var found: UInt32 = 0
      for index in 0..<shape.count {
        let bits = UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: 4 &* index, as: UInt32.self))
        found |= (bits & 0x7F80_0000 == 0x7F80_0000) ? 1 : 0
      }
      return found == 0
    }
  }
}
