import Engine
import Platform
import Tensors

/// What travels with the weights of a checkpoint, as the texts of safetensors' `__metadata__`.
public struct CheckpointMetadata: Equatable, Sendable {
  /// The architecture, with batch-norm constants, input channels and final ReLU.
  public var architecture: DenseNetArchitecture
  /// The classes, in the order of the outputs.
  public var classes: [String]
  public var preprocessing: Preprocessing
  /// The name, without folder, and SHA-256 of the file that the weights were imported from.
  public var source: NamedDigest?
  /// The lists that the weights were trained on.
  public var trainedOn: [NamedDigest]
  /// The version of chexnet that wrote the checkpoint.
  public var toolVersion: String
  public var notes: [String]

  /// A file, by its name and the SHA-256 of its bytes in hexadecimal.
  public struct NamedDigest: Equatable, Sendable {
    public var name: String
    public var sha256: String

    public init(name: String, sha256: String) {
      self.name = name
      self.sha256 = sha256
    }
  }

  public init(
    architecture: DenseNetArchitecture, classes: [String], preprocessing: Preprocessing, source: NamedDigest? = nil,
    trainedOn: [NamedDigest] = [], toolVersion: String = Platform.toolVersion, notes: [String] = []
  ) {
    self.architecture = architecture
    self.classes = classes
    self.preprocessing = preprocessing
    self.source = source
    self.trainedOn = trainedOn
    self.toolVersion = toolVersion
    self.notes = notes
  }
}

/// The keys of a checkpoint's `__metadata__`.
enum MetadataKey: String, CaseIterable {
  /// `pt`: the convention by which other loaders of safetensors know whose names the tensors have.
  case format
  /// `1`: the version of these keys.
  case version = "chexnet.version"
  /// `{"name":"densenet121","growth_rate":32,"block_sizes":[6,12,24,16],"initial_features":64}`
  case architecture = "chexnet.architecture"
  case inputChannels = "chexnet.input_channels"
  case batchNormEpsilon = "chexnet.batch_norm_epsilon"
  case batchNormMomentum = "chexnet.batch_norm_momentum"
  case finalReLU = "chexnet.final_relu"
  /// `["Atelectasis",…]`
  case classes = "chexnet.classes"
  /// `{"geometry":"center-crop","resize":256,"crop":224,"mean":[…],"deviation":[…]}`, `{"geometry":"resize","size":224,…}` or
  /// `{"geometry":"square-resize","size":224,…}`
  case preprocessing = "chexnet.preprocessing"
  /// `{"name":…,"sha256":…}` or `null`
  case source = "chexnet.source"
  /// Of the tensors' bytes, in the order of the file.
  case tensorDigest = "chexnet.tensors_sha256"
  /// `[{"name":…,"sha256":…},…]`
  case trainedOn = "chexnet.trained_on"
  case toolVersion = "chexnet.tool_version"
  case notes = "chexnet.notes"
}

// MARK: - Writing

extension CheckpointMetadata {
  /// The texts for `__metadata__`, always in the same order.
  func texts(tensorDigest: String) -> [(key: String, value: String)] {
    MetadataKey.allCases.map { ($0.rawValue, text(of: $0, tensorDigest)) }
  }

  private func text(of key: MetadataKey, _ tensorDigest: String) -> String {
    switch key {
    case .format: "pt"
    case .version: "1"
    case .architecture:
      JSONValue.object([
        "name": .string(architecture.name), "growth_rate": JSONValue(architecture.growthRate),
        "block_sizes": JSONValue(architecture.blockSizes), "initial_features": JSONValue(architecture.initialFeatures),
      ]).text()
    case .inputChannels: String(architecture.inputChannels)
    case .batchNormEpsilon: JSONValue(architecture.batchNormEpsilon).text()
    case .batchNormMomentum: JSONValue(architecture.batchNormMomentum).text()
    case .finalReLU: String(architecture.hasFinalReLU)
    case .classes: JSONValue(classes).text()
    case .preprocessing: preprocessing.json.text()
    case .source: (source?.json ?? .null).text()
    case .tensorDigest: tensorDigest
    case .trainedOn: JSONValue.array(trainedOn.map(\.json)).text()
    case .toolVersion: toolVersion
    case .notes: JSONValue(notes).text()
    }
  }
}

extension CheckpointMetadata.NamedDigest {
  public var json: JSONValue { ["name": .string(name), "sha256": .string(sha256)] }

  init?(_ json: JSONValue) {
    guard let name = json["name"]?.string, let sha256 = json["sha256"]?.string, json.object?.count == 2 else {
      return nil
    }
    self.init(name: name, sha256: sha256)
  }
}

extension Preprocessing {
  /// `{"geometry":"center-crop","resize":256,"crop":224,"mean":[…],"deviation":[…]}`
  public var json: JSONValue {
    var object: JSONObject
    switch geometry {
    case .centerCrop(let resize, let crop):
      object = ["geometry": "center-crop", "resize": JSONValue(resize), "crop": JSONValue(crop)]
    case .resize(let size): object = ["geometry": "resize", "size": JSONValue(size)]
    case .squareResize(let size): object = ["geometry": "square-resize", "size": JSONValue(size)]
    }
    object["mean"] = JSONValue(mean)
    object["deviation"] = JSONValue(deviation)
    return .object(object)
  }

  /// Nil where `json` is not what `json` gives, or a number is out of range.
  public init?(_ json: JSONValue) {
    let sides = 1...16384
    let geometry: Geometry
    switch json["geometry"]?.string {
    case "center-crop":
      guard let resize = json["resize"]?.integer, let crop = json["crop"]?.integer, sides.contains(resize),
        sides.contains(crop), crop <= resize
      else { return nil }
      geometry = .centerCrop(resize: resize, crop: crop)
    case "resize":
      guard let size = json["size"]?.integer, sides.contains(size) else { return nil }
      geometry = .resize(size: size)
    case "square-resize":
      guard let size = json["size"]?.integer, sides.contains(size) else { return nil }
      geometry = .squareResize(size: size)
    default: return nil
    }
    guard let mean = Self.floats(json["mean"]), let deviation = Self.floats(json["deviation"]),
      mean.count == deviation.count, deviation.allSatisfy({ $0 > 0 })
    else { return nil }
    self.init(geometry: geometry, mean: mean, deviation: deviation)
  }

  /// One number for each of 1 or 3 channels.
  private static func floats(_ json: JSONValue?) -> [Float]? {
    guard let values = json?.array, [1, 3].contains(values.count) else { return nil }
    let floats = values.compactMap { $0.double.map { Float($0) } }
    return floats.count == values.count && floats.allSatisfy(\.isFinite) ? floats : nil
  }
}

// MARK: - Reading

extension CheckpointMetadata {
  /// The metadata that `texts` say, and the digest of the tensors.
  static func parse(
    _ texts: [(key: String, value: String)], path: String
  ) throws(CheckpointError) -> (metadata: CheckpointMetadata, tensorDigest: String) {
    let reader = MetadataReader(path: path, texts: Dictionary(texts) { first, _ in first })
    guard reader.texts[MetadataKey.version.rawValue] != nil else { throw .foreign(path: path) }
    let version = try reader.text(.version)
    guard version == "1" else { throw .newerVersion(path: path, version: version) }
    guard try reader.text(.format) == "pt" else { throw reader.malformed(.format, "expected pt") }
    let classes = try reader.texts(.classes)
    guard Set(classes).count == classes.count else { throw reader.malformed(.classes, "a class stands twice") }
    let metadata = CheckpointMetadata(
      architecture: try architecture(reader, classCount: classes.count), classes: classes,
      preprocessing: try preprocessing(reader), source: try source(reader), trainedOn: try trainedOn(reader),
      toolVersion: try reader.text(.toolVersion), notes: try reader.texts(.notes))
    guard metadata.preprocessing.channels == metadata.architecture.inputChannels else {
      throw reader.malformed(.preprocessing, "it has another number of channels than the network")
    }
    return (metadata, try reader.text(.tensorDigest))
  }

  private static func architecture(
    _ reader: MetadataReader, classCount: Int
  ) throws(CheckpointError) -> DenseNetArchitecture {
    let json = try reader.json(.architecture)
    guard let growth = json["growth_rate"]?.integer, let stem = json["initial_features"]?.integer,
      let blocks = json["block_sizes"]?.array?.map({ $0.integer ?? 0 }),
      let channels = Int(try reader.text(.inputChannels)),
      DenseNetLimits.contain(
        growthRate: growth, blockSizes: blocks, stem: stem, channels: channels, classes: classCount)
    else { throw reader.malformed(.architecture, "it is no DenseNet") }
    let epsilon = try reader.number(.batchNormEpsilon)
    let momentum = try reader.number(.batchNormMomentum)
    guard epsilon > 0, epsilon < 1 else { throw reader.malformed(.batchNormEpsilon, "expected a number in 0 … 1") }
    guard (0...1).contains(momentum) else { throw reader.malformed(.batchNormMomentum, "expected a number in 0 … 1") }
    guard let hasFinalReLU = Bool(try reader.text(.finalReLU)) else {
      throw reader.malformed(.finalReLU, "expected true or false")
    }
    return DenseNetArchitecture(
      growthRate: growth, blockSizes: blocks, initialFeatures: stem, inputChannels: channels, classCount: classCount,
      batchNormEpsilon: epsilon, batchNormMomentum: momentum, hasFinalReLU: hasFinalReLU)
  }

  private static func preprocessing(_ reader: MetadataReader) throws(CheckpointError) -> Preprocessing {
    guard let preprocessing = Preprocessing(try reader.json(.preprocessing)) else {
      throw reader.malformed(.preprocessing, "it is none that is known")
    }
    return preprocessing
  }

  private static func source(_ reader: MetadataReader) throws(CheckpointError) -> NamedDigest? {
    let json = try reader.json(.source)
    if json.isNull { return nil }
    guard let source = NamedDigest(json) else { throw reader.malformed(.source, "expected a name and a SHA-256") }
    return source
  }

  private static func trainedOn(_ reader: MetadataReader) throws(CheckpointError) -> [NamedDigest] {
    let lists = try reader.json(.trainedOn).array?.map { NamedDigest($0) } ?? [nil]
    guard !lists.contains(nil) else { throw reader.malformed(.trainedOn, "expected names and SHA-256s") }
    return lists.compactMap { $0 }
  }
}

/// Reads the keys of `__metadata__`, each of which must be there.
private struct MetadataReader {
  let path: String
  let texts: [String: String]

  func malformed(_ key: MetadataKey, _ reason: String) -> CheckpointError {
    .malformedMetadata(path: path, key: key.rawValue, reason: reason)
  }

  func text(_ key: MetadataKey) throws(CheckpointError) -> String {
    guard let text = texts[key.rawValue] else { throw .missingMetadata(path: path, key: key.rawValue) }
    return text
  }

  func json(_ key: MetadataKey) throws(CheckpointError) -> JSONValue {
    let text = try text(key)
    do throws(PlatformError) {
      return try JSONValue.parse(text)
    } catch {
      throw malformed(key, error.description)
    }
  }

  func number(_ key: MetadataKey) throws(CheckpointError) -> Double {
    guard let number = try json(key).double else { throw malformed(key, "expected a number") }
    return number
  }

  /// A list of texts.
  func texts(_ key: MetadataKey) throws(CheckpointError) -> [String] {
    let json = try json(key)
    guard let values = json.array, case let texts = values.compactMap(\.string), texts.count == values.count else {
      throw malformed(key, "expected a list of texts")
    }
    return texts
  }
}
